//! One module for each family of rejections: what is missing, in terms of the program.

mod access;
mod argument;
mod arithmetic;
mod bounds;
mod ctx;
mod environment;
mod exits;
mod general;
mod global;
mod limits;
mod object;
mod packet;
mod panics;
mod pointer;
mod protocol;
mod resource;
mod sizes;
mod stack;
mod story;
mod uninit;
mod whole;

use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
pub(crate) use argument::{
    SPECIAL_MAPS, by_value, copied_size, left_region, plain_variable, socket_update, stored_context,
};
pub(crate) use arithmetic::merged_checks;
pub(crate) use bounds::{index_of, line_reach, off_by_one};
pub(crate) use ctx::is_behind_fields;
use ebpfkit_verifier::Reason;
use ebpfkit_verifier::reason::{ExploreReason, MemoryReason, ScalarReason};
pub(crate) use environment::{sleepable_section, without_sleep};
pub(crate) use limits::runaway_loop;
pub(crate) use packet::last_check;
pub(crate) use packet::{behind, edge_at, edge_name, edges, size_of_pointer};
pub(crate) use panics::{Check, Panics, check_at, failing as failing_check};
pub(crate) use pointer::{is_user_memory, released_aside, unnamed};
pub(crate) use resource::{release_at, returned};
use sizes::SizeFault;
pub(crate) use sizes::{argument_text, buffer_size, is_simple, named_size, set_elsewhere, size_behind, stack_left};
pub(crate) use story::scale_of;

/// Explains a rejection. `message` is what the loader says in the place of the kernel's message.
pub(crate) fn explain(case: &Case<'_>, message: Option<&str>) -> Draft {
    let draft = match case.reason() {
        Reason::Scalar(ScalarReason::UninitRegister { reg }) => Some(uninit::register(case, *reg)),
        Reason::Scalar(reason) => arithmetic::explain(case, reason),
        Reason::Memory(reason) => memory(case, reason),
        Reason::Call(reason) => environment::call(case, reason, message)
            .or_else(|| argument::helper(case, reason))
            .or_else(|| exits::callback(case, reason))
            .or_else(|| match reason {
                ebpfkit_verifier::reason::CallReason::ArgumentKind { reg, ty, expected } => {
                    Some(argument::kind(case, *reg, ty, expected))
                }
                _ => None,
            }),
        Reason::Resource(reason) => resource::explain(case, reason),
        Reason::Object(reason) => protocol::explain(case, reason),
        Reason::Type(reason) => object::explain(case, reason),
        Reason::Global(reason) => global::explain(case, reason),
        Reason::Kfunc(reason) => argument::kfunc(case, reason),
        Reason::Attach(reason) => Some(environment::attach(case, reason)),
        Reason::Explore(ExploreReason::MissingFuncInfo {}) => Some(without_func_info(case)),
        Reason::Explore(ExploreReason::CallbackNotStatic {}) => Some(exits::global_callback(case)),
        Reason::Explore(ExploreReason::PreciseRegs { .. })
            if case.callee(case.at()).as_deref() == Some("bpf_tail_call") =>
        {
            Some(exits::tail_call_in_callback(case))
        }
        Reason::Explore(reason) => limits::walk(case, reason).or_else(|| exits::explain(case, reason)),
        Reason::Program(reason) => limits::program(case, reason)
            .or_else(|| environment::program(case, reason))
            .or_else(|| whole::explain(case, reason))
            .or_else(|| {
                let name = case.function_at(case.at()).unwrap_or_else(|| case.program.name.clone());
                global::contract(case, reason, &name)
            }),
    };
    draft.unwrap_or_else(|| general::explain(case, message))
}

/// The address of a function is taken, and the object has no records of functions.
fn without_func_info(case: &Case<'_>) -> Draft {
    let loads = case.program.insns.get(case.at()).is_some_and(|i| i.is_func_address());
    let at = if loads { case.at() } else { case.at().saturating_sub(1) };
    let user = (at..case.program.insns.len()).find_map(|i| case.callee(i).filter(|_| case.insn(i).src == 0));
    let user = user.unwrap_or_else(|| "the call".into());
    Draft::new(
        format!("{user} gets a function of the program as its callback, and the object has no types of its functions: it was built without -g, or stripped"),
        "the address of the callback is taken here",
    )
    .at(at)
    .blame(Blame::Environment)
    .help("build with -g, and keep the sections .BTF and .BTF.ext in the object")
}

fn memory(case: &Case<'_>, reason: &MemoryReason) -> Option<Draft> {
    use MemoryReason as M;
    let callee = || case.callee(case.at());
    Some(match reason {
        M::InvalidMemAccess { reg, ty } => pointer::invalid(case, *reg, ty),
        M::OutsidePacket { detail, .. } => packet::outside(case, *detail),
        M::OutsideRegion { detail, bound, .. } => bounds::outside(case, *detail, bound),
        M::NegativeIndex { reg } => bounds::unbounded(case, *reg, true),
        M::UnboundedAccess { reg } => bounds::unbounded(case, *reg, false),
        M::NegativeSize { reg } => sizes::size(case, *reg, SizeFault::Negative),
        M::ZeroSize { reg, .. } => sizes::size(case, *reg, SizeFault::Zero),
        M::UnboundedSize { reg } => sizes::size(case, *reg, SizeFault::Unbounded),
        M::ContextAccess { off, size } => ctx::access(case, *off, *size),
        M::ModifiedPointer { reg, ty, off } | M::NegativeOffset { reg, ty, off } => {
            ctx::modified(case, *reg, (*off).into(), ty)
        }
        M::VariableOffset { ty, .. } => {
            let insn = case.here();
            ctx::modified(case, insn.memory_base().unwrap_or(1), insn.off.into(), ty)
        }
        M::DifferentPointers {} => ctx::different(case),
        M::Misaligned { what, reg_off, off, size, .. } => {
            stack::misaligned(case, what, i64::from(*reg_off) + i64::from(*off), *size)
        }
        M::MisalignedPacket { reg_off, off, size, .. } => {
            stack::misaligned(case, "packet", i64::from(*reg_off) + i64::from(*off), *size)
        }
        M::OutsideStack { reg, off, size, .. } => stack::outside(case, *reg, *off, (*size).into()),
        M::BeyondStack { reg, off, size, .. } => stack::outside(case, *reg, (*off).into(), (*size).into()),
        M::StackRead { off, at, size } => uninit::stack(case, Some(off + i64::from(*at)), (*size).into(), None),
        M::StackReadByCall { reg, off, at, size } => {
            uninit::stack(case, Some(off + i64::from(*at)), (*size).into(), Some(*reg))
        }
        M::StackReadVariable { reg, size, .. } => uninit::stack(case, None, (*size).into(), callee().map(|_| *reg)),
        M::StackUnbounded { access, reg } => stack::variable(case, *reg, access, None),
        M::StackVariable { access, reg, size, .. } => stack::variable(case, *reg, access, Some((*size).into())),
        M::NoBuffer { reg, ty } => argument::kind(case, *reg, ty, "fp"),
        M::MapReadOnly { .. } | M::MapWriteOnly { .. } | M::CannotWrite { .. } | M::PacketReadOnly {} => {
            read_only(case, reason)?
        }
        _ => return access::explain(case, reason),
    })
}

/// The call that gave a pointer.
fn made_by(case: &Case<'_>, reg: u8) -> Option<String> {
    let history = case.history(reg);
    let made = history.iter().find(|e| e.how == crate::origin::How::Result)?;
    case.callee(case.event_insn(made))
}

/// Memory that may only be read, or only be written.
fn read_only(case: &Case<'_>, reason: &MemoryReason) -> Option<Draft> {
    use crate::words;
    let insn = case.here();
    let reg = insn.memory_base().or_else(|| {
        (1..=5).find(|&r| {
            case.reg(r).is_some_and(|s| s.map().is_some() && s.ty.base != ebpfkit_verifier::RegBase::ConstMap)
        })
    });
    let whole = reg.and_then(|r| case.reg(r)).map(|r| ebpfkit_verifier::RegState { off: 0, ..*r });
    let has = whole.map(|r| words::memory(case, &r)).unwrap_or_default();
    let shown = bounds::accessed(case).or_else(|| {
        let reg = reg?;
        sizes::argument_text(case, reg).filter(|t| is_simple(t)).or_else(|| case.name(&case.history(reg)))
    });
    let map = whole.and_then(|r| case.map(&r));
    let map_name = map.map_or_else(|| "the map".to_owned(), |m| format!("map '{}'", m.name));
    let constant = map.is_some_and(|m| m.frozen || m.section.starts_with(".rodata"));
    // Compilers put the function before the name of its static variables.
    let variable = |off: i64| {
        let (name, _) = bounds::variable_at(case, map?, off)?;
        Some(name.rsplit('.').next().unwrap_or(&name).to_owned())
    };
    let d = match reason {
        MemoryReason::MapReadOnly { off, .. } if constant && variable(*off).is_some() => Draft::new(
            format!("'{}' is a constant, and is written here", variable(*off).unwrap_or_default()),
            "a write",
        )
        .help("constants (`const`, string literals) lie in .rodata, which is read only: leave `const` off what is written; only user space sets them, before the program is loaded"),
        MemoryReason::MapReadOnly { off, size, .. } => Draft::new(
            format!(
                "{} of {has} are written, and programs may only read that map",
                words::range_of(*off, (*size).into())
            ),
            "a write",
        )
        .help(if constant {
            "constants (`const`, string literals) lie in .rodata, which is read only: leave `const` off what is written"
                .to_owned()
        } else {
            format!("declare {map_name} without BPF_F_RDONLY_PROG, if programs are to write it")
        }),
        MemoryReason::MapWriteOnly { off, size, .. } => Draft::new(
            format!(
                "{} of {has} are read, and programs may only write that map",
                words::range_of(*off, (*size).into())
            ),
            "a read",
        )
        .help(format!("declare {map_name} without BPF_F_WRONLY_PROG, if programs are to read it")),
        MemoryReason::PacketReadOnly {} => Draft::new(
            format!("{} programs may only read the packet, and this writes to it", case.program.prog_type),
            "a write to the packet",
        )
        .help("change packets in tc or XDP programs, or by a helper (bpf_skb_store_bytes)"),
        _ => Draft::new(format!("this writes through {has}, which may only be read"), "a write").help(
            match reg.and_then(|r| made_by(case, r)).as_deref() {
                Some("bpf_dynptr_slice") => "take the slice with bpf_dynptr_slice_rdwr, which may be written to (and, for packets, write the buffer back with bpf_dynptr_write where the slice is that buffer)",
                Some("bpf_rdonly_cast") => "only read through what bpf_rdonly_cast gives; what the program may write comes from maps, the stack or an acquiring call",
                _ => "copy the data, change the copy, and write it back by the helper that belongs to it",
            },
        ),
    };
    // Where the constant is declared.
    let declared = match reason {
        MemoryReason::MapReadOnly { off, .. } if constant => variable(*off),
        _ => None,
    };
    let declared = declared.and_then(|name| {
        let is_it = |t: &str| t.contains("const ") && !t.starts_with(char::is_whitespace);
        let line = case.find_line(&|t: &str| is_it(t) && crate::source::find_word(t, &name).is_some(), &name)?;
        case.span_at(&line.file, line.line, format!("'{name}' is declared as a constant here"))
    });
    let d = match declared {
        Some(span) => d.span(span),
        None => d,
    };
    Some(match reg {
        Some(r) => {
            let shown = shown.unwrap_or_else(|| case.pointer_name(r));
            general::with_origin(case, d, &case.history(r), &shown)
        }
        None => d,
    })
}
