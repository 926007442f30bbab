//! Attach points: what kinds of programs may sleep, and what they attach to.

use crate::domain::BtfRef;
use crate::memory::types::{is_struct, kind_name};
use crate::reason::{AttachReason, ProgramReason};
use crate::{Env, Step, Stop, reason::reject};
use ebpfkit_abi::iterators;
use ebpfkit_abi::kfuncs::sched_ext;
use ebpfkit_abi::limits::MAX_TRACED_ARGS;
use ebpfkit_abi::{AttachType, Feature, ProgType, lsm, trampolines};
use ebpfkit_object::Btf;
use ebpfkit_object::ProgramFlags;
use ebpfkit_object::btf::{Composite, Kind, Type, TypeId};

const TRACEPOINT_PREFIX: &str = "btf_trace_";
/// Tracepoints at which programs may sleep.
const FAULTABLE: &[&str] = &["sys_enter", "sys_exit"];
const ITERATOR_PREFIX: &str = "bpf_iter_";

/// Whether calls of a function can be turned to programs: few arguments, none of them large; whether they may be
/// structs at all is for the caller to say.
fn check_trampoline(types: &Btf, proto: TypeId, func: &str, structs: bool) -> Step {
    const MAX_STRUCT: u32 = 16;
    let func = || func.to_owned();
    let size = |ty: TypeId| match types.get(types.resolve(ty)) {
        Some(Type::Ptr(_)) => Some(8),
        Some(
            Type::Int { size, .. }
            | Type::Enum { size, .. }
            | Type::Enum64 { size, .. }
            | Type::Struct(Composite { size, .. })
            | Type::Union(Composite { size, .. }),
        ) => Some(size),
        _ => None,
    };
    let kind = |ty: TypeId| kind_name(types.kind(types.resolve(ty)));
    let count = types.params(proto).len();
    if count > MAX_TRACED_ARGS {
        return reject(AttachReason::TooManyArgs { func: func(), count });
    }
    let ret = match types.get(proto) {
        Some(Type::FuncProto { ret, .. }) => ret,
        _ => 0,
    };
    if ret != 0 && (size(ret).is_none() || is_struct(types, types.resolve(ret))) {
        return reject(AttachReason::ReturnType { func: func(), kind: kind(ret) });
    }
    for (index, p) in types.params(proto).enumerate() {
        if p.ty == 0 {
            return reject(AttachReason::VariableArgs { func: func() });
        }
        let is_struct = is_struct(types, types.resolve(p.ty));
        if size(p.ty).is_none_or(|s| s > MAX_STRUCT) || is_struct && !structs {
            return reject(AttachReason::ArgType { func: func(), index, kind: kind(p.ty) });
        }
    }
    Ok(())
}

/// Whether programs of an attach type trace many functions.
fn is_multi(attach: AttachType) -> bool {
    matches!(attach, AttachType::TraceFentryMulti | AttachType::TraceFexitMulti | AttachType::TraceFsessionMulti)
}

impl Env<'_> {
    /// Struct of operations that a struct_ops program implements a part of; empty for other programs.
    pub fn struct_ops_name(&self) -> &str {
        &self.attach.struct_ops
    }

    /// The operation of that struct that the program is.
    pub fn operation(&self) -> &str {
        &self.attach.name
    }

    /// Checks the attach point and finds the function that gives the program its arguments.
    pub(super) fn check_attach_point(&mut self) -> Step {
        let (kind, attach) = (self.prog().prog_type, self.prog().attach_type);
        let sleepable = self.prog().flags.has(ProgramFlags::SLEEPABLE);
        if kind == ProgType::Syscall {
            return if sleepable { Ok(()) } else { reject(AttachReason::SyscallSleeps {}) };
        }
        let may_sleep = match kind {
            ProgType::Tracing => {
                matches!(
                    attach,
                    AttachType::TraceFentry | AttachType::TraceFexit | AttachType::ModifyReturn | AttachType::TraceIter
                ) || attach == AttachType::TraceFsession && self.has(Feature::Fsession)
                    || attach == AttachType::TraceRawTp && self.has(Feature::SleepableTracepoints)
                    || is_multi(attach) && self.has(Feature::TracingMulti)
            }
            ProgType::Lsm => attach != AttachType::LsmCgroup,
            ProgType::Kprobe | ProgType::StructOps => self.has(Feature::SleepableProbes),
            ProgType::RawTracepoint | ProgType::Tracepoint => self.has(Feature::SleepableTracepoints),
            _ => false,
        };
        if sleepable && !may_sleep {
            return reject(ProgramReason::NotSleepable {});
        }
        match kind {
            ProgType::StructOps => self.check_struct_ops(),
            ProgType::Tracing | ProgType::Lsm | ProgType::Ext => self.check_attach_target(),
            _ => Ok(()),
        }
    }

    /// Checks what a tracing program attaches to.
    fn check_attach_target(&mut self) -> Step {
        let (kind, mut id) = (self.prog().prog_type, self.prog().attach_btf_id);
        let multi = self.has(Feature::TracingMulti) && is_multi(self.prog().attach_type);
        if multi {
            // Programs at many functions are verified at one that stands for all.
            id = self.types_of(BtfRef::Vmlinux)?.find("bpf_multi_func", Kind::Func).unwrap_or(0);
        }
        if id == 0 {
            return reject(ProgramReason::MissingAttachBtf {});
        }
        if kind == ProgType::Ext {
            return Err(Stop::unsupported("programs that replace functions of others"));
        }
        let types = self.types_of(BtfRef::Vmlinux)?;
        let Some(target) = types.get(id) else { return reject(AttachReason::InvalidId { id }) };
        let name = types.name(id).to_owned();
        if name.is_empty() {
            return reject(AttachReason::Nameless { id });
        }
        let proto_of = |func| match types.get(func) {
            Some(Type::Func { proto, .. }) if types.kind(proto) == Some(Kind::FuncProto) => Some(proto),
            _ => None,
        };
        let attach_type = self.prog().attach_type;
        let fsession = self.has(Feature::Fsession);
        let sleepable = self.prog().flags.has(ProgramFlags::SLEEPABLE);
        let info = &mut self.attach;
        match attach_type {
            AttachType::TraceRawTp => {
                let Type::Typedef(inner) = target else { return reject(AttachReason::NotTypedef { id }) };
                let Some(event) = name.strip_prefix(TRACEPOINT_PREFIX) else {
                    return reject(AttachReason::WrongTypeName { id, name });
                };
                if sleepable && !FAULTABLE.contains(&event) {
                    return reject(AttachReason::NotFaultable { event: event.to_owned() });
                }
                // The function that calls programs knows the names of arguments; the typedef does not.
                let caller = types.find(&format!("__bpf_trace_{event}"), Kind::Func).and_then(proto_of);
                let plain = match types.get(inner) {
                    Some(Type::Ptr(proto)) if types.kind(proto) == Some(Kind::FuncProto) => Some(proto),
                    _ => None,
                };
                let Some(proto) = caller.or(plain) else {
                    return Err(Stop::unsupported("a tracepoint without prototype"));
                };
                (info.proto, info.name) = (proto, event.to_owned());
                Ok(())
            }
            AttachType::TraceIter => {
                let Some(proto) = proto_of(id) else { return reject(AttachReason::NotFunction { id }) };
                let Some(row) = name.strip_prefix(ITERATOR_PREFIX).and_then(iterators::find) else {
                    return Err(Stop::unsupported(format!("iterator programs at {name}")));
                };
                (info.proto, info.name, info.iterator) = (proto, name, Some(row));
                Ok(())
            }
            attach => {
                let known = matches!(
                    attach,
                    AttachType::TraceFentry
                        | AttachType::TraceFexit
                        | AttachType::ModifyReturn
                        | AttachType::LsmMac
                        | AttachType::LsmCgroup
                ) || attach == AttachType::TraceFsession && fsession
                    || multi;
                if !known {
                    return reject(AttachReason::UnknownHook { kind: kind.to_string(), attach: attach.to_string() });
                }
                let Some(proto) = proto_of(id) else { return reject(AttachReason::NotFunction { id }) };
                (info.proto, info.name) = (proto, name);
                self.check_function_attach(&types, proto)
            }
        }
    }

    /// Whether a program of this kind may attach to the function.
    fn check_function_attach(&self, types: &Btf, proto: TypeId) -> Step {
        let (kind, attach) = (self.prog().prog_type, self.prog().attach_type);
        let func = self.attach.name.clone();
        check_trampoline(types, proto, &func, self.has(Feature::StructArguments))?;
        if self.kernel().symbols.as_ref().is_some_and(|known| !known(&func)) {
            return reject(AttachReason::NoAddress { func });
        }
        // The list is there only in kernels that can inject errors.
        let injects = types.find("within_error_injection_list", Kind::Func).is_some();
        let injectable = || injects && trampolines::is_error_injectable(&func);
        let lists = self.has(Feature::ModifiableLists);
        let listed = |list: &[&str]| lists && list.contains(&func.as_str());
        let is_syscall =
            !injects && self.has(Feature::SyscallsWithoutInjection) && func.starts_with(trampolines::SYSCALL_PREFIX);
        if is_multi(attach) {
            return Ok(());
        }
        let hook = func.strip_prefix(lsm::PREFIX).unwrap_or_default();
        if self.prog().flags.has(ProgramFlags::SLEEPABLE) {
            let sleeps = if kind == ProgType::Lsm {
                lsm::may_sleep(hook, |feature| self.has(feature))
            } else {
                injectable() || is_syscall || listed(trampolines::MODIFIABLE_ASLEEP)
            };
            if !sleeps {
                return reject(AttachReason::NotSleepableHere { func });
            }
        } else if attach == AttachType::ModifyReturn
            && !injectable()
            && !is_syscall
            && !listed(trampolines::MODIFIABLE)
            && !func.starts_with("security_")
        {
            return reject(AttachReason::NotModifiable { func });
        }
        if kind == ProgType::Lsm {
            let id = self.prog().attach_btf_id;
            if !self.is_gpl_compatible() {
                return reject(AttachReason::LsmGpl {});
            }
            let disabled = lsm::DISABLED.contains(&hook) && self.has(Feature::DisabledHooks)
                || hook == lsm::FILE_ALLOC && self.has(Feature::NoFileAllocHook);
            if disabled {
                return reject(AttachReason::DisabledHook { id, func });
            }
            if hook.is_empty() || lsm::NO_HOOKS.contains(&hook) {
                return reject(AttachReason::WrongTypeName { id, name: func });
            }
        } else if trampolines::DENIED.contains(&func.as_str()) {
            return reject(AttachReason::Denied { func });
        } else if attach != AttachType::TraceFentry && trampolines::NO_RETURN.contains(&func.as_str()) {
            return reject(AttachReason::NoReturn { name: func });
        }
        Ok(())
    }

    /// Name of the security hook that the program attaches to; `None` for other programs.
    pub(crate) fn lsm_hook(&self) -> Option<&str> {
        (self.prog().prog_type == ProgType::Lsm).then(|| self.attach.name.strip_prefix(lsm::PREFIX)).flatten()
    }

    /// Checks the operation that a struct_ops program implements.
    fn check_struct_ops(&mut self) -> Step {
        if !self.is_gpl_compatible() {
            return reject(AttachReason::StructOpsGpl {});
        }
        let id = self.prog().attach_btf_id;
        if id == 0 {
            return Err(Stop::unsupported("struct_ops programs that no map of operations names"));
        }
        let types = self.types_of(BtfRef::Vmlinux)?;
        let name = types.name(id).to_owned();
        let is_ops = types.kind(id) == Some(Kind::Struct)
            && types.find(&format!("bpf_struct_ops_{name}"), Kind::Struct).is_some();
        if !is_ops {
            return reject(AttachReason::NotOperations { id });
        }
        let index = self.prog().attach_type.0;
        let Some(member) = types.members(id).nth(index as usize) else {
            return reject(AttachReason::NoMember { index, name });
        };
        let proto = match types.get(types.resolve(member.ty)) {
            Some(Type::Ptr(target)) => types.resolve(target),
            _ => 0,
        };
        if types.kind(proto) != Some(Kind::FuncProto) {
            return reject(AttachReason::NotOperation { member: member.name.to_owned(), index, name });
        }
        let sleepable = self.prog().flags.has(ProgramFlags::SLEEPABLE);
        let unsupported = match name.as_str() {
            "tcp_congestion_ops" => member.name == "get_info",
            "bpf_dummy_ops" => sleepable && member.name != "test_sleepable",
            name if sched_ext::is_scheduler(name) => sleepable && !sched_ext::SLEEPABLE.contains(&member.name),
            other => return Err(Stop::unsupported(format!("struct_ops programs of {other}"))),
        };
        if unsupported {
            return reject(AttachReason::UnsupportedMember { member: member.name.to_owned(), name });
        }
        // Stand-ins of the kernel's tell by the names of their arguments what the types do not.
        let stub = types.find(&format!("{name}__{}", member.name), Kind::Func);
        if let Some(Type::Func { proto: stub, .. }) = stub.and_then(|s| types.get(s)) {
            for (i, p) in types.params(stub).enumerate() {
                if p.name.ends_with("__nullable") {
                    self.attach.nullable |= 1 << i;
                }
                if p.name.ends_with("__ref") {
                    self.attach.owned.push((i, 0));
                }
            }
        }
        if stub.is_none() && sched_ext::is_scheduler(&name) {
            let rows = sched_ext::NULLABLE.iter().filter(|(operation, _)| *operation == member.name);
            rows.for_each(|(_, index)| self.attach.nullable |= 1 << index);
        }
        let info = &mut self.attach;
        (info.proto, info.name, info.struct_ops) = (proto, member.name.to_owned(), name);
        Ok(())
    }

    /// Gives a struct_ops program the references that it owns from the start.
    pub(crate) fn acquire_owned_arguments(&mut self) {
        for i in 0..self.attach.owned.len() {
            let id = self.acquire_reference(0);
            self.attach.owned[i].1 = id;
        }
    }
}
