//! The entry points of memory access: by an instruction, and by a call that is given a buffer.

use super::Access;
use super::special::Touch;
use crate::domain::reg_type_str;
use crate::domain::{RegBase, RegState, RegType};
use crate::program::JUMP_SIZE;
use crate::reason::{MemoryReason, reject};
use crate::{Env, Step, Tnum};
use ebpfkit_abi::Feature;
use ebpfkit_abi::{ProgType, TypeFlags};

/// Largest size that a call's buffer may have (`BPF_MAX_VAR_SIZ`).
const MAX_SIZE: u64 = 1 << 29;
/// Bytes of `struct bpf_flow_keys`.
const FLOW_KEYS_SIZE: i32 = 56;

impl Env<'_> {
    /// Whether an access lies where the machine (or, when strict, every machine) can make it.
    pub(crate) fn check_alignment(&self, reg: u8, off: i32, size: u32, once: bool) -> Step {
        let r = self.reg(reg);
        let (what, strict) = match r.ty.base {
            RegBase::Packet | RegBase::PacketMeta => ("packet ", self.strict_alignment() || once),
            RegBase::FlowKeys => ("flow keys ", self.strict_alignment() || once),
            RegBase::MapKey => ("key ", self.strict_alignment() || once),
            RegBase::MapValue => ("value ", self.strict_alignment() || once || self.is_jump_table(r)),
            RegBase::Ctx => ("context ", self.strict_alignment() || once),
            RegBase::Stack => ("stack ", true),
            RegBase::Arena => return Ok(()),
            _ => ("", self.strict_alignment() || once),
        };
        if !strict || size == 1 {
            return Ok(());
        }
        let fixed = i64::from(r.off) + i64::from(off);
        // Ethernet headers are laid so that what follows them is aligned.
        let packet = what == "packet ";
        let sum: Tnum = r.var_off.add(Tnum::constant((fixed + if packet { 2 } else { 0 }) as u64));
        if (sum.value | sum.mask) & u64::from(size - 1) == 0 {
            return Ok(());
        }
        let var_off = self.bits(r.var_off);
        if self.has(Feature::WholeOffsets) {
            let at = r.var_off.add(Tnum::constant(i64::from(r.off) as u64));
            let at = if at.is_const() { (at.value as i64).to_string() } else { self.bits(at) };
            let net = if packet { "2+" } else { "" };
            let what = if packet { "packet " } else { what };
            return reject(MemoryReason::MisalignedAt { what, at: format!("{net}{at}"), off, size });
        }
        if packet {
            return reject(MemoryReason::MisalignedPacket { var_off, reg_off: r.off, off, size });
        }
        reject(MemoryReason::Misaligned { what, var_off, reg_off: r.off, off, size })
    }

    /// Checks an access of `size` bytes at `off` from register `reg`. A read sets `value_reg` (if given) to what is
    /// read; a write takes its value from there.
    #[allow(clippy::too_many_arguments)]
    pub fn check_mem_access(
        &mut self,
        insn_idx: usize,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        value_reg: Option<u8>,
        strict_alignment_once: bool,
        sign_extend: bool,
    ) -> Step {
        let _ = insn_idx;
        self.check_alignment(reg, off, size, strict_alignment_once)?;
        let r: RegState = *self.reg(reg);
        let off = off.wrapping_add(r.off);
        let name = self.kind_name(r.ty).into_owned();
        let invalid = || reject(MemoryReason::InvalidMemAccess { reg, ty: name.clone() });
        if r.ty.may_be_null() {
            return invalid();
        }
        let read_into = value_reg.filter(|_| access == Access::Read);
        let leaked = value_reg.filter(|&v| access == Access::Write && self.is_pointer_value(v));
        let no_leak = |target| leaked.map_or(Ok(()), |reg| reject(MemoryReason::LeaksAddress { reg, target }));
        match r.ty.base {
            RegBase::MapValue if r.ty.flags.is_empty() => {
                no_leak("map")?;
                let kptr = self.check_map_value(reg, off, size, access, false, Touch::Insn)?;
                if let Some(field) = kptr {
                    self.check_kptr_access(value_reg, &field)?;
                } else if let Some(v) = read_into
                    && self.is_jump_table(&r)
                {
                    if size != JUMP_SIZE {
                        return reject(MemoryReason::PartOfJump { size });
                    }
                    // Which entry it is says the offset.
                    *self.reg_mut(v) = RegState { ty: RegType::of(RegBase::Insn), off, ..r };
                } else if let Some(v) = read_into {
                    match self.frozen_value(&r, off, size) {
                        Some(value) => {
                            *self.reg_mut(v) = RegState::known(value);
                        }
                        None => self.mark_reg_unknown(v),
                    }
                }
            }
            RegBase::MapKey if r.ty.flags.is_empty() => {
                if access == Access::Write {
                    return reject(MemoryReason::KeyWrite { reg });
                }
                let key_size = r.map().map_or(0, |m| self.maps[m as usize].def.key_size);
                self.check_region(reg, off, size, key_size, false)?;
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::Socket | RegBase::SockCommon | RegBase::TcpSock | RegBase::XdpSock => {
                self.check_socket(reg, off, size, access, read_into)?;
            }
            RegBase::TpBuffer => {
                self.check_buffer(reg, "tracepoint", off, size)?;
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::Buf => {
                let readonly = r.ty.has(TypeFlags::RDONLY);
                if readonly && access == Access::Write {
                    return reject(MemoryReason::CannotWrite { reg, ty: reg_type_str(r.ty).into_owned() });
                }
                self.check_buffer(reg, if readonly { "rdonly" } else { "rdwr" }, off, size)?;
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::Mem => {
                if !r.ty.has(TypeFlags::RDONLY) {
                    no_leak("mem")?;
                }
                self.check_plain_memory(reg, off, size, access, false)?;
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::Ctx => {
                no_leak("ctx")?;
                self.check_ctx(reg, off, size, access, value_reg, sign_extend)?;
            }
            RegBase::Stack => match access {
                Access::Read => self.stack_read(reg, off, size, value_reg)?,
                Access::Write => self.stack_write(reg, off, size, value_reg)?,
            },
            RegBase::Packet | RegBase::PacketMeta => {
                if access == Access::Write && !self.may_write_packet() {
                    return reject(MemoryReason::PacketReadOnly {});
                }
                no_leak("packet")?;
                self.check_packet(reg, off, size, false)?;
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::FlowKeys => {
                no_leak("flow keys")?;
                if off < 0 || off.saturating_add(size as i32) > FLOW_KEYS_SIZE {
                    return reject(MemoryReason::FlowKeys { off, size });
                }
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            RegBase::BtfId => self.check_btf_object(reg, off, size, access, value_reg)?,
            RegBase::ConstMap => self.check_map_struct(reg, off, size, access, value_reg)?,
            RegBase::Arena => {
                if let Some(v) = read_into {
                    self.mark_reg_unknown(v);
                }
            }
            _ => return invalid(),
        }
        if let Some(v) = read_into
            && size < 8
            && self.reg(v).is_scalar()
        {
            if sign_extend && (self.reg(v).id, self.reg(v).off) != (0, 0) && self.sees(Feature::UnlinkedSignExtension) {
                // The number that was on the stack is another.
                self.reg_mut(v).clear_scalar_id();
            }
            if sign_extend {
                self.coerce_reg_to_size_sx(v, size);
            } else {
                self.coerce_reg_to_size(v, size);
            }
        }
        Ok(())
    }

    /// Checks a buffer of `size` bytes that a call reads or writes through register `reg`. `raw` is given for an
    /// output buffer that need not be initialised.
    pub fn check_helper_mem_access(
        &mut self,
        reg: u8,
        size: i32,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawBuffer>,
    ) -> Step {
        let r = *self.reg(reg);
        let bytes = size as u32;
        let cannot_write = || reject(MemoryReason::CannotWrite { reg, ty: reg_type_str(r.ty).into_owned() });
        let writes_readonly = access == Access::Write && r.ty.has(TypeFlags::RDONLY);
        match r.ty.base {
            RegBase::Packet | RegBase::PacketMeta => self.check_packet(reg, r.off, bytes, zero_size_allowed),
            RegBase::MapKey => {
                if access == Access::Write {
                    return cannot_write();
                }
                let key_size = r.map().map_or(0, |m| self.maps[m as usize].def.key_size);
                self.check_region(reg, r.off, bytes, key_size, false)
            }
            RegBase::MapValue => {
                self.check_map_value(reg, r.off, bytes, access, zero_size_allowed, Touch::Call).map(|_| ())
            }
            RegBase::Mem if writes_readonly => cannot_write(),
            RegBase::Mem => self.check_memory_region(reg, r.off, bytes, zero_size_allowed),
            RegBase::Buf if writes_readonly => cannot_write(),
            RegBase::Buf => {
                let kind = if r.ty.has(TypeFlags::RDONLY) { "rdonly" } else { "rdwr" };
                self.check_buffer(reg, kind, r.off, bytes)
            }
            RegBase::Stack => {
                // Kernels that do not tell reads by calls from writes take each for a write.
                let access = if self.has(Feature::StackAccessKinds) { access } else { Access::Write };
                self.check_stack_buffer(reg, r.off, size, access, zero_size_allowed, raw)
            }
            RegBase::BtfId if access == Access::Write && self.has(Feature::NoWritesByCalls) => cannot_write(),
            RegBase::BtfId => self.check_btf_object(reg, r.off, bytes, Access::Read, None),
            RegBase::Ctx if !self.rewrites_ctx() => match size {
                0 if zero_size_allowed => Ok(()),
                0 => reject(MemoryReason::ZeroContextBuffer {}),
                _ => self.check_mem_access(self.path.insn_idx, reg, size - 1, 1, access, None, false, false),
            },
            _ if zero_size_allowed && size == 0 && r.is_null() => Ok(()),
            _ => reject(MemoryReason::NoBuffer { reg, ty: reg_type_str(r.ty).into_owned() }),
        }
    }

    /// An access to a buffer whose size the loader of the program decides.
    fn check_buffer(&mut self, reg: u8, kind: &'static str, off: i32, size: u32) -> Step {
        let r = *self.reg(reg);
        if self.has(Feature::WholeOffsets) {
            let (at, of_insn) = (r.folded().var_off, off.wrapping_sub(r.off));
            if !at.is_const() {
                return reject(MemoryReason::BufferVariable { reg, off: of_insn, var_off: self.bits(at) });
            }
            let var_off = at.value as i64;
            let start = var_off.wrapping_add(of_insn.into());
            if start < 0 {
                return reject(MemoryReason::BufferNegativeAt { reg, kind, off: of_insn, var_off });
            }
            let end = u32::try_from(start).unwrap_or(u32::MAX).saturating_add(size);
            self.ctx_use.buffer_bytes = self.ctx_use.buffer_bytes.max(end);
            return Ok(());
        }
        if off < 0 {
            return reject(MemoryReason::BufferNegative { reg, kind, off, size });
        }
        if !r.var_off.is_const() || r.var_off.value != 0 {
            return reject(MemoryReason::BufferVariable { reg, off, var_off: self.bits(r.var_off) });
        }
        self.ctx_use.buffer_bytes = self.ctx_use.buffer_bytes.max((off as u32).saturating_add(size));
        Ok(())
    }

    /// Whether the kernel turns accesses to the context into others, so that calls cannot take it as a buffer.
    fn rewrites_ctx(&self) -> bool {
        !matches!(
            self.effective_prog_type(),
            ProgType::Syscall
                | ProgType::Kprobe
                | ProgType::Tracepoint
                | ProgType::RawTracepoint
                | ProgType::RawTracepointWritable
                | ProgType::Tracing
                | ProgType::Lsm
                | ProgType::StructOps
                | ProgType::CgroupDevice
                | ProgType::LircMode2
                | ProgType::Netfilter
        )
    }

    /// Checks a buffer at register `mem` whose size is in register `size_reg`.
    pub fn check_mem_size_reg(
        &mut self,
        mem: u8,
        size_reg: u8,
        access: Access,
        zero_size_allowed: bool,
        raw: Option<&mut RawBuffer>,
    ) -> Step {
        let s = *self.reg(size_reg);
        if s.smin < 0 {
            return reject(MemoryReason::NegativeSize { reg: size_reg });
        }
        if s.umin == 0 && !zero_size_allowed && !self.has(Feature::ZeroSizesNamed) {
            self.check_helper_mem_access(mem, 0, access, false, None)?;
        } else if s.umin == 0 && !zero_size_allowed {
            return reject(MemoryReason::ZeroSize { reg: size_reg, min: s.umin as i64, max: s.umax as i64 });
        }
        if s.umax >= MAX_SIZE {
            return reject(MemoryReason::UnboundedSize { reg: size_reg });
        }
        // A buffer of unknown size may be written only in part, so all of it must be initialised.
        let raw = raw.filter(|_| s.var_off.is_const());
        self.check_helper_mem_access(mem, s.umax as i32, access, zero_size_allowed, raw)?;
        self.mark_chain_precision(size_reg)
    }
}

/// An output buffer that need not be initialised: the call marks it as written once all arguments are checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawBuffer {
    /// Register that points to it.
    pub reg: u8,
    /// Bytes; zero when not on the stack.
    pub access_size: i32,
}
