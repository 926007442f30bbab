//! What a register's value is known to be: its kind in words, what follows from the kind, and its narrowing and
//! extension.

use super::reg::{RegBase, RegState, RegType};
use super::tnum::Tnum;
use ebpfkit_abi::TypeFlags;
use std::borrow::Cow;

/// Name of a kind in messages (`reg_type_str`).
pub fn reg_type_str(ty: RegType) -> Cow<'static, str> {
    const PREFIXES: [(TypeFlags, &str); 7] = [
        (TypeFlags::RDONLY, "rdonly_"),
        (TypeFlags::RINGBUF, "ringbuf_"),
        (TypeFlags::USER, "user_"),
        (TypeFlags::PERCPU, "percpu_"),
        (TypeFlags::RCU, "rcu_"),
        (TypeFlags::UNTRUSTED, "untrusted_"),
        (TypeFlags::TRUSTED, "trusted_"),
    ];
    let base = match ty.base {
        RegBase::NotInit => "?",
        RegBase::Scalar => "scalar",
        RegBase::Ctx => "ctx",
        RegBase::ConstMap => "map_ptr",
        RegBase::MapValue => "map_value",
        RegBase::MapKey => "map_key",
        RegBase::Stack => "fp",
        RegBase::PacketMeta => "pkt_meta",
        RegBase::Packet => "pkt",
        RegBase::PacketEnd => "pkt_end",
        RegBase::FlowKeys => "flow_keys",
        RegBase::Socket => "sock",
        RegBase::SockCommon => "sock_common",
        RegBase::TcpSock => "tcp_sock",
        RegBase::TpBuffer => "tp_buffer",
        RegBase::XdpSock => "xdp_sock",
        RegBase::BtfId => "ptr_",
        RegBase::Mem => "mem",
        RegBase::Arena => "arena",
        RegBase::Insn => "insn",
        RegBase::Buf => "buf",
        RegBase::Func => "func",
        RegBase::ConstDynptr => "dynptr_ptr",
    };
    let mut text = String::new();
    for (flag, name) in PREFIXES {
        if ty.has(flag) {
            text.push_str(name);
        }
    }
    let postfix = match (ty.may_be_null(), ty.base) {
        (false, _) => "",
        (true, RegBase::BtfId) => "or_null_",
        (true, _) => "_or_null",
    };
    if text.is_empty() && postfix.is_empty() {
        return Cow::Borrowed(base);
    }
    text.push_str(base);
    text.push_str(postfix);
    Cow::Owned(text)
}

impl RegState {
    /// Whether this is a packet pointer of any kind but its end.
    pub fn is_pkt(&self) -> bool {
        matches!(self.ty, t if t == RegType::of(RegBase::Packet) || t == RegType::of(RegBase::PacketMeta))
    }

    /// Whether this is a packet pointer of any kind, its end included.
    pub fn is_pkt_any(&self) -> bool {
        self.is_pkt() || self.ty == RegType::of(RegBase::PacketEnd)
    }

    /// Whether this is a pointer and is known not to be null (`reg_not_null`), at whatever offset.
    pub fn not_null(&self) -> bool {
        if self.ty.may_be_null() {
            return false;
        }
        match self.ty.base {
            RegBase::Socket
            | RegBase::TcpSock
            | RegBase::MapValue
            | RegBase::MapKey
            | RegBase::SockCommon
            | RegBase::ConstMap => true,
            RegBase::BtfId => self.is_trusted_btf(),
            RegBase::Mem => !self.ty.has(TypeFlags::UNTRUSTED),
            _ => false,
        }
    }

    /// Whether the kernel vouches for this BTF-typed pointer: it is referenced, or has nothing but trusted modifiers
    /// (`is_trusted_reg`).
    pub fn is_trusted_btf(&self) -> bool {
        let trusted = TypeFlags::ALLOC | TypeFlags::TRUSTED | TypeFlags::NON_OWN_REF;
        self.ref_obj_id != 0 || self.ty.flags.intersects(trusted) && trusted.contains(self.ty.flags)
    }

    /// Drops the identity of a number (`clear_scalar_id`).
    pub fn clear_scalar_id(&mut self) {
        self.id = 0;
        self.off = 0;
    }

    /// Whether the known bits and all of the bounds allow this value.
    pub fn holds(&self, x: u64) -> bool {
        self.var_off.holds(x)
            && (self.umin..=self.umax).contains(&x)
            && (self.smin..=self.smax).contains(&(x as i64))
            && (self.u32_min..=self.u32_max).contains(&(x as u32))
            && (self.s32_min..=self.s32_max).contains(&(x as i32))
    }

    /// Bits that may be set, at most (`get_reg_width`).
    pub fn width(&self) -> u32 {
        64 - self.umax.leading_zeros()
    }

    /// The 64-bit bounds become those of the low half, zero-extended (`__reg_assign_32_into_64`).
    pub(super) fn assign_32_into_64(&mut self) {
        self.umin = self.u32_min.into();
        self.umax = self.u32_max.into();
        (self.smin, self.smax) = if self.s32_min >= 0 && self.s32_max >= 0 {
            (self.s32_min.into(), self.s32_max.into())
        } else {
            (0, u32::MAX.into())
        };
    }

    /// The value becomes its low half, zero-extended (`zext_32_to_64`). Bounds are not synchronised.
    pub fn zext_32_to_64(&mut self) {
        self.var_off = self.var_off.subreg();
        self.assign_32_into_64();
    }

    /// The value becomes its low `bytes` bytes, zero-extended.
    pub fn coerce_to_size(&mut self, bytes: u32) {
        if bytes >= 8 {
            return;
        }
        self.cut_to_size(bytes);
        if bytes < 4 {
            self.set_unbounded32();
        }
        self.sync_bounds();
    }

    /// The same for fewer than eight bytes, but for the bounds of the low half and what follows from them.
    pub(super) fn cut_to_size(&mut self, bytes: u32) {
        self.var_off = self.var_off.cast(bytes);
        let keep = (1u64 << (bytes * 8)) - 1;
        if self.umin & !keep == self.umax & !keep {
            self.umin &= keep;
            self.umax &= keep;
        } else {
            (self.umin, self.umax) = (0, keep);
        }
        (self.smin, self.smax) = (self.umin as i64, self.umax as i64);
    }

    /// The value becomes its low 1, 2 or 4 bytes, sign-extended to 64 bits.
    pub fn coerce_to_size_sx(&mut self, bytes: u32) {
        let bits = (bytes * 8).min(64);
        if bits == 64 || bits == 0 {
            return;
        }
        let extend = |v: u64| ((v << (64 - bits)) as i64) >> (64 - bits);
        if self.var_off.is_const() {
            self.set_known_bounds(extend(self.var_off.value) as u64);
            return;
        }
        if self.smax >> bits == self.smin >> bits {
            let (a, b) = (extend(self.smax as u64), extend(self.smin as u64));
            let (lo, hi) = (a.min(b), a.max(b));
            if (lo >= 0) == (hi >= 0) {
                (self.smin, self.smax, self.umin, self.umax) = (lo, hi, lo as u64, hi as u64);
                (self.s32_min, self.s32_max) = (lo as i32, hi as i32);
                (self.u32_min, self.u32_max) = (lo as u32, hi as u32);
                self.var_off = Tnum::range(lo as u64, hi as u64);
                return;
            }
        }
        let most = (1i64 << (bits - 1)) - 1;
        (self.smin, self.smax) = (-most - 1, most);
        (self.s32_min, self.s32_max) = ((-most - 1) as i32, most as i32);
        (self.umin, self.umax, self.u32_min, self.u32_max) = (0, u64::MAX, 0, u32::MAX);
        self.var_off = Tnum::UNKNOWN;
    }

    /// The low half becomes its low 1 or 2 bytes, sign-extended to 32 bits; the caller clears the upper half.
    pub fn coerce_subreg_to_size_sx(&mut self, bytes: u32) {
        let bits = (bytes * 8).clamp(8, 16);
        let extend = |v: u32| ((v << (32 - bits)) as i32) >> (32 - bits);
        if self.var_off.is_const() {
            let v = extend(self.var_off.value as u32);
            self.var_off = Tnum::constant(i64::from(v) as u64);
            (self.s32_min, self.s32_max, self.u32_min, self.u32_max) = (v, v, v as u32, v as u32);
            return;
        }
        if self.s32_max >> bits == self.s32_min >> bits {
            let (a, b) = (extend(self.s32_max as u32), extend(self.s32_min as u32));
            let (lo, hi) = (a.min(b), a.max(b));
            if (lo >= 0) == (hi >= 0) {
                (self.s32_min, self.s32_max, self.u32_min, self.u32_max) = (lo, hi, lo as u32, hi as u32);
                self.var_off = Tnum::range(i64::from(lo) as u64, i64::from(hi) as u64).subreg();
                return;
            }
        }
        let most = (1i32 << (bits - 1)) - 1;
        (self.s32_min, self.s32_max, self.u32_min, self.u32_max) = (-most - 1, most, 0, u32::MAX);
        self.var_off = Tnum::UNKNOWN.subreg();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds() {
        let t = |base, flags| reg_type_str(RegType::with(base, flags)).into_owned();
        assert_eq!(t(RegBase::MapValue, TypeFlags::MAYBE_NULL), "map_value_or_null");
        assert_eq!(t(RegBase::BtfId, TypeFlags::MAYBE_NULL | TypeFlags::RCU), "rcu_ptr_or_null_");
        assert_eq!(t(RegBase::BtfId, TypeFlags::TRUSTED), "trusted_ptr_");
        assert_eq!(t(RegBase::Stack, TypeFlags::empty()), "fp");
    }

    #[test]
    fn sign_extension_of_ranges() {
        let mut r = RegState::UNKNOWN;
        (r.umin, r.umax) = (0xf0, 0xff);
        r.sync_bounds();
        r.coerce_to_size_sx(1);
        assert_eq!((r.smin, r.smax), (-16, -1));
        let mut r = RegState::UNKNOWN;
        r.coerce_to_size_sx(1);
        assert_eq!((r.smin, r.smax, r.s32_min, r.s32_max), (-128, 127, -128, 127));
    }
}
