//! Contracts of global functions.

use super::{argument, general, pointer};
use crate::case::{Case, Draft};
use crate::words;
use ebpfkit_object::btf::{Btf, Type};
use ebpfkit_verifier::reason::{GlobalReason, MemoryReason, ProgramReason};
use ebpfkit_verifier::{Reason, RegState};

/// The name of a type as C writes it.
pub(crate) fn type_text(btf: &Btf, id: u32) -> String {
    match btf.get(id) {
        Some(Type::Ptr(to)) => {
            let inner = type_text(btf, to);
            if inner.ends_with('*') { format!("{inner}*") } else { format!("{inner} *") }
        }
        Some(Type::Struct(_)) => format!("struct {}", btf.name(id)),
        Some(Type::Union(_)) => format!("union {}", btf.name(id)),
        Some(Type::Enum { .. }) => format!("enum {}", btf.name(id)),
        Some(Type::Const(to)) => format!("const {}", type_text(btf, to)),
        Some(Type::Volatile(to)) => format!("volatile {}", type_text(btf, to)),
        Some(Type::Void) => "void".into(),
        _ if id == 0 => "void".into(),
        _ => btf.name(id).to_owned(),
    }
}

/// First slot of the function with a name.
fn start_of(case: &Case<'_>, name: &str) -> Option<usize> {
    let btf = case.btf()?;
    case.program.func_info.iter().find(|f| btf.name(f.type_id) == name).map(|f| f.insn as usize)
}

/// A caller does not keep the contract, or the contract is none.
fn invalid_args(case: &Case<'_>, name: &str) -> Draft {
    let start = start_of(case, name);
    let declared = |d: Draft, label: String| match start {
        Some(at) => d.span(case.span(at, label)),
        None => d,
    };
    match &case.trace.because {
        Some(Reason::Program(reason)) => {
            let d = contract(case, reason, name).unwrap_or_else(|| {
                Draft::new(
                    format!("the types of the global function {name} are no contract that can be verified"),
                    String::new(),
                )
            });
            let mut d = Draft { label: format!("{name} is called here"), ..d };
            if let Some(at) = start {
                d.spans.push(case.span(at, d.headline.clone()));
                // The function is what has to change.
                d = Draft {
                    at: Some(at),
                    label: format!("{name} is declared here"),
                    spans: vec![case.span(case.at(), format!("{name} is called here"))],
                    ..d
                };
            }
            d
        }
        Some(why) => {
            let (reg, text) = argument_fault(case, why);
            let object = reg.is_none().then(|| {
                (1..=5u8).find(|r| case.reg(*r).is_some_and(|s| s.ty.base == ebpfkit_verifier::RegBase::BtfId))
            });
            if let Some(reg) = object.flatten() {
                let shown = argument::subject(case, reg);
                let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
                let nth = words::ordinal(reg.into());
                let d = Draft::new(
                    format!(
                        "the global function {name} takes plain memory as its {nth} argument, and {shown} is {has}: an object of the kernel's"
                    ),
                    format!("{shown} is {has}"),
                );
                let d = general::with_origin(case, d, &case.history(reg), &shown);
                return declared(d, format!("{name} is verified on its own, for any memory of that size"))
                    .help(format!("tag the parameter: `__arg_trusted` behind its name says that {name} takes a trusted object of the kernel's, and no NULL"))
                    .help(format!("or make {name} static (`static __noinline`), so that it is verified for the arguments that it is called with"));
            }
            let Some(reg) = reg else {
                return declared(
                    Draft::new(
                        format!("the call of the global function {name} does not keep its contract: {why}"),
                        "called here",
                    ),
                    format!("{name} is declared here"),
                );
            };
            let shown = argument::subject(case, reg);
            let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
            let params = start.map(|s| case.params(s)).unwrap_or_default();
            let param = params.get(usize::from(reg) - 1);
            let wants = match (param, case.btf()) {
                (Some((n, ty)), Some(btf)) => format!(" (`{} {n}`)", type_text(btf, *ty)),
                _ => String::new(),
            };
            let d = Draft::new(
                format!(
                    "the {} argument of the global function {name}{wants} {text}; {shown} is {has}",
                    words::ordinal(reg.into())
                ),
                format!("{shown} is {has}"),
            );
            let d = declared(d, format!("{name} is verified on its own, for any arguments of these types"));
            let d = general::with_origin(case, d, &case.history(reg), &shown);
            let null = case.reg(reg).is_some_and(|r| r.ty.may_be_null());
            let d = if null { d.help(format!("check {shown} for NULL before the call")) } else { d };
            d.help(format!("make {name} static (`static __noinline`), so that it is verified for the arguments that it is called with"))
        }
        None => declared(
            Draft::new(format!("the call of the global function {name} does not keep its contract"), "called here"),
            format!("{name} is declared here"),
        ),
    }
}

/// Which argument is at fault, and how.
fn argument_fault(case: &Case<'_>, why: &Reason) -> (Option<u8>, String) {
    match why {
        Reason::Global(GlobalReason::NoScalar { reg }) => (Some(*reg), "has to be a number".into()),
        Reason::Global(GlobalReason::NoContext { index }) => (Some(*index as u8 + 1), "has to be the context".into()),
        Reason::Global(GlobalReason::ExpectsNonNull { index }) => {
            (Some(*index as u8 + 1), "must not be NULL (__arg_nonnull)".into())
        }
        Reason::Global(GlobalReason::NoArena { reg }) => {
            (Some(*reg), "has to be an address in the arena or a number".into())
        }
        Reason::Global(GlobalReason::PossiblyNull { reg }) => (Some(*reg), "must not be NULL".into()),
        Reason::Global(GlobalReason::OtherType { reg, expected, .. }) => {
            (Some(*reg), format!("has to be a pointer to struct {expected}"))
        }
        Reason::Memory(MemoryReason::OutsideRegion { detail, reg, .. }) => {
            let needs = detail.off.saturating_add(detail.size.into());
            (Some(*reg), format!("has to lead to {} of memory, and there are {}", words::bytes(needs), detail.region))
        }
        Reason::Memory(MemoryReason::OutsidePacket { detail, reg }) => (
            Some(*reg),
            format!(
                "has to lead to {}, of which {} are known to be in the packet",
                words::bytes(detail.off.saturating_add(detail.size.into())),
                detail.region.max(0)
            ),
        ),
        Reason::Memory(MemoryReason::OutsideStack { reg, off, size, .. }) => {
            (Some(*reg), format!("has to lead to {} of memory, and there are {}", words::bytes((*size).into()), -off))
        }
        Reason::Memory(MemoryReason::BeyondStack { reg, off, size, .. }) => {
            (Some(*reg), format!("has to lead to {} of memory, and there are {}", words::bytes((*size).into()), -off))
        }
        Reason::Memory(MemoryReason::StackReadByCall { reg, size, .. }) => {
            (Some(*reg), format!("has to lead to {} that are set, and some are not", words::bytes((*size).into())))
        }
        Reason::Memory(MemoryReason::NoBuffer { reg, .. } | MemoryReason::InvalidMemAccess { reg, .. }) => {
            (Some(*reg), "has to lead to memory of its size".into())
        }
        Reason::Call(ebpfkit_verifier::reason::CallReason::ArgumentKind { reg, .. }) => {
            (Some(*reg), "has to be a typed pointer".into())
        }
        _ => {
            let reg = (1..=5).find(|&r| case.reg(r).is_some_and(|s| s.ty.may_be_null() || s.is_scalar()));
            (reg.filter(|_| why.to_string().starts_with('R')), "does not fit".into())
        }
    }
}

/// A function whose types are no contract.
pub(crate) fn contract(case: &Case<'_>, reason: &ProgramReason, name: &str) -> Option<Draft> {
    use ProgramReason as R;
    let param = |index: usize| {
        let named = start_of(case, name).map(|s| case.params(s)).unwrap_or_default();
        named.get(index).map(|p| format!("'{}'", p.0)).unwrap_or_else(|| format!("number {}", index + 1))
    };
    let make_static = format!(
        "make {name} static (`static __noinline`, or `static __always_inline`): then it is verified where it is called"
    );
    Some(match reason {
        R::GlobalReturn { func } => {
            let what = case.btf().and_then(|btf| {
                let info = case.program.func_info.iter().find(|f| btf.name(f.type_id) == *func)?;
                let Some(Type::Func { proto, .. }) = btf.get(info.type_id) else { return None };
                let Some(Type::FuncProto { ret, .. }) = btf.get(proto) else { return None };
                Some(type_text(btf, ret))
            });
            let what = what.map(|t| format!("`{t}`")).unwrap_or_else(|| "no number".into());
            Draft::new(format!("the global function {func} returns {what}: global functions may only return numbers"), format!("{func} is declared here"))
                .help(format!("make {func} static (`static __noinline`, or `static __always_inline`): then it may return pointers"))
                .help("or return an index, or pass the result through a map or an argument")
        }
        R::GlobalTooManyArgs { func, count } => Draft::new(format!("the global function {func} has {count} arguments, at most five are passed"), "declared here").help("pass a pointer to a struct"),
        R::GlobalArgKind { index, kind, func } => Draft::new(
            format!("the argument {} of the global function {func} is of the kind {kind}, of which the verifier cannot tell what may be passed", param(*index)),
            format!("{func} is declared here"),
        )
        .help(make_static)
        .help("or pass numbers, the context, or pointers to structs of known size"),
        R::GlobalArgSize { index, ty, name: n, .. } => Draft::new(
            format!("the argument {} of the global function {name} points to {}, whose size is not known", param(*index), if ty == "UNKNOWN" { "void".to_owned() } else { format!("{ty} {n}") }),
            format!("{name} is declared here"),
        )
        .help("use a pointer to a struct or array of known size (`char (*buf)[16]`)")
        .help(make_static),
        R::ArgTagUnknown { index } | R::ArgTagCombination { index } | R::ArgTagAlone { index, .. } | R::ArgTagNoPointer { index } => Draft::new(
            format!("the tags of the argument {} of {name} do not go together", param(*index)),
            format!("{name} is declared here"),
        )
        .help("use one of __arg_ctx, __arg_nonnull, __arg_nullable, __arg_trusted, __arg_dynptr, __arg_arena as they are documented"),
        R::ArgTypeMatch { index, ty, name: n, problem } => Draft::new(format!("the argument {} of {name} is a {ty} {n}, which {problem} in the kernel's types", param(*index)), "declared here").help("use a type that the kernel has"),
        R::ArgUntrustedType { index, kind, name: n } => Draft::new(format!("the argument {} of {name} is tagged as untrusted and leads to {kind} '{n}', which has no members", param(*index)), "declared here").help("point to a struct or a plain number"),
        R::ArgTypeNameless { index } => Draft::new(format!("the type of the argument {} of {name} has no name", param(*index)), "declared here").help("give the struct a name"),
        R::ArgCtxVoid { index } => Draft::new(format!("the argument {} of {name} is the context, which is `void *` in this program type", param(*index)), "declared here").help("declare it as `void *ctx __arg_ctx`"),
        R::ArgCtxStruct { index, name: n } => Draft::new(format!("the argument {} of {name} is the context, which is `struct {n} *` in this program type", param(*index)), "declared here").help(format!("declare it as `struct {n} *ctx`")),
        _ => return None,
    })
}

/// Explains rejections by global functions.
pub(crate) fn explain(case: &Case<'_>, reason: &GlobalReason) -> Option<Draft> {
    Some(match reason {
        GlobalReason::InvalidArgs { name, .. } => invalid_args(case, name),
        GlobalReason::PossiblyNull { reg } => pointer::null(case, *reg, case.callee(case.at()).as_deref()),
        _ => {
            let (reg, text) = argument_fault(case, case.reason());
            let reg = reg?;
            let has = case.reg(reg).map(|r: &RegState| words::value(case, r)).unwrap_or_default();
            Draft::new(format!("the {} argument {text}; it is {has}", words::ordinal(reg.into())), has)
        }
    })
}
