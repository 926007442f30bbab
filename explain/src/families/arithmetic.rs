//! Arithmetic on pointers.

use super::{bounds, general, pointer};
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::words;
use ebpfkit_isa::opcode::alu;
use ebpfkit_verifier::reason::ScalarReason;
use ebpfkit_verifier::{RegBase, RegState};

/// Whether two pointers are combined into what is then compared with NULL.
pub(crate) fn merged_checks(case: &Case<'_>) -> bool {
    let insn = case.here();
    let next = case.insn(case.at() + 1);
    let compared = next.is_jump_class() && !next.is_call() && !next.is_src_reg() && next.imm == 0;
    insn.is_src_reg()
        && (compared && next.dst == insn.dst)
        && [insn.dst, insn.src].into_iter().all(|r| {
            case.reg(r).is_some_and(|s| !s.is_scalar() && !matches!(s.ty.base, RegBase::NotInit | RegBase::Stack))
        })
}

/// Explains rejections by arithmetic and comparisons.
pub(crate) fn explain(case: &Case<'_>, reason: &ScalarReason) -> Option<Draft> {
    use ScalarReason as R;
    let insn = case.here();
    let about = |reg: u8, headline: &str| {
        let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
        let history = case.history(reg);
        let shown = case.name(&history).unwrap_or_else(|| format!("r{reg}"));
        let has = words::value(case, &state);
        let d = Draft::new(headline.replace("{}", &shown).replace("{has}", &has), format!("{shown} is {has}"));
        general::with_origin(case, d, &history, &shown)
    };
    // The operand that is a pointer.
    let pointer_reg = |named: u8| {
        let is_pointer = |r: &u8| case.reg(*r).is_some_and(|s| !s.is_scalar() && s.ty.base != RegBase::NotInit);
        [named, insn.dst, insn.src].into_iter().find(is_pointer).unwrap_or(named)
    };
    Some(match reason {
        R::PointerArithmeticKind { reg, kind } if kind == "pkt_end" => {
            let reg = pointer_reg(*reg);
            about(reg, "data_end can only be compared, not computed with")
                .help("move the number to the other side of the comparison: `data + N > data_end` in the place of `data > data_end - N`")
        }
        R::PointerArithmeticNull { reg, .. } => {
            let reg = pointer_reg(*reg);
            let d = pointer::null(case, reg, None);
            Draft { headline: d.headline.replace("is used", "is computed with"), ..d }
        }
        R::PointerArithmeticKind { reg, .. } => about(pointer_reg(*reg), "{} is {has}: it cannot be computed with")
            .help("keep this pointer as it is; access members at constant offsets"),
        R::PointerArithmetic { reg } => {
            about(pointer_reg(*reg), "{} is {has}, and this operation is not allowed on pointers")
                .help("compute with numbers, and add the result to the pointer")
        }
        R::PointerArithmetic32 { reg } | R::PartialPointerCopy { reg } | R::SignExtendPointer { reg } => {
            about(pointer_reg(*reg), "only 32 bits of {}, a pointer, are used: it is {has}")
                .help("keep pointers in 64-bit variables (`void *`, `unsigned long`), not in int or __u32")
        }
        R::TwoPointers { op, .. } if *op == "|=" && merged_checks(case) => {
            let name = |r: u8| case.name(&case.history(r)).unwrap_or_else(|| pointer::unnamed(case, r));
            let (a, b) = (name(insn.dst), name(insn.src));
            let leave = crate::case::exit_text(case, case.step().unwrap_or(0));
            let d = about(
                insn.dst,
                &format!(
                    "the line asks whether {a} and {b} are both NULL, and the compiler has made one number of the two pointers for that"
                ),
            );
            let d = general::with_origin(case, d, &case.history(insn.src), &b);
            let d = d.note(
                "where only one of them is NULL this check lets both through: each has to be checked before it is used",
            );
            d.help(format!("check each of them: `if (!{a} || !{b}) {leave}`"))
        }
        R::TwoPointers { reg, op } => {
            about(pointer_reg(*reg), &format!("`{op}` is applied to two pointers: {{}} is {{has}}"))
                .help("subtract packet pointers only from each other; two other pointers cannot be combined")
        }
        R::ScalarMinusPointer { reg } => about(pointer_reg(*reg), "a pointer is subtracted from a number: {} is {has}")
            .help("subtract the number from the pointer, or the pointers from each other (for packets)"),
        R::StackPointerSub { reg } => about(pointer_reg(*reg), "a variable is subtracted from {}, {has}").help(
            "add instead: compute the index as a bounded number of zero or more, and add it to the start of the buffer",
        ),
        R::PointerBitwise { reg, op } | R::PointerOperator { reg, op } => {
            let d = about(
                pointer_reg(*reg),
                &format!(
                    "`{op}` is applied to {{}}, which is {{has}}: pointers can only be added to and subtracted from"
                ),
            );
            d.note("the compiler may have folded two choices into one computation on the pointer")
                .help("keep pointers apart from numbers: do not store flags in their bits, and put `asm volatile(\"\" : \"+r\"(p));` where the compiler combines them")
                .help("to hash or print an address, copy it to a number first with bpf_probe_read_kernel of the variable that holds it")
        }
        R::PointerComparison { reg } => {
            about(pointer_reg(*reg), "{} is compared with something that it cannot be compared with: it is {has}")
                .help("compare pointers with NULL, and packet pointers with data_end or each other")
        }
        R::PointerMathTooFar { kind, .. } if !matches!(insn.op(), alu::ADD | alu::SUB) => {
            let subject = case.name(&case.history(insn.dst)).unwrap_or_else(|| format!("a {kind} pointer"));
            let sign = match insn.op() {
                alu::AND => "&",
                alu::OR => "|",
                alu::XOR => "^",
                alu::LSH => "<<",
                alu::RSH | alu::ARSH => ">>",
                alu::MUL => "*",
                alu::DIV => "/",
                alu::MOD => "%",
                _ => "this",
            };
            let d = Draft::new(
                format!(
                    "{subject} is a pointer, and `{sign}` is applied to it: only numbers can be added to pointers and subtracted"
                ),
                String::new(),
            );
            general::with_value(case, d, insn.dst)
                .help("compute with offsets from the start, as numbers, and add the offset to the pointer at last")
        }
        R::PointerMathTooFar { kind, value } => {
            let d = general::with_value(
                case,
                Draft::new(
                    format!("{} is added to a {kind} pointer: no memory is that large", words::number(*value)),
                    String::new(),
                ),
                insn.dst,
            );
            d.help("the offset is wrong, or lost its bounds: compute it as an unsigned number and bound it")
        }
        R::PointerOffsetTooFar { kind, off } => general::with_value(
            case,
            Draft::new(format!("a {kind} pointer at offset {off} is too far from its start"), String::new()),
            insn.dst,
        )
        .help("bound the offset"),
        R::PointerMathUnbounded { kind } => bounds::arithmetic(case, kind),
        R::PointerOutOfBounds { kind, .. }
            if insn.is_src_reg() && case.reg(insn.src).is_some_and(|r| !r.var_off.is_const()) =>
        {
            bounds::arithmetic(case, kind)
        }
        R::PointerOutOfBounds { value, kind } => general::with_value(
            case,
            Draft::new(
                format!("the offset {} takes the {kind} pointer out of any bounds", words::number(*value)),
                String::new(),
            ),
            insn.dst,
        )
        .help("bound the offset before it is added"),

        R::DivByZero {} => Draft::new(format!("r{} is divided by the constant 0", insn.dst), "divided by zero")
            .help("leave the division out, or fix the constant"),
        R::InvalidShift { shift } => Draft::new(
            format!("a number is shifted by {shift}, which is not less than its width"),
            format!("shifted by {shift}"),
        )
        .help("shift by less than 64 (or 32 in 32-bit operations); mask a shift that was computed"),
        R::FramePointerWrite {} => Draft::new("r10, the frame pointer, cannot be written", "r10 is read only")
            .help("copy it to another register and compute with that"),
        R::InvalidRegister { reg } => {
            Draft::new(format!("there is no register {reg}"), "no such register").help("r0 to r10 exist")
        }
        R::SanitizeBounds { .. }
        | R::SanitizeKind { .. }
        | R::SanitizePaths { .. }
        | R::SanitizeLimit { .. }
        | R::SanitizeStackVariable { .. }
        | R::SanitizeStackRange { .. }
        | R::SanitizeMapValueRange { .. } => {
            let reg = pointer_reg(insn.dst);
            about(reg, "users without capabilities may not compute addresses so: {} is {has}, and a CPU might use it by speculation")
                .blame(Blame::Environment)
                .help("load the program with CAP_BPF and CAP_PERFMON, or use offsets that are the same on all paths and bounded before they are added")
        }
        _ => return None,
    })
}
