//! Rejections before the walk: control flow and form of the program.

use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use ebpfkit_isa::opcode;
use ebpfkit_verifier::reason::ProgramReason;

/// Explains what is wrong with the program's form.
pub(crate) fn explain(case: &Case<'_>, reason: &ProgramReason) -> Option<Draft> {
    use ProgramReason as R;
    let insns = &case.program.insns;
    Some(match reason {
        R::UnreachableInsn { insn } => {
            let before = insn.checked_sub(1);
            let d = Draft::new(format!("no path leads to {}", case.line_of(*insn)), "never reached").at(*insn);
            let d = match before {
                Some(b) if !case.same_line(b, *insn) => d.span(case.span(b, "what stands before never goes on here")),
                _ => d,
            };
            d.help("take it out, or let a jump lead to it").note(
                "compilers leave no such code: it was written in assembly, or a function was cut or joined by a tool",
            )
        }
        R::JumpOutOfRange { insn, target } => Draft::new(
            format!(
                "a jump at {} leads to instruction {target}, outside of its function ({} instructions in all)",
                case.line_of(*insn),
                insns.len()
            ),
            format!("jumps to {target}"),
        )
        .at(*insn)
        .help("jump inside of the function; end the function with `exit` or a jump back"),
        R::LastInsnNotExit {} => {
            let starts = case.local_starts();
            let ends = starts.iter().skip(1).copied().chain([insns.len()]);
            let bad = ends.map(|e| e.saturating_sub(1)).find(|&last| {
                let i = case.insn(last);
                i.code != opcode::EXIT && i.code != opcode::JA && i.code != opcode::JA32
            });
            let at = bad.unwrap_or(insns.len().saturating_sub(1));
            let calls = case.insn(at).is_call();
            let d = Draft::new(
                format!(
                    "{} may run past its end at {}: its last instruction is neither `exit` nor a jump",
                    case.function_at(at).unwrap_or_else(|| "a function".into()),
                    case.line_of(at)
                ),
                "the function ends here without `exit`",
            )
            .at(at);
            if calls {
                let callee = case.callee(at).unwrap_or_else(|| "a call".into());
                return Some(
                    d.note(format!(
                        "{callee} was compiled as one that does not return (a panic, `__builtin_unreachable`)"
                    ))
                    .help(
                        "return after the call, and avoid code that panics (in Rust: `.get(i)` in the place of `a[i]`)",
                    ),
                );
            }
            d.help("end every function with `exit` (in C: return on every path, without __builtin_unreachable)")
        }
        R::InvalidCallTarget {} => {
            let at = insns
                .iter()
                .enumerate()
                .position(|(at, i)| i.function(at).is_some_and(|t| t < 0 || t >= insns.len() as i64))
                .unwrap_or(case.at());
            Draft::new("a call leads outside of the program", "called here")
                .at(at)
                .help("call a function of the same program; link the object that has the function")
        }
        R::BackEdge { from, to } => Draft::new(
            format!(
                "a loop from {} back to {}, which users without capabilities may not load",
                case.line_of(*from),
                case.line_of(*to)
            ),
            "jumps back",
        )
        .at(*from)
        .span(case.span(*to, "to here"))
        .help("unroll the loop (`#pragma unroll`), or load the program with CAP_BPF"),
        R::JumpIntoImm64 { insn } => {
            Draft::new("a jump leads into the second half of a 64-bit immediate", "the middle of an instruction")
                .at(*insn)
                .help("jump to the instruction's first half, or behind it")
        }
        R::InvalidImm64 {} | R::UnrecognizedImm64 {} => Draft::new("a 64-bit immediate load is malformed", "malformed")
            .help("such an instruction has two slots; the second has nothing but the upper half"),
        R::LoadReservedFields {} => Draft::new("a field of the instruction that must be zero is not", "malformed")
            .help("encode the instruction anew"),
        R::DirectValueOffset { off } => {
            Draft::new(format!("the offset {off} into a map's value is too large"), "loaded here")
                .help("use an offset inside of the value")
        }
        R::DirectValueOutside { value_size, off } => Draft::new(
            format!("the map's value has {value_size} bytes; this takes the address of byte {off}"),
            "behind the value",
        )
        .help("take addresses inside of the variable"),
        R::NoDirectValue {} => {
            Draft::new("a map of this type has no value whose address can be taken directly", "loaded here")
                .help("look the element up with bpf_map_lookup_elem")
        }
        R::LdAbsWithoutBtf {} | R::LdAbsReturnsNoInt {} => Draft::new(
            "a function with legacy packet loads (LD_ABS, LD_IND) has to return int, and to have types that say so",
            "in this function",
        )
        .help("declare it `static int f(...)` and compile with -g, or use packet pointers"),
        R::TailCallWithoutBtf {} | R::TailCallReturnsNoInt {} => Draft::new(
            "a function with tail calls has to return int, and to have types that say so",
            "in this function",
        )
        .help("declare it `static int f(...)` and compile with -g"),
        R::TailCallInExceptionCb {} => {
            Draft::new("the exception callback makes a tail call", "a tail call").help("make the tail call elsewhere")
        }
        R::DirectExceptionCall { insn } => Draft::new("the exception callback is called by its name", "called here")
            .at(*insn)
            .help("call another function that does the same"),
        R::ExceptionCbVoid {}
        | R::ExceptionCbArgs {}
        | R::SecondExceptionCb {}
        | R::ExceptionCbMissing { .. }
        | R::ExceptionCbStatic { .. }
        | R::ExceptionCbMain {}
        | R::ExceptionCbUnlisted {} => {
            Draft::new(format!("the exception callback is not declared as it has to be: {reason}"), "the program")
                .help("declare one global function `int cb(u64 cookie)` and name it with __exception_cb(cb)")
        }
        R::TailCallMaps {} => {
            Draft::new("one tail call goes through different maps on different paths", "the tail call")
                .blame(Blame::Compiler)
                .help("make the tail call on each path apart")
        }
        R::TwoCgroupStorages {} => {
            Draft::new("the program uses two storages for control groups of one kind", "the program")
                .help("keep everything in one struct, in one map")
        }
        _ => return None,
    })
}
