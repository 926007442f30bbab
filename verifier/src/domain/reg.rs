//! What is known of a register's value.

use super::tnum::Tnum;
use ebpfkit_abi::TypeFlags;
pub use ebpfkit_object::btf::BtfRef;
use ebpfkit_object::btf::TypeId;

/// Kinds of values, before modifiers (`enum bpf_reg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum RegBase {
    #[default]
    NotInit = 0,
    Scalar = 1,
    Ctx = 2,
    ConstMap = 3,
    MapValue = 4,
    MapKey = 5,
    Stack = 6,
    PacketMeta = 7,
    Packet = 8,
    PacketEnd = 9,
    FlowKeys = 10,
    Socket = 11,
    SockCommon = 12,
    TcpSock = 13,
    TpBuffer = 14,
    XdpSock = 15,
    BtfId = 16,
    Mem = 17,
    Arena = 18,
    Buf = 19,
    Func = 20,
    ConstDynptr = 21,
    Insn = 22,
}

/// Kind of a value with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct RegType {
    /// Kind.
    pub base: RegBase,
    /// Modifiers.
    pub flags: TypeFlags,
}

impl RegType {
    /// Never written.
    pub const NOT_INIT: Self = Self::of(RegBase::NotInit);
    /// A number.
    pub const SCALAR: Self = Self::of(RegBase::Scalar);

    /// A kind without modifiers.
    pub const fn of(base: RegBase) -> Self {
        Self { base, flags: TypeFlags::empty() }
    }

    /// A kind with modifiers.
    pub const fn with(base: RegBase, flags: TypeFlags) -> Self {
        Self { base, flags }
    }

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: TypeFlags) -> bool {
        self.flags.contains(flags)
    }

    /// May be null.
    pub const fn may_be_null(self) -> bool {
        self.has(TypeFlags::MAYBE_NULL)
    }
}

/// What else is known, by kind (`union` in the kernel's `bpf_reg_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum RegExtra {
    #[default]
    None,
    /// Packet pointers: bytes proved to be inside the packet, and how far beyond (`range`); negative values are the
    /// kernel's `AT_PKT_END` (-1) and `BEYOND_PKT_END` (-2).
    Range(i32),
    /// Map pointers, map values and keys: the map (index in the environment) and, for inner maps, which lookup.
    Map { map: u32, uid: u32 },
    /// BTF-typed pointers.
    Btf { btf: BtfRef, id: TypeId },
    /// Memory of known size, and for dynptr slices the dynptr they come from.
    Mem { size: u32, dynptr_id: u32 },
    /// A dynptr on the stack or by constant pointer.
    Dynptr { kind: DynptrKind, first_slot: bool },
    /// An iterator on the stack.
    Iter { btf: BtfRef, id: TypeId, state: IterState, depth: u32 },
    /// Saved interrupt flags on the stack; the kfunc class that made them.
    Irq { native: bool },
    /// A subprogram's address.
    Func { subprog: u32 },
}

/// What a dynptr is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DynptrKind {
    Invalid,
    Local,
    Ringbuf,
    Skb,
    Xdp,
    SkbMeta,
    File,
}

/// State of an open-coded iterator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IterState {
    Invalid,
    Active,
    Drained,
}

/// What is known of one register or spilled value. Scalars: `var_off` and the four pairs of bounds; pointers: the
/// same of their variable offset, plus the fixed offset `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegState {
    /// Kind.
    pub ty: RegType,
    /// Fixed part of a pointer's offset; for linked scalars the distance from the others with the same id.
    pub off: i32,
    /// Details by kind.
    pub extra: RegExtra,
    /// Known bits of the value (scalars) or of the variable offset (pointers).
    pub var_off: Tnum,
    /// Least signed value.
    pub smin: i64,
    /// Greatest signed value.
    pub smax: i64,
    /// Least unsigned value.
    pub umin: u64,
    /// Greatest unsigned value.
    pub umax: u64,
    /// Least signed value of the low 32 bits.
    pub s32_min: i32,
    /// Greatest signed value of the low 32 bits.
    pub s32_max: i32,
    /// Least unsigned value of the low 32 bits.
    pub u32_min: u32,
    /// Greatest unsigned value of the low 32 bits.
    pub u32_max: u32,
    /// Identity shared by copies (`id`; for scalars with [`RegState::ADD_CONST`]); zero for none.
    pub id: u32,
    /// Identity of the acquired reference this pointer came from; zero for none.
    pub ref_obj_id: u32,
    /// Frame whose stack a stack pointer points into; callback frame kind for the rest.
    pub frameno: u32,
    /// Slot after which the upper 32 bits are known to be zero-extended by definition; kept for the log only.
    pub subreg_def: i32,
    /// The exact value matters: pruning must compare bounds.
    pub precise: bool,
}

impl RegState {
    /// Set in [`RegState::id`] when `off` is the constant distance between linked scalars.
    pub const ADD_CONST: u32 = Self::ADD_CONST64 | Self::ADD_CONST32;
    /// The distance was added with all 64 bits.
    pub const ADD_CONST64: u32 = 1 << 31;
    /// The distance was added to the low 32 bits, and the upper ones cleared.
    pub const ADD_CONST32: u32 = 1 << 30;

    /// Never written.
    pub const NOT_INIT: Self = Self {
        ty: RegType::NOT_INIT,
        off: 0,
        extra: RegExtra::None,
        var_off: Tnum::UNKNOWN,
        smin: i64::MIN,
        smax: i64::MAX,
        umin: 0,
        umax: u64::MAX,
        s32_min: i32::MIN,
        s32_max: i32::MAX,
        u32_min: 0,
        u32_max: u32::MAX,
        id: 0,
        ref_obj_id: 0,
        frameno: 0,
        subreg_def: 0,
        precise: false,
    };

    /// A number of which nothing is known (imprecise).
    pub const UNKNOWN: Self = Self { ty: RegType::SCALAR, ..Self::NOT_INIT };

    /// A known number.
    pub const fn known(value: u64) -> Self {
        let mut r = Self::UNKNOWN;
        r.set_known_bounds(value);
        r
    }

    /// A pointer at offset zero.
    pub const fn pointer(ty: RegType, extra: RegExtra) -> Self {
        let mut r = Self::NOT_INIT;
        r.ty = ty;
        r.extra = extra;
        r.set_known_bounds(0);
        r
    }

    /// Makes value (or variable offset) and all bounds this constant; leaves kind and identity alone.
    pub const fn set_known_bounds(&mut self, value: u64) {
        self.var_off = Tnum::constant(value);
        self.smin = value as i64;
        self.smax = value as i64;
        self.umin = value;
        self.umax = value;
        self.s32_min = value as i32;
        self.s32_max = value as i32;
        self.u32_min = value as u32;
        self.u32_max = value as u32;
    }

    /// Forgets all bounds of value or variable offset; leaves kind and identity alone.
    pub const fn set_unbounded(&mut self) {
        self.set_unbounded64();
        self.set_unbounded32();
    }

    /// Forgets the 64-bit bounds.
    pub const fn set_unbounded64(&mut self) {
        (self.smin, self.smax, self.umin, self.umax) = (i64::MIN, i64::MAX, 0, u64::MAX);
    }

    /// Forgets the 32-bit bounds.
    pub const fn set_unbounded32(&mut self) {
        (self.s32_min, self.s32_max, self.u32_min, self.u32_max) = (i32::MIN, i32::MAX, 0, u32::MAX);
    }

    /// The pointer with all of its offset in the variable part. Bounds are not synchronised.
    #[must_use]
    pub fn folded(mut self) -> Self {
        let off = i64::from(self.off);
        let low = |v: i64| v.checked_add(off);
        (self.smin, self.smax) = match (low(self.smin), low(self.smax)) {
            (Some(min), Some(max)) => (min, max),
            _ => (i64::MIN, i64::MAX),
        };
        let (min, max) = (self.umin.wrapping_add(off as u64), self.umax.wrapping_add(off as u64));
        (self.umin, self.umax) = if min <= max { (min, max) } else { (0, u64::MAX) };
        self.var_off = self.var_off.add(Tnum::constant(off as u64));
        self.off = 0;
        self
    }

    /// Whether this is a number.
    pub fn is_scalar(&self) -> bool {
        self.ty.base == RegBase::Scalar
    }

    /// Whether this is a constant number; its value.
    pub fn const_value(&self) -> Option<u64> {
        (self.is_scalar() && self.var_off.is_const()).then_some(self.var_off.value)
    }

    /// Whether this is known to be the null pointer: the constant zero.
    pub fn is_null(&self) -> bool {
        self.const_value() == Some(0)
    }

    /// The map of a map pointer, map value or key.
    pub fn map(&self) -> Option<u32> {
        match self.extra {
            RegExtra::Map { map, .. } => Some(map),
            _ => None,
        }
    }

    /// The BTF type of a typed pointer.
    pub fn btf(&self) -> Option<(BtfRef, TypeId)> {
        match self.extra {
            RegExtra::Btf { btf, id } | RegExtra::Iter { btf, id, .. } => Some((btf, id)),
            _ => None,
        }
    }

    /// Bytes proved accessible of a packet pointer; zero for others.
    pub fn range(&self) -> i32 {
        match self.extra {
            RegExtra::Range(r) => r,
            _ => 0,
        }
    }
}

impl Default for RegState {
    fn default() -> Self {
        Self::NOT_INIT
    }
}
