//! The vocabulary of helper prototypes: argument kinds, return kinds and type modifiers.
//!
//! The verifier's register types use the same modifiers ([`TypeFlags`]).

use crate::KernelVersion;
use crate::callers::Callers;
use crate::map_type::MapTypes;

bitflags::bitflags! {
    /// Modifiers of a register, argument or return type (names as in the kernel's `enum bpf_type_flag`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct TypeFlags: u32 {
        /// May be null.
        const MAYBE_NULL = 1 << 8;
        /// Memory that may only be read.
        const RDONLY = 1 << 9;
        /// Memory reserved in a ring buffer.
        const RINGBUF = 1 << 10;
        /// User-space memory.
        const USER = 1 << 11;
        /// Per-CPU memory.
        const PERCPU = 1 << 12;
        /// The argument is released by the call.
        const RELEASE = 1 << 13;
        /// A pointer that must not be trusted.
        const UNTRUSTED = 1 << 14;
        /// Memory that need not be initialised.
        const UNINIT = 1 << 15;
        /// Dynptr over program memory.
        const DYNPTR_LOCAL = 1 << 16;
        /// Dynptr over a ring buffer.
        const DYNPTR_RINGBUF = 1 << 17;
        /// Memory of a size that the prototype fixes.
        const FIXED_SIZE = 1 << 18;
        /// Object allocated by the program.
        const ALLOC = 1 << 19;
        /// Pointer that the kernel vouches for.
        const TRUSTED = 1 << 20;
        /// Protected by RCU.
        const RCU = 1 << 21;
        /// Non-owning reference to a graph node.
        const NON_OWN_REF = 1 << 22;
        /// Dynptr over an skb.
        const DYNPTR_SKB = 1 << 23;
        /// Dynptr over an XDP frame.
        const DYNPTR_XDP = 1 << 24;
        /// Memory that must be aligned for its size.
        const ALIGNED = 1 << 25;
        /// Memory that the call writes.
        const WRITE = 1 << 26;
        /// Dynptr over an skb's metadata.
        const DYNPTR_SKB_META = 1 << 27;
        /// Dynptr over a file.
        const DYNPTR_FILE = 1 << 28;
    }
}

impl TypeFlags {
    /// All dynptr kinds.
    pub const DYNPTR_ANY: Self = Self::DYNPTR_LOCAL
        .union(Self::DYNPTR_RINGBUF)
        .union(Self::DYNPTR_SKB)
        .union(Self::DYNPTR_XDP)
        .union(Self::DYNPTR_SKB_META)
        .union(Self::DYNPTR_FILE);
}

/// What an argument must be, before modifiers (`enum bpf_arg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum ArgBase {
    #[default]
    DontCare,
    ConstMapPtr,
    MapKey,
    MapValue,
    Mem,
    Arena,
    ConstSize,
    ConstSizeOrZero,
    Ctx,
    Anything,
    SpinLock,
    SockCommon,
    Socket,
    BtfId,
    RingbufMem,
    ConstAllocSizeOrZero,
    BtfIdSockCommon,
    PercpuBtfId,
    Func,
    Stack,
    ConstStr,
    Timer,
    KptrXchgDest,
    Dynptr,
}

/// One argument of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ArgType {
    /// Kind.
    pub base: ArgBase,
    /// Modifiers.
    pub flags: TypeFlags,
    /// Bytes, for memory of fixed size; otherwise zero.
    pub size: u32,
    /// Kernel struct for [`ArgBase::BtfId`] and [`ArgBase::PercpuBtfId`]; empty when any will do.
    pub btf: &'static str,
}

/// What a helper returns, before modifiers (`enum bpf_return_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum RetBase {
    #[default]
    Integer,
    Void,
    MapValue,
    Socket,
    TcpSock,
    SockCommon,
    Mem,
    MemOrBtfId,
    BtfId,
}

/// Return type of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RetType {
    /// Kind.
    pub base: RetBase,
    /// Modifiers.
    pub flags: TypeFlags,
    /// Kernel struct for [`RetBase::BtfId`]; empty otherwise.
    pub btf: &'static str,
}

bitflags::bitflags! {
    /// Properties of a helper.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct HelperFlags: u32 {
        /// Only for programs with a GPL-compatible license.
        const GPL_ONLY = 1 << 0;
        /// May access packet data directly (`pkt_access`).
        const PKT_ACCESS = 1 << 1;
        /// May sleep.
        const MIGHT_SLEEP = 1 << 2;
        /// Invalidates packet pointers.
        const CHANGES_PKT_DATA = 1 << 3;
        /// The call keeps caller-saved registers when inlined (`allow_fastcall`).
        const FASTCALL = 1 << 4;
        /// Needs `CAP_BPF`.
        const CAP_BPF = 1 << 5;
        /// Needs `CAP_PERFMON`.
        const CAP_PERFMON = 1 << 6;
        /// Offered only where the kernel is configured for it, which the modelled one is not.
        const OPTIONAL = 1 << 8;
        /// Returns an object that must be released.
        const ACQUIRES = 1 << 9;
        /// Returns its first argument as another type, with the same reference.
        const CASTS = 1 << 10;
        /// Runs a function of the program before it returns.
        const CALLS_BACK = 1 << 11;
        /// Has a function of the program run later.
        const CALLS_BACK_LATER = 1 << 12;
        /// Returns how many bytes it wrote, or an error.
        const RETURNS_SIZE = 1 << 13;
    }
}

/// One prototype of a helper: what programs of some kinds call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prototype {
    /// Arguments; trailing ones are [`ArgBase::DontCare`].
    pub args: [ArgType; 5],
    /// Return type.
    pub ret: RetType,
    /// Properties.
    pub flags: HelperFlags,
    /// Kinds of programs that have it.
    pub callers: Callers,
}

impl Prototype {
    /// How many arguments it takes.
    pub fn arg_count(&self) -> usize {
        self.args.iter().rposition(|a| a.base != ArgBase::DontCare).map_or(0, |last| last + 1)
    }
}

/// A helper. It may have several prototypes, for different kinds of programs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Helper {
    /// Number in `BPF_CALL`.
    pub id: u32,
    /// Name with its `bpf_` prefix.
    pub name: &'static str,
    /// First version that has it.
    pub since: KernelVersion,
    /// Map types that it works on, where it is called with a map.
    pub maps: MapTypes,
    /// Prototypes; no kind of program has two.
    pub prototypes: &'static [Prototype],
}
