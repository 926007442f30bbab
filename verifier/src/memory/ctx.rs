//! The context and sockets: which fields a program may touch, and what loading them gives.

use super::Access;
use super::types::btf_reg;
use crate::domain::reg_type_str;
use crate::domain::{BtfRef, RegBase, RegState, RegType};
use crate::reason::{MemoryReason, reject};
use crate::{Env, RegExtra, Step, Stop};
use ebpfkit_abi::ctx::{Loaded, SocketKind, Touch, access, is_upper_half, socket_access};
use ebpfkit_abi::{Feature, ProgType, TypeFlags};
use ebpfkit_object::btf::Kind;

/// Whether an access to `struct __sk_buff` at `off` is one to its `tstamp`.
fn is_timestamp(off: i32) -> bool {
    const TSTAMP: std::ops::Range<i32> = 152..160;
    TSTAMP.contains(&off)
}

/// Whether `struct __sk_buff` has nothing at `off` where time stamps have no types, although it goes on behind.
fn is_hole(kind: ProgType, off: i32) -> bool {
    use ProgType as P;
    matches!(kind, P::SocketFilter | P::SchedCls | P::SchedAct | P::CgroupSkb | P::SkSkb) && (180..184).contains(&off)
}

impl Env<'_> {
    /// A pointer that must stand at its start.
    pub(crate) fn check_unmoved(&self, reg: u8) -> Step {
        self.check_btf_offset(reg, false)
    }

    /// An access to the context; a read sets `value_reg`.
    pub(super) fn check_ctx(
        &mut self,
        reg: u8,
        off: i32,
        size: u32,
        access_kind: Access,
        value_reg: Option<u8>,
        sign_extend: bool,
    ) -> Step {
        let kind = self.effective_prog_type();
        let mut off = off;
        if kind == ProgType::Syscall && self.has(Feature::VariableContext) {
            self.check_region(reg, off, size, u16::MAX.into(), false)?;
            off = off.saturating_add(i32::try_from(self.reg(reg).umax).unwrap_or(i32::MAX));
        } else {
            self.check_unmoved(reg)?;
        }
        if self.has_btf_ctx() {
            self.check_btf_ctx(off, size, access_kind, value_reg)?;
            self.note_ctx(off, size, value_reg);
            return Ok(());
        }
        if kind == ProgType::Ext {
            return Err(Stop::unsupported(format!("the context of {kind} programs")));
        }
        let touch = Touch { off, size: size as u16, write: access_kind == Access::Write };
        let invalid = || reject(MemoryReason::ContextAccess { off, size });
        // Registers are written where they may be read.
        let writes_regs = kind == ProgType::Kprobe && touch.write && self.has(Feature::ProbesWriteRegisters);
        let asked = if writes_regs { Touch { write: false, ..touch } } else { touch };
        if !touch.write
            && (is_hole(kind, off) && !self.has(Feature::TimestampTypes) || self.is_half_pointer(kind, touch))
        {
            // It passes, and nothing can be made of it.
            self.untranslatable = true;
            if let Some(r) = value_reg {
                self.mark_reg_unknown(r);
            }
            return Ok(());
        }
        if !ebpfkit_abi::ctx::is_there(kind, off, self.kernel().version, |feature| self.has(feature)) {
            return invalid();
        }
        // Where its offsets vary, it need not be aligned either.
        let whole = kind == ProgType::Syscall && self.has(Feature::VariableContext);
        let loaded = if whole && (0..u16::MAX.into()).contains(&off) {
            Some(Loaded::Number)
        } else {
            access(kind, self.prog().attach_type, asked)
        };
        let Some(loaded) = loaded else { return invalid() };
        if sign_extend && loaded != Loaded::Number {
            return invalid();
        }
        let packet = matches!(loaded, Loaded::Packet | Loaded::PacketEnd);
        if kind == ProgType::CgroupSkb && !self.bpf_capable() && (packet || touch.write && is_timestamp(off)) {
            return invalid();
        }
        self.note_ctx(off, size, None);
        let Some(r) = value_reg.filter(|_| access_kind == Access::Read) else { return Ok(()) };
        if loaded == Loaded::Number {
            self.mark_reg_unknown(r);
            return Ok(());
        }
        let mut value = self.loaded_pointer(loaded)?;
        if value.ty.may_be_null() {
            value.id = self.new_id();
        }
        *self.reg_mut(r) = value;
        self.note_ctx(off, size, Some(r));
        Ok(())
    }

    /// Keeps what an access to the context takes for granted; `loaded` is the register that a load has set.
    fn note_ctx(&mut self, off: i32, size: u32, loaded: Option<u8>) {
        let off = off.max(0) as u32;
        self.ctx_use.bytes = self.ctx_use.bytes.max(off.saturating_add(size));
        let Some(value) = loaded.map(|r| self.reg(r)) else { return };
        let id = match (value.ty.base, value.btf()) {
            (RegBase::TpBuffer | RegBase::Buf, _) => 0,
            (_, Some((BtfRef::Vmlinux, id))) => id,
            _ => return,
        };
        if !self.ctx_use.arguments.contains(&(off, id)) {
            self.ctx_use.arguments.push((off, id));
        }
    }

    fn loaded_pointer(&self, loaded: Loaded) -> Step<RegState> {
        let plain = |base| RegState::pointer(RegType::of(base), RegExtra::None);
        let or_null = |base| RegState::pointer(RegType::with(base, TypeFlags::MAYBE_NULL), RegExtra::None);
        let packet = |base| RegState::pointer(RegType::of(base), RegExtra::Range(0));
        Ok(match loaded {
            Loaded::Number => self.unknown_scalar(),
            Loaded::Packet => packet(RegBase::Packet),
            Loaded::PacketMeta => packet(RegBase::PacketMeta),
            Loaded::PacketEnd => plain(RegBase::PacketEnd),
            Loaded::FlowKeys => plain(RegBase::FlowKeys),
            Loaded::Socket => plain(RegBase::Socket),
            Loaded::SocketOrNull => or_null(RegBase::Socket),
            Loaded::SockCommonOrNull => or_null(RegBase::SockCommon),
            Loaded::TracepointBuffer => plain(RegBase::TpBuffer),
            Loaded::Struct(name) => {
                let Some(id) = self.types_of(BtfRef::Vmlinux)?.find(name, Kind::Struct) else {
                    return Err(Stop::unsupported(format!("struct {name}, which this kernel does not have")));
                };
                btf_reg(BtfRef::Vmlinux, id, self.known_trust(TypeFlags::TRUSTED))
            }
        })
    }

    /// Whether a load takes the upper half of a pointer, in kernels that let it pass.
    fn is_half_pointer(&self, kind: ProgType, touch: Touch) -> bool {
        let whole = Touch { off: touch.off - 4, size: 8, write: false };
        touch.size == 4
            && touch.off >= 4
            && touch.off % 8 == 4
            && !self.has(Feature::WholeContextPointers)
            && access(kind, self.prog().attach_type, whole).is_some_and(|loaded| loaded != Loaded::Number)
    }

    /// A load from a socket that the program holds a pointer to.
    pub(super) fn check_socket(&mut self, reg: u8, off: i32, size: u32, access: Access, value: Option<u8>) -> Step {
        let r = *self.reg(reg);
        let ty = || reg_type_str(r.ty).into_owned();
        if access == Access::Write {
            return reject(MemoryReason::CannotWrite { reg, ty: ty() });
        }
        if r.smin < 0 {
            return reject(MemoryReason::NegativeIndex { reg });
        }
        let kind = match r.ty.base {
            RegBase::SockCommon => SocketKind::Common,
            RegBase::TcpSock => SocketKind::Tcp,
            RegBase::XdpSock => SocketKind::Xdp,
            _ => SocketKind::Full,
        };
        if !socket_access(kind, off, size as u16) {
            return reject(MemoryReason::SocketAccess { reg, ty: ty(), off, size });
        }
        self.untranslatable |= is_upper_half(kind, Touch { off, size: size as u16, write: false });
        if let Some(v) = value {
            self.mark_reg_unknown(v);
        }
        Ok(())
    }
}
