//! Contexts that are the arguments of a kernel function: tracepoints, functions, iterators, operations of structs.

use super::Access;
use super::btf_walk::tag_flags;
use super::types::{btf_reg, is_scalar, is_struct, kind_name};
use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::reason::{MemoryReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_abi::limits::MAX_TRACED_ARGS;
use ebpfkit_abi::{AttachType, ProgType, TypeFlags, lsm, tracepoints};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};

/// Bytes of a context of arguments.
const CTX_SIZE: i32 = 8 * MAX_TRACED_ARGS as i32;

/// Bytes that an argument takes in the context.
fn slot_bytes(types: &Btf, ty: TypeId) -> u32 {
    let ty = types.resolve(ty);
    match types.get(ty) {
        Some(Type::Ptr(_)) | None => 8,
        _ => types.size_of(ty).unwrap_or(8).next_multiple_of(8),
    }
}

/// Number of the argument at an offset; one more than the last for what the function returns.
fn arg_at(types: &Btf, proto: TypeId, off: u32) -> usize {
    let mut end = 0;
    let count = types.params(proto).len();
    for (i, p) in types.params(proto).enumerate() {
        end += slot_bytes(types, p.ty);
        if off < end {
            return i;
        }
    }
    let ret = match types.get(proto) {
        Some(Type::FuncProto { ret, .. }) => ret,
        _ => 0,
    };
    if ret != 0 {
        end += slot_bytes(types, ret);
    }
    if off < end { count } else { count + 1 }
}

impl Env<'_> {
    /// Whether the program's context is the arguments of a kernel function.
    pub(super) fn has_btf_ctx(&self) -> bool {
        matches!(self.prog().prog_type, ProgType::Tracing | ProgType::Lsm | ProgType::StructOps)
    }

    /// An access to a context of arguments; a read sets `value_reg`.
    pub(super) fn check_btf_ctx(&mut self, off: i32, size: u32, access: Access, value_reg: Option<u8>) -> Step {
        let invalid = || reject(MemoryReason::ContextAccess { off, size });
        // Security hooks do not care about direction and width.
        let lsm = self.prog().prog_type == ProgType::Lsm;
        if off < 0 {
            return invalid();
        }
        if !lsm && (!(0..CTX_SIZE).contains(&off) || access == Access::Write || !(off as u32).is_multiple_of(size)) {
            return invalid();
        }
        let types = self.types_of(BtfRef::Vmlinux)?;
        let Some(value) = self.btf_ctx_value(&types, off, size) else { return invalid() };
        let Some(v) = value_reg else { return Ok(()) };
        let mut value = value;
        if value.ty.may_be_null() {
            value.id = self.new_id();
        }
        *self.reg_mut(v) = value;
        Ok(())
    }

    /// What a load gives; `None` when it is not allowed.
    fn btf_ctx_value(&mut self, types: &Btf, off: i32, size: u32) -> Option<RegState> {
        let name = self.attach.name.clone();
        let number = self.unknown_scalar();
        if off % 8 != 0 {
            self.detail(format_args!("func '{name}' offset {off} is not multiple of 8"));
            return None;
        }
        let (proto, attach) = (self.attach.proto, self.prog().attach_type);
        let index = arg_at(types, proto, off as u32);
        // The first argument of the function that calls programs at a tracepoint is its own.
        let hidden = usize::from(attach == AttachType::TraceRawTp);
        let count = types.params(proto).len() - hidden;
        if index == count && self.returns_in_ctx() {
            return self.returned_value(types, proto);
        }
        if index >= count {
            self.detail(format_args!("func '{name}' doesn't have {}-th argument", index + 1));
            return None;
        }
        let param = types.params(proto).nth(index + hidden)?;
        let ty = types.resolve(param.ty);
        if is_scalar(types, ty) || is_struct(types, ty) {
            return Some(number);
        }
        let Some(Type::Ptr(target)) = types.get(ty) else {
            let (type_name, kind) = (types.name(ty), kind_name(types.kind(ty)));
            self.detail(format_args!(
                "func '{name}' arg{index} '{type_name}' has type {kind}. Only pointer access is allowed"
            ));
            return None;
        };
        if size != 8 && self.has(Feature::WholeTracedPointers) {
            self.detail(format_args!("func '{name}' size {size} must be 8"));
            return None;
        }
        let listed = self.attach.iterator.and_then(|t| t.args.iter().find(|a| a.offset == off));
        if let Some(arg) = listed.filter(|a| a.buffer) {
            return Some(RegState::pointer(RegType::with(RegBase::Buf, arg.flags), RegExtra::None));
        }
        let pointee = types.resolve(target);
        let opaque = !is_struct(types, pointee) && self.has(Feature::OpaquePointerArguments);
        if opaque || self.points_to_nothing_known(types, target) {
            return Some(number);
        }
        if let Some(arg) = listed {
            return Some(btf_reg(BtfRef::Vmlinux, pointee, self.known_trust(arg.flags)));
        }
        let mut flags = self.argument_flags(index, param.name);
        let mut error = false;
        if attach == AttachType::TraceRawTp {
            let (null, maybe_error) = tracepoints::null_arg(&name, index, |feature| self.has(feature));
            if null {
                flags |= TypeFlags::MAYBE_NULL;
            }
            error = maybe_error;
        }
        flags |= tag_flags(types, target) & (TypeFlags::USER | TypeFlags::PERCPU);
        if !is_struct(types, pointee) {
            let kind = kind_name(types.kind(pointee));
            self.detail(format_args!("func '{name}' arg{index} type {kind} is not a struct"));
            return None;
        }
        let (kind, struct_name) = (kind_name(types.kind(pointee)), types.name(pointee));
        self.verbose(format_args!("func '{name}' arg{index} has btf_id {pointee} type {kind} '{struct_name}'\n"));
        if error {
            return Some(number);
        }
        let owned = self.attach.owned.iter().find(|(i, _)| *i == index).map_or(0, |&(_, id)| id);
        let id = self.promoted(types, pointee, flags);
        Some(RegState { ref_obj_id: owned, ..btf_reg(BtfRef::Vmlinux, id, flags) })
    }

    /// Whether a pointer to a type is a number to programs, as nothing is known of what it leads to.
    fn points_to_nothing_known(&self, types: &Btf, target: TypeId) -> bool {
        match types.kind(types.resolve(target)) {
            None | Some(Kind::Void) => target == 0 || self.has(Feature::ConstantPointerArguments),
            Some(Kind::Int) => self.has(Feature::IntegerPointerArguments),
            _ => false,
        }
    }

    /// Whether the context holds what the function returned, behind its arguments.
    fn returns_in_ctx(&self) -> bool {
        matches!(
            self.prog().attach_type,
            AttachType::LsmMac
                | AttachType::LsmCgroup
                | AttachType::TraceFexit
                | AttachType::TraceFsession
                | AttachType::ModifyReturn
        )
    }

    /// What a load of the function's result gives.
    fn returned_value(&mut self, types: &Btf, proto: TypeId) -> Option<RegState> {
        let ret = match types.get(proto) {
            Some(Type::FuncProto { ret, .. }) => types.resolve(ret),
            _ => 0,
        };
        let mut number = self.unknown_scalar();
        let small_int = matches!(types.get(ret), Some(Type::Int { size: 1 | 2 | 4 | 8, .. }));
        if self.prog().attach_type == AttachType::ModifyReturn && !small_int {
            let kind = kind_name(types.kind(ret));
            self.detail(format_args!("ret type {kind} not allowed for fmod_ret"));
            return None;
        }
        if self.has(Feature::HookResults)
            && self.prog().attach_type == AttachType::LsmMac
            && ret != 0
            && let Some(hook) = self.lsm_hook()
        {
            let (min, max) = lsm::return_range(hook);
            (number.s32_min, number.s32_max) = (min, max);
            (number.smin, number.smax) = (min.into(), max.into());
            self.numbers().sync(&mut number);
            return Some(number);
        }
        if is_scalar(types, ret) || is_struct(types, ret) {
            return Some(number);
        }
        let Some(Type::Ptr(target)) = types.get(ret) else { return None };
        let pointee = types.resolve(target);
        if self.points_to_nothing_known(types, target) {
            return Some(number);
        }
        if !is_struct(types, pointee) {
            return self.has(Feature::OpaquePointerArguments).then_some(number);
        }
        let flags = tag_flags(types, target) & (TypeFlags::USER | TypeFlags::PERCPU);
        Some(btf_reg(BtfRef::Vmlinux, pointee, flags))
    }

    /// How far a pointer argument can be trusted, and whether it may be null.
    fn argument_flags(&self, index: usize, param: &str) -> TypeFlags {
        let attach = self.prog().attach_type;
        let trusted = match self.prog().prog_type {
            ProgType::Tracing => matches!(attach, AttachType::TraceRawTp | AttachType::TraceIter),
            ProgType::StructOps => true,
            ProgType::Lsm => self.lsm_hook().is_some_and(|h| !lsm::UNTRUSTED.contains(&h)),
            _ => false,
        };
        let mut flags =
            if trusted && self.has(Feature::TrustedPointers) { TypeFlags::TRUSTED } else { TypeFlags::empty() };
        if param.ends_with("__nullable") || index < 32 && self.attach.nullable >> index & 1 != 0 {
            flags |= TypeFlags::MAYBE_NULL;
        }
        flags
    }

    /// Congestion control works on TCP sockets only, so that every socket is one.
    fn promoted(&self, types: &Btf, id: TypeId, flags: TypeFlags) -> TypeId {
        let plain = super::types::TRUSTED_MODIFIERS.contains(flags);
        if plain && self.struct_ops_name() == "tcp_congestion_ops" && types.name(id) == "sock" {
            return types.find("tcp_sock", Kind::Struct).unwrap_or(id);
        }
        id
    }
}
