//! Which kinds of registers an argument takes, and at which offsets.

use crate::domain::reg_type_str;
use crate::domain::{BtfRef, RegBase as B, RegExtra, RegState, RegType};
use crate::memory::btf_walk::holds_struct;
use crate::reason::{CallReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::proto::{ArgBase, ArgType};
use ebpfkit_abi::{Feature, Helper, TypeFlags};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::record::Field;

const fn plain(base: B) -> RegType {
    RegType::of(base)
}

const fn with(base: B, flags: TypeFlags) -> RegType {
    RegType::with(base, flags)
}

const TRUSTED_BTF: RegType = with(B::BtfId, TypeFlags::TRUSTED);
const RCU_BTF: RegType = with(B::BtfId, TypeFlags::RCU);
const ALLOC_BTF: RegType = with(B::BtfId, TypeFlags::ALLOC);
const BORROWED_BTF: RegType = with(B::BtfId, TypeFlags::ALLOC.union(TypeFlags::NON_OWN_REF));
const BORROWED_RCU_BTF: RegType = with(B::BtfId, TypeFlags::ALLOC.union(TypeFlags::NON_OWN_REF).union(TypeFlags::RCU));
const RINGBUF_MEM: RegType = with(B::Mem, TypeFlags::RINGBUF);

/// Kinds that hold memory (`mem_types`).
const MEMORY: &[RegType] = &[
    plain(B::Stack),
    plain(B::Packet),
    plain(B::PacketMeta),
    plain(B::MapKey),
    plain(B::MapValue),
    plain(B::Mem),
    RINGBUF_MEM,
    plain(B::Buf),
    TRUSTED_BTF,
];
const SOCKETS: &[RegType] = &[plain(B::SockCommon), plain(B::Socket), plain(B::TcpSock), plain(B::XdpSock)];
const TYPED_SOCKETS: &[RegType] =
    &[plain(B::SockCommon), plain(B::Socket), plain(B::TcpSock), plain(B::XdpSock), plain(B::BtfId), TRUSTED_BTF];

const SCALAR: &[RegType] = &[RegType::SCALAR];
const VALUE_OR_OBJECT: &[RegType] = &[plain(B::MapValue), ALLOC_BTF];
const VALUE: &[RegType] = &[plain(B::MapValue)];

/// The kinds of registers that an argument takes, in the order in which messages list them
/// (`compatible_reg_types`).
#[rustfmt::skip]
static KINDS: &[(ArgBase, &[RegType])] = &[
    (ArgBase::MapKey, MEMORY),
    (ArgBase::MapValue, MEMORY),
    (ArgBase::Mem, MEMORY),
    (ArgBase::ConstSize, SCALAR),
    (ArgBase::ConstSizeOrZero, SCALAR),
    (ArgBase::ConstAllocSizeOrZero, SCALAR),
    (ArgBase::ConstMapPtr, &[plain(B::ConstMap)]),
    (ArgBase::Ctx, &[plain(B::Ctx)]),
    (ArgBase::SockCommon, SOCKETS),
    (ArgBase::BtfIdSockCommon, TYPED_SOCKETS),
    (ArgBase::Socket, &[plain(B::Socket)]),
    (ArgBase::BtfId, &[plain(B::BtfId), TRUSTED_BTF, RCU_BTF]),
    (ArgBase::SpinLock, VALUE_OR_OBJECT),
    (ArgBase::KptrXchgDest, &[plain(B::MapValue), ALLOC_BTF, BORROWED_BTF, BORROWED_RCU_BTF]),
    (ArgBase::RingbufMem, &[RINGBUF_MEM]),
    (ArgBase::PercpuBtfId, &[
        with(B::BtfId, TypeFlags::PERCPU),
        with(B::BtfId, TypeFlags::PERCPU.union(TypeFlags::RCU)),
        with(B::BtfId, TypeFlags::PERCPU.union(TypeFlags::TRUSTED)),
    ]),
    (ArgBase::Func, &[plain(B::Func)]),
    (ArgBase::Stack, &[plain(B::Stack)]),
    (ArgBase::ConstStr, VALUE),
    (ArgBase::Timer, VALUE),
    (ArgBase::Dynptr, &[plain(B::Stack), plain(B::ConstDynptr)]),
];

impl Env<'_> {
    /// The kinds that the modelled kernel knows of those that an argument takes.
    fn kinds_for(&self, base: ArgBase) -> impl Iterator<Item = RegType> + Clone {
        let kinds: &[RegType] = KINDS.iter().find(|(b, _)| *b == base).map_or(&[], |(_, kinds)| kinds);
        let trusts = self.has(Feature::TrustedPointers);
        let no_memory = matches!(base, ArgBase::MapKey | ArgBase::MapValue) && !self.has(Feature::MemoryAsMapKeys);
        let newer = TypeFlags::TRUSTED | TypeFlags::RCU | TypeFlags::ALLOC;
        let swaps_into = base == ArgBase::KptrXchgDest && !self.has(Feature::KptrsOfBorrowed);
        let with_ctx =
            matches!(base, ArgBase::Mem | ArgBase::MapKey | ArgBase::MapValue) && self.has(Feature::ContextAsMemory);
        let ctx = with_ctx.then_some(plain(B::Ctx));
        let keys = self.has(Feature::FunctionPointers);
        let known = kinds.iter().copied().filter(move |k| {
            let refused = swaps_into && k.has(TypeFlags::NON_OWN_REF)
                || !keys && k.base == B::MapKey
                || !trusts && k.flags.intersects(newer)
                || no_memory && matches!(k.base, B::Mem | B::Buf | B::BtfId);
            !refused
        });
        known.chain(ctx)
    }

    /// Whether the register is of a kind that the argument takes (`check_reg_type`). `kptr` is the field that
    /// `bpf_kptr_xchg` writes, once its first argument is known.
    pub(super) fn check_arg_kind(&self, row: &Helper, want: ArgType, reg: u8, kptr: Option<&Field>) -> Step {
        let r = *self.reg(reg);
        let swaps_kptr = kptr.is_some() && want.flags.contains(TypeFlags::RELEASE);
        let mut ty = r.ty;
        ty.flags -= want.flags & (TypeFlags::RDONLY | TypeFlags::MAYBE_NULL);
        if want.base == ArgBase::Mem {
            ty.flags -= TypeFlags::DYNPTR_ANY;
        }
        if swaps_kptr && ty.base == B::BtfId && ty.has(TypeFlags::ALLOC) {
            ty.flags -= TypeFlags::ALLOC | TypeFlags::PERCPU;
        }
        let kinds = self.kinds_for(want.base);
        if !kinds.clone().any(|k| k == ty) {
            let mut expected: Vec<_> = kinds.map(|k| self.kind_name(k)).collect();
            if !self.has(Feature::NumbersAsScalars) {
                // Kinds of memory that have one name there.
                expected.dedup();
            }
            let ty = self.kind_name(r.ty).into_owned();
            return reject(CallReason::ArgumentKind { reg, ty, expected: expected.join(", ") });
        }
        if r.ty.base != B::BtfId {
            return Ok(());
        }
        if matches!(want.base, ArgBase::Mem | ArgBase::MapKey | ArgBase::MapValue) {
            if !want.flags.contains(TypeFlags::RDONLY) {
                let ty = reg_type_str(r.ty).into_owned();
                return reject(CallReason::MayWriteInto { func: row.name, reg, ty });
            }
            return Ok(());
        }
        if r.ty.has(TypeFlags::PERCPU) && !r.ty.has(TypeFlags::ALLOC) {
            // The helper checks it.
            return Ok(());
        }
        if r.ty.has(TypeFlags::ALLOC) {
            return match kptr {
                Some(field) if swaps_kptr => self.check_kptr_type(field, reg),
                _ => Ok(()),
            };
        }
        let releases = want.flags.contains(TypeFlags::RELEASE);
        if r.ty.may_be_null() && (!want.flags.contains(TypeFlags::MAYBE_NULL) || releases) {
            return reject(CallReason::PossiblyNull { reg });
        }
        match kptr {
            Some(field) if swaps_kptr => self.check_kptr_type(field, reg),
            _ => {
                let name = if want.base == ArgBase::BtfIdSockCommon { "sock_common" } else { want.btf };
                self.check_struct_arg(&r, reg, name, releases && want.base != ArgBase::BtfIdSockCommon)
            }
        }
    }

    /// The typed pointer must point to this struct of the kernel, or to one that begins with it unless `strict`.
    fn check_struct_arg(&self, r: &RegState, reg: u8, name: &str, strict: bool) -> Step {
        let RegExtra::Btf { btf, id } = r.extra else { return Err(Stop::unsupported("a typed pointer without type")) };
        let types = self.types_of(btf)?;
        let expected = self.types_of(BtfRef::Vmlinux)?.find(name, Kind::Struct);
        let Some(expected) = expected else {
            return Err(Stop::unsupported(format!("struct {name}, which this kernel does not have")));
        };
        if btf == BtfRef::Vmlinux && holds_struct(&types, id, r.off, expected, strict, true) {
            return Ok(());
        }
        reject(CallReason::OtherStruct { reg, name: types.name(id).to_owned(), expected: name.to_owned() })
    }

    /// Whether the register points where the argument may begin (`check_func_arg_reg_off`).
    pub(super) fn check_arg_offset(&self, want: ArgType, reg: u8) -> Step {
        let r = self.reg(reg);
        if want.flags.contains(TypeFlags::RELEASE) {
            if want.base == ArgBase::Dynptr && r.ty == plain(B::Stack) {
                return Ok(());
            }
            if r.off != 0 {
                return reject(CallReason::ReleasedMoved { reg });
            }
            return self.check_btf_offset(reg, false);
        }
        let flags = r.ty.flags;
        let anywhere = match r.ty.base {
            B::Stack | B::Packet | B::PacketMeta | B::MapKey | B::MapValue | B::Arena | B::Scalar => flags.is_empty(),
            B::Mem => flags.is_empty() || flags == TypeFlags::RDONLY || flags == TypeFlags::RINGBUF,
            B::Buf => flags.is_empty() || flags == TypeFlags::RDONLY,
            _ => false,
        };
        if anywhere {
            return Ok(());
        }
        let owned = TypeFlags::ALLOC.union(TypeFlags::NON_OWN_REF);
        let fixed_ok = r.ty.base == B::BtfId
            && [
                TypeFlags::empty(),
                TypeFlags::ALLOC,
                TypeFlags::TRUSTED,
                TypeFlags::RCU,
                owned,
                owned.union(TypeFlags::RCU),
            ]
            .contains(&flags);
        self.check_btf_offset(reg, fixed_ok)
    }
}
