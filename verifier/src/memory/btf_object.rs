//! Kernel structs and allocated objects through typed pointers.

use super::Access;
use super::btf_walk::{Walk, walk};
use super::types::{TRUSTED_MODIFIERS, btf_reg, pointee};
use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::reason::{MemoryReason, TypeReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::Feature;
use ebpfkit_abi::kfuncs::sched_ext;
use ebpfkit_abi::{ProgType, TypeFlags};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, TypeId};

/// What an access reads.
enum Found {
    Number,
    /// Memory whose reads are probed.
    Probed,
    Pointer {
        id: TypeId,
        flags: TypeFlags,
        member: String,
    },
}

/// Members of `struct tcp_sock`, by their path, that congestion control programs may write.
const TCP_SOCK_WRITABLE: &[&[&str]] = &[
    &["inet_conn", "icsk_inet", "sk", "sk_pacing_rate"],
    &["inet_conn", "icsk_inet", "sk", "sk_pacing_status"],
    &["inet_conn", "icsk_ca_priv"],
    &["inet_conn", "icsk_ack", "pending"],
    &["snd_cwnd"],
    &["snd_cwnd_cnt"],
    &["snd_cwnd_stamp"],
    &["snd_ssthresh"],
    &["ecn_flags"],
    &["app_limited"],
];

/// Where a member lies.
struct MemberSpan {
    start: u32,
    end: u32,
    is_array: bool,
}

/// Where a member lies; `None` when the struct has no such member.
fn member_span(btf: &Btf, id: TypeId, path: &[&str]) -> Option<MemberSpan> {
    let (name, rest) = path.split_first()?;
    let find = |id: TypeId| btf.members(id).find(|m| m.name == *name);
    let (m, base) = match find(id) {
        Some(m) => (m, 0),
        // Members of groups without a name belong to the struct.
        None => btf
            .members(id)
            .filter(|m| m.name.is_empty())
            .find_map(|member| Some((find(btf.resolve(member.ty))?, member.bit_offset / 8)))?,
    };
    let start = base + m.bit_offset / 8;
    if rest.is_empty() {
        let is_array = btf.kind(btf.resolve(m.ty)) == Some(Kind::Array);
        return Some(MemberSpan { start, end: start + btf.size_of(m.ty)?, is_array });
    }
    let inner = member_span(btf, btf.resolve(m.ty), rest)?;
    Some(MemberSpan { start: start + inner.start, end: start + inner.end, ..inner })
}

/// Whether the kernel lists a member as good in this way: it keeps a struct of the same name with `suffix` that has
/// the member with the same type.
fn is_listed(btf: &Btf, id: TypeId, member: &str, target: TypeId, suffix: &str) -> bool {
    let Some(kind) = btf.kind(id) else { return false };
    let Some(list) = btf.find(&format!("{}{suffix}", btf.name(id)), kind) else { return false };
    btf.members(list).any(|m| m.name == member && pointee(btf, m.ty) == Some(target))
}

impl Env<'_> {
    /// An access through a typed pointer; a read sets `value_reg`.
    pub(super) fn check_btf_object(
        &mut self,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        value_reg: Option<u8>,
    ) -> Step {
        let r = *self.reg(reg);
        let Some((origin, id)) = r.btf() else { return Err(Stop::unsupported("a typed pointer without its type")) };
        let types = self.types_of(origin)?;
        let name = || types.name(id).to_owned();
        if !self.allow_ptr_leaks() {
            return reject(MemoryReason::ObjectNeedsCapability { name: name() });
        }
        if origin == BtfRef::Vmlinux && !self.is_gpl_compatible() && self.has(Feature::StructsNeedGpl) {
            return reject(TypeReason::StructNeedsGpl { name: name() });
        }
        let Ok(at) = u32::try_from(off) else {
            return reject(TypeReason::NegativeStructOffset { reg, name: name(), off });
        };
        if !r.var_off.is_const() || r.var_off.value != 0 {
            let var_off = self.bits(r.var_off);
            return reject(TypeReason::VariableStructOffset { reg, name: name(), off, var_off });
        }
        if r.ty.has(TypeFlags::USER) {
            return reject(TypeReason::UserStruct { reg, name: name(), off });
        }
        if r.ty.has(TypeFlags::PERCPU) {
            return reject(TypeReason::PercpuStruct { reg, name: name(), off });
        }
        let writes = access == Access::Write;
        if writes && r.ty.has(TypeFlags::UNTRUSTED) {
            return reject(TypeReason::OnlyRead {});
        }
        let is_alloc = r.ty.has(TypeFlags::ALLOC);
        if writes && !is_alloc {
            return self.check_struct_write(reg, &types, id, off, size);
        }
        let found = self.struct_member(&types, &r, id, at, size)?;
        if writes {
            return Ok(());
        }
        let Some(v) = value_reg else { return Ok(()) };
        match found {
            Found::Number => self.mark_reg_unknown(v),
            Found::Probed if !self.has(Feature::UntrustedMemory) => self.mark_reg_unknown(v),
            Found::Probed => *self.reg_mut(v) = probed_memory(),
            Found::Pointer { id: target, flags, member } => {
                let flags = self.loaded_trust(&types, &r, id, target, flags, &member);
                self.mark_btf_reg(v, origin, target, flags);
            }
        }
        Ok(())
    }

    /// A register becomes a typed pointer, with an identity when it may be null.
    pub fn mark_btf_reg(&mut self, reg: u8, btf: BtfRef, id: TypeId, flags: TypeFlags) {
        let null_id = if flags.contains(TypeFlags::MAYBE_NULL) { self.new_id() } else { 0 };
        *self.reg_mut(reg) = RegState { id: null_id, ..btf_reg(btf, id, flags) };
    }

    /// The member that an access touches.
    fn struct_member(&self, types: &Btf, r: &RegState, id: TypeId, off: u32, size: u32) -> Step<Found> {
        let is_alloc = r.ty.has(TypeFlags::ALLOC);
        if is_alloc && let Some(record) = self.record_of(r) {
            let touched = record.fields.iter().find(|f| off < f.offset + f.size && f.offset < off + size);
            if let Some(f) = touched {
                return reject(TypeReason::SpecialFieldOfObject { field: f.kind.name() });
            }
        }
        let (mut at, mut id, mut flags) = (off, id, TypeFlags::empty());
        let ends_known = self.options().sound || self.has(Feature::BoundedObjects);
        let unions = self.has(Feature::TrustedPointers);
        loop {
            // Linux 6.18 lets allocated objects, too, have a last array that goes on behind them.
            let reached = match walk(types, id, at, size, &mut flags, !(is_alloc && ends_known), unions) {
                Err(why) if is_alloc && ends_known => {
                    if !self.has(Feature::BoundedObjects) {
                        self.soundness_mattered.set(true);
                    }
                    return reject(why);
                }
                reached => reached?,
            };
            match reached {
                Walk::Struct(inner) => (id, at) = (inner, 0),
                Walk::Scalar => return Ok(Found::Number),
                Walk::OtherPointer => return Ok(Found::Probed),
                // What is stored in an allocated object is not followed.
                Walk::Pointer { .. } if is_alloc => return Ok(Found::Number),
                Walk::Pointer { id, member } => return Ok(Found::Pointer { id, flags, member: member.to_owned() }),
            }
        }
    }

    /// How far a pointer that was loaded through `r` can be trusted.
    fn loaded_trust(
        &self,
        types: &Btf,
        r: &RegState,
        id: TypeId,
        target: TypeId,
        found: TypeFlags,
        member: &str,
    ) -> TypeFlags {
        let plain = found - TRUSTED_MODIFIERS - TypeFlags::RCU;
        if !self.has(Feature::TrustedPointers) {
            return (plain - TypeFlags::MAYBE_NULL) | (r.ty.flags & TypeFlags::UNTRUSTED);
        }
        if r.ty.has(TypeFlags::UNTRUSTED) {
            return TypeFlags::UNTRUSTED;
        }
        if !r.is_trusted() && !r.is_rcu() {
            return plain;
        }
        let listed = |suffix| is_listed(types, id, member, target, suffix);
        if listed("__safe_trusted") {
            return found | TypeFlags::TRUSTED;
        }
        if listed("__safe_trusted_or_null") {
            return found | TypeFlags::TRUSTED | TypeFlags::MAYBE_NULL;
        }
        if !self.in_rcu_cs() || r.ty.may_be_null() {
            return TypeFlags::UNTRUSTED;
        }
        if listed("__safe_rcu") {
            return found | TypeFlags::RCU;
        }
        let rcu_or_null = listed("__safe_rcu_or_null");
        if found.contains(TypeFlags::RCU) || rcu_or_null {
            let flags = found | TypeFlags::RCU | TypeFlags::MAYBE_NULL;
            return if rcu_or_null { flags - TypeFlags::UNTRUSTED } else { flags };
        }
        if found.intersects(TypeFlags::PERCPU | TypeFlags::USER) { found } else { plain }
    }

    /// A write into a kernel struct through a register.
    fn check_struct_write(&self, reg: u8, types: &Btf, id: TypeId, off: i32, size: u32) -> Step {
        let written = self.check_written_member(types, id, off, size);
        let has_rules = matches!(
            self.prog().prog_type,
            ProgType::SchedCls | ProgType::SchedAct | ProgType::Xdp | ProgType::StructOps
        );
        if has_rules && self.has(Feature::StructWritesNamed) && matches!(written, Err(Stop::Reject(_))) {
            return reject(TypeReason::StructWrite { reg, name: types.name(id).to_owned(), off, size });
        }
        written
    }

    /// What is written of a kernel struct: only some program types have any members that they may write.
    fn check_written_member(&self, types: &Btf, id: TypeId, off: i32, size: u32) -> Step {
        let name = types.name(id);
        let allowed: &[&[&str]] = match self.prog().prog_type {
            ProgType::SchedCls | ProgType::SchedAct | ProgType::Xdp => {
                // A module's struct of the name is another one.
                let is_kernels = types.find(name, Kind::Struct) == Some(id);
                if name != "nf_conn" && name != "nf_conn___init" || !is_kernels {
                    return reject(TypeReason::OnlyRead {});
                }
                &[&["mark"]]
            }
            ProgType::StructOps => match self.struct_ops_name() {
                "tcp_congestion_ops" => {
                    if name != "tcp_sock" {
                        return reject(TypeReason::OnlyRead {});
                    }
                    TCP_SOCK_WRITABLE
                }
                "bpf_dummy_ops" => {
                    if name != "bpf_dummy_ops_state" {
                        return reject(TypeReason::OnlyWriteTo { name: "bpf_dummy_ops_state" });
                    }
                    let end = types.size_of(id).unwrap_or(0);
                    if off < 0 || (off as u32).saturating_add(size) > end {
                        return reject(TypeReason::BeyondStruct { name: name.to_owned(), off: off as u32, size });
                    }
                    return Ok(());
                }
                name @ (sched_ext::OPS | sched_ext::CID_OPS) => match types.name(id) {
                    "task_struct" if name == sched_ext::OPS => sched_ext::TASK_WRITABLE,
                    "task_struct" => sched_ext::CID_TASK_WRITABLE,
                    _ => &[],
                },
                other => return Err(Stop::unsupported(format!("writes of {other} programs into kernel structs"))),
            },
            _ => return reject(TypeReason::OnlyRead {}),
        };
        let listed = if name == "nf_conn___init" { types.find("nf_conn", Kind::Struct).unwrap_or(id) } else { id };
        let mut spans = allowed.iter().filter_map(|path| member_span(types, listed, path));
        let shown = if name == "nf_conn___init" { "nf_conn" } else { name };
        let starts_here =
            |s: &MemberSpan| s.start == off as u32 || s.is_array && (s.start..s.end).contains(&(off as u32));
        let Some(MemberSpan { end, .. }) = spans.find(starts_here) else {
            return reject(TypeReason::NoWrite { name: shown.to_owned(), off });
        };
        if off as u32 + size > end {
            return reject(TypeReason::WriteBeyondMember { off, size, name: shown.to_owned(), end });
        }
        Ok(())
    }

    /// A read through a pointer to a map, which the kernel sees as its struct.
    pub(super) fn check_map_struct(
        &mut self,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        value_reg: Option<u8>,
    ) -> Step {
        let Some(map) = self.reg(reg).map() else { return Err(Stop::unsupported("a map pointer without its map")) };
        let types = self.types_of(BtfRef::Vmlinux)?;
        let map_type = self.maps[map as usize].def.map_type;
        let name = map_type.row().object;
        let Some(id) = types.find(name, Kind::Struct) else {
            return Err(Stop::unsupported(format!("pointers to {map_type} maps as structs")));
        };
        if !self.allow_ptr_leaks() {
            return reject(MemoryReason::ObjectNeedsCapability { name: name.to_owned() });
        }
        if off < 0 {
            return reject(TypeReason::NegativeMapOffset { reg, name: name.to_owned(), off });
        }
        if access == Access::Write {
            return reject(TypeReason::MapStructWrite { name: name.to_owned() });
        }
        let plain = btf_reg(BtfRef::Vmlinux, id, TypeFlags::empty());
        let found = self.struct_member(&types, &plain, id, off as u32, size)?;
        let Some(v) = value_reg else { return Ok(()) };
        match found {
            Found::Number => self.mark_reg_unknown(v),
            Found::Probed if !self.has(Feature::UntrustedMemory) => self.mark_reg_unknown(v),
            Found::Probed => *self.reg_mut(v) = probed_memory(),
            Found::Pointer { id, flags, .. } => self.mark_btf_reg(v, BtfRef::Vmlinux, id, flags),
        }
        Ok(())
    }

    /// The typed pointer that a register stands for: its own type, or the struct behind a socket or a map.
    pub fn as_btf(&self, r: &RegState) -> Step<Option<(BtfRef, TypeId)>> {
        let name = match r.ty.base {
            RegBase::BtfId => {
                return Ok(match r.extra {
                    RegExtra::Btf { btf, id } => Some((btf, id)),
                    _ => None,
                });
            }
            RegBase::Socket => "sock",
            RegBase::SockCommon => "sock_common",
            RegBase::TcpSock => "tcp_sock",
            RegBase::ConstMap => "bpf_map",
            _ => return Ok(None),
        };
        let types = self.types_of(BtfRef::Vmlinux)?;
        Ok(types.find(name, Kind::Struct).map(|id| (BtfRef::Vmlinux, id)))
    }
}

/// Memory that may be read wherever it is: reads that fault give zero.
pub fn probed_memory() -> RegState {
    let ty = RegType::with(RegBase::Mem, TypeFlags::RDONLY | TypeFlags::UNTRUSTED);
    RegState::pointer(ty, RegExtra::Mem { size: 0, dynptr_id: 0 })
}
