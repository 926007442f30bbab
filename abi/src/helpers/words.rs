//! The words that the rows are written in.

use crate::KernelVersion;
use crate::callers::Callers;
use crate::proto::{ArgBase, ArgType, HelperFlags, Prototype, RetBase, RetType, TypeFlags};

const fn arg(base: ArgBase) -> ArgType {
    ArgType { base, flags: TypeFlags::empty(), size: 0, btf: "" }
}

const fn with(base: ArgBase, flags: TypeFlags) -> ArgType {
    ArgType { base, flags, size: 0, btf: "" }
}

const NULL: TypeFlags = TypeFlags::MAYBE_NULL;
const RELEASE: TypeFlags = TypeFlags::RELEASE;
const UNINIT_OUT: TypeFlags = TypeFlags::UNINIT.union(TypeFlags::WRITE);

const NONE: ArgType = arg(ArgBase::DontCare);
pub(super) const ANY: ArgType = arg(ArgBase::Anything);
pub(super) const CTX: ArgType = arg(ArgBase::Ctx);
pub(super) const CTX_OR_NULL: ArgType = with(ArgBase::Ctx, NULL);
pub(super) const MAP: ArgType = arg(ArgBase::ConstMapPtr);
pub(super) const KEY: ArgType = arg(ArgBase::MapKey);
pub(super) const VALUE: ArgType = arg(ArgBase::MapValue);
pub(super) const VALUE_OR_NULL: ArgType = with(ArgBase::MapValue, NULL);
pub(super) const VALUE_OUT: ArgType = with(ArgBase::MapValue, UNINIT_OUT);
pub(super) const IN: ArgType = with(ArgBase::Mem, TypeFlags::RDONLY);
pub(super) const IN_OR_NULL: ArgType = with(ArgBase::Mem, TypeFlags::RDONLY.union(NULL));
pub(super) const OUT: ArgType = with(ArgBase::Mem, UNINIT_OUT);
pub(super) const INOUT: ArgType = with(ArgBase::Mem, TypeFlags::WRITE);
pub(super) const INOUT_OR_NULL: ArgType = with(ArgBase::Mem, TypeFlags::WRITE.union(NULL));
pub(super) const SIZE: ArgType = arg(ArgBase::ConstSize);
pub(super) const SIZE0: ArgType = arg(ArgBase::ConstSizeOrZero);
pub(super) const ALLOC_SIZE0: ArgType = arg(ArgBase::ConstAllocSizeOrZero);
pub(super) const STR: ArgType = arg(ArgBase::ConstStr);
pub(super) const FUNC: ArgType = arg(ArgBase::Func);
pub(super) const STACK_OR_NULL: ArgType = with(ArgBase::Stack, NULL);
pub(super) const SPIN_LOCK: ArgType = arg(ArgBase::SpinLock);
pub(super) const TIMER: ArgType = arg(ArgBase::Timer);
pub(super) const PERCPU: ArgType = arg(ArgBase::PercpuBtfId);
pub(super) const KPTR_DEST: ArgType = arg(ArgBase::KptrXchgDest);
pub(super) const KPTR_OR_NULL_RELEASE: ArgType = with(ArgBase::BtfId, NULL.union(RELEASE));
pub(super) const SOCK_COMMON: ArgType = arg(ArgBase::SockCommon);
pub(super) const SOCKET_OR_NULL: ArgType = with(ArgBase::Socket, NULL);
pub(super) const TYPED_SOCK: ArgType = arg(ArgBase::BtfIdSockCommon);
pub(super) const TYPED_SOCK_OR_NULL: ArgType = with(ArgBase::BtfIdSockCommon, NULL);
pub(super) const TYPED_SOCK_RELEASE: ArgType = with(ArgBase::BtfIdSockCommon, RELEASE);
pub(super) const RINGBUF_MEM_RELEASE: ArgType = with(ArgBase::RingbufMem, RELEASE);
pub(super) const DYNPTR: ArgType = with(ArgBase::Dynptr, TypeFlags::RDONLY);
pub(super) const LOCAL_DYNPTR_OUT: ArgType = with(ArgBase::Dynptr, TypeFlags::DYNPTR_LOCAL.union(UNINIT_OUT));
pub(super) const RINGBUF_DYNPTR_OUT: ArgType = with(ArgBase::Dynptr, TypeFlags::DYNPTR_RINGBUF.union(UNINIT_OUT));
pub(super) const RINGBUF_DYNPTR_RELEASE: ArgType = with(ArgBase::Dynptr, TypeFlags::DYNPTR_RINGBUF.union(RELEASE));

const fn fixed(size: u32, flags: TypeFlags) -> ArgType {
    ArgType { base: ArgBase::Mem, flags: flags.union(TypeFlags::FIXED_SIZE), size, btf: "" }
}

/// Memory of a fixed size that is read.
pub(super) const fn fixed_in(size: u32) -> ArgType {
    fixed(size, TypeFlags::RDONLY)
}

/// An aligned number of a fixed size that is read and written.
pub(super) const fn fixed_inout(size: u32) -> ArgType {
    fixed(size, TypeFlags::WRITE.union(TypeFlags::ALIGNED))
}

/// An aligned number of a fixed size that is written.
pub(super) const fn fixed_out(size: u32) -> ArgType {
    fixed(size, UNINIT_OUT.union(TypeFlags::ALIGNED))
}

/// A pointer to a struct of the kernel.
pub(super) const fn btf(btf: &'static str) -> ArgType {
    ArgType { base: ArgBase::BtfId, flags: TypeFlags::empty(), size: 0, btf }
}

/// A pointer to a struct of the kernel, or null.
pub(super) const fn btf_or_null(btf: &'static str) -> ArgType {
    ArgType { base: ArgBase::BtfId, flags: NULL, size: 0, btf }
}

const fn gives(base: RetBase, flags: TypeFlags, btf: &'static str) -> RetType {
    RetType { base, flags, btf }
}

pub(super) const INT: RetType = gives(RetBase::Integer, TypeFlags::empty(), "");
pub(super) const VOID: RetType = gives(RetBase::Void, TypeFlags::empty(), "");
pub(super) const VALUE_RET: RetType = gives(RetBase::MapValue, TypeFlags::empty(), "");
pub(super) const VALUE_OR_NULL_RET: RetType = gives(RetBase::MapValue, NULL, "");
pub(super) const SOCKET_OR_NULL_RET: RetType = gives(RetBase::Socket, NULL, "");
pub(super) const SOCK_COMMON_OR_NULL_RET: RetType = gives(RetBase::SockCommon, NULL, "");
pub(super) const TCP_SOCK_OR_NULL_RET: RetType = gives(RetBase::TcpSock, NULL, "");
pub(super) const MEM_OR_NULL_RET: RetType = gives(RetBase::Mem, NULL, "");
pub(super) const RINGBUF_MEM_OR_NULL_RET: RetType = gives(RetBase::Mem, NULL.union(TypeFlags::RINGBUF), "");
pub(super) const PERCPU_RET: RetType = gives(RetBase::MemOrBtfId, TypeFlags::RDONLY, "");
pub(super) const PERCPU_OR_NULL_RET: RetType = gives(RetBase::MemOrBtfId, TypeFlags::RDONLY.union(NULL), "");

/// A pointer to a struct of the kernel.
pub(super) const fn btf_ret(btf: &'static str) -> RetType {
    gives(RetBase::BtfId, TypeFlags::empty(), btf)
}

/// A pointer to a struct of the kernel, or null.
pub(super) const fn btf_or_null_ret(btf: &'static str) -> RetType {
    gives(RetBase::BtfId, NULL, btf)
}

/// A pointer to a struct of the kernel that the kernel vouches for.
pub(super) const fn trusted_ret(btf: &'static str) -> RetType {
    gives(RetBase::BtfId, TypeFlags::TRUSTED, btf)
}

pub(super) const GPL: u32 = HelperFlags::GPL_ONLY.bits();
pub(super) const PKT: u32 = HelperFlags::PKT_ACCESS.bits();
pub(super) const SLEEPS: u32 = HelperFlags::MIGHT_SLEEP.bits();
pub(super) const CHANGES: u32 = HelperFlags::CHANGES_PKT_DATA.bits();
pub(super) const FASTCALL: u32 = HelperFlags::FASTCALL.bits();
pub(super) const CAP_BPF: u32 = HelperFlags::CAP_BPF.bits();
pub(super) const CAP_PERFMON: u32 = HelperFlags::CAP_PERFMON.bits();
pub(super) const ACQUIRES: u32 = HelperFlags::ACQUIRES.bits();
pub(super) const CASTS: u32 = HelperFlags::CASTS.bits();
pub(super) const CALLS_BACK: u32 = HelperFlags::CALLS_BACK.bits();
pub(super) const CALLS_BACK_LATER: u32 = HelperFlags::CALLS_BACK_LATER.bits();
pub(super) const RETURNS_SIZE: u32 = HelperFlags::RETURNS_SIZE.bits();
pub(super) const OPTIONAL: u32 = HelperFlags::OPTIONAL.bits();

/// A version.
pub(super) const fn v(major: u16, minor: u16) -> KernelVersion {
    KernelVersion::new(major, minor, 0)
}

/// A prototype and who calls it.
pub(super) const fn proto(args: &[ArgType], ret: RetType, flags: u32, callers: u64) -> Prototype {
    let mut all = [NONE; 5];
    let mut i = 0;
    while i < args.len() {
        all[i] = args[i];
        i += 1;
    }
    Prototype { args: all, ret, flags: HelperFlags::from_bits_retain(flags), callers: Callers(callers) }
}
