//! What programs may be made of beyond arithmetic, stack, packets, maps, branches, loops and static functions.

use std::fmt;
use std::str::FromStr;

/// One thing that some programs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Construct {
    /// Program types other than XDP.
    Kinds,
    /// Types for functions where nothing needs them.
    Types,
    /// Functions that are verified on their own.
    Globals,
    /// `bpf_loop`.
    Loop,
    /// `bpf_for_each_map_elem`.
    Elements,
    /// `may_goto`.
    MayGoto,
    /// `bpf_iter_num`; needs kernel functions.
    Iterator,
    /// Records of a ring buffer.
    Ring,
    /// Dynamic pointers.
    Dynptr,
    /// Spin locks in map values.
    Lock,
    /// Packet loads of classic BPF.
    Legacy,
    /// Maps in maps.
    Nested,
    /// Tail calls.
    Tail,
    /// Helpers that read, write, lengthen and cut packets.
    Packets,
    /// Regions under RCU, without preemption or without interrupts; needs kernel functions.
    Regions,
    /// Kernel functions on dynamic pointers, and such pointers to packets.
    DynptrKfuncs,
    /// No types at all, whatever else the program has.
    Untyped,
    /// Values whose type has other names, or hides what is in it; with locks.
    Typedefs,
    /// Inner maps of several kinds, and lookups of elements that are known to be there.
    Inner,
    /// Functions that never return, where checks fail.
    Panics,
    /// Code as compilers write it without optimisation.
    Unoptimised,
}

impl Construct {
    /// What needs kernel functions.
    pub(super) const WITH_KFUNCS: Constructs = Constructs::of(&[Self::Iterator, Self::Regions, Self::DynptrKfuncs]);

    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Kinds,
        Self::Types,
        Self::Globals,
        Self::Loop,
        Self::Elements,
        Self::MayGoto,
        Self::Iterator,
        Self::Ring,
        Self::Dynptr,
        Self::Lock,
        Self::Legacy,
        Self::Nested,
        Self::Tail,
        Self::Packets,
        Self::Regions,
        Self::DynptrKfuncs,
        Self::Untyped,
        Self::Typedefs,
        Self::Inner,
        Self::Panics,
        Self::Unoptimised,
    ];
}

impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Construct {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|c| c.to_string()).join(", ");
        Self::ALL.into_iter().find(|c| c.to_string() == name).ok_or_else(|| format!("known are {}", known()))
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Constructs(u32);

impl Constructs {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self((1 << Construct::ALL.len()) - 1);

    /// Those in a list.
    pub const fn of(list: &[Construct]) -> Self {
        let (mut set, mut at) = (Self::NONE, 0);
        while at < list.len() {
            set = set.with(list[at]);
            at += 1;
        }
        set
    }

    /// One more.
    #[must_use]
    pub const fn with(self, construct: Construct) -> Self {
        Self(self.0 | 1 << construct as u8)
    }

    /// One less.
    #[must_use]
    pub const fn without(self, construct: Construct) -> Self {
        Self(self.0 & !(1 << construct as u8))
    }

    /// Those that are not in another set.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it is among them.
    pub const fn has(self, construct: Construct) -> bool {
        self.0 >> construct as u8 & 1 != 0
    }

    /// Those that are there.
    pub fn list(self) -> Vec<Construct> {
        Construct::ALL.into_iter().filter(|&c| self.has(c)).collect()
    }
}

/// Kernel functions that programs call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kfunc {
    IterNew,
    IterNext,
    IterDestroy,
    RcuLock,
    RcuUnlock,
    PreemptDisable,
    PreemptEnable,
    IrqSave,
    IrqRestore,
    DynptrSize,
    DynptrIsNull,
    DynptrAdjust,
    DynptrClone,
    DynptrSlice,
    DynptrFromSkb,
    DynptrFromXdp,
}

/// By [`Kfunc`].
const NAMES: [&str; 16] = [
    "bpf_iter_num_new",
    "bpf_iter_num_next",
    "bpf_iter_num_destroy",
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
    "bpf_local_irq_save",
    "bpf_local_irq_restore",
    "bpf_dynptr_size",
    "bpf_dynptr_is_null",
    "bpf_dynptr_adjust",
    "bpf_dynptr_clone",
    "bpf_dynptr_slice",
    "bpf_dynptr_from_skb",
    "bpf_dynptr_from_xdp",
];

/// Kernel functions that programs call, by their BTF ids in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfuncs([u32; NAMES.len()]);

impl Kfuncs {
    /// Those of a kernel; `None` where it lacks one.
    pub fn of(btf: &ebpfkit_object::Btf) -> Option<Self> {
        let mut ids = [0; NAMES.len()];
        for (id, name) in ids.iter_mut().zip(NAMES) {
            *id = btf.find(name, ebpfkit_object::btf::Kind::Func)?;
        }
        Some(Self(ids))
    }

    pub(super) fn id(&self, function: Kfunc) -> u32 {
        self.0[function as usize]
    }
}
