//! Accesses that kinds of memory do not take: sockets, buffers, keys, spilled registers, atomics.

use super::{bounds, general};
use crate::case::{Case, Draft};
use crate::words;
use ebpfkit_isa::opcode::class;
use ebpfkit_verifier::reason::MemoryReason;

/// Explains an access that is not about bounds.
pub(crate) fn explain(case: &Case<'_>, reason: &MemoryReason) -> Option<Draft> {
    use MemoryReason as M;
    let insn = case.here();
    let base = insn.memory_base();
    let callee = case.callee(case.at());
    let verb = if insn.class() == class::LDX { "read" } else { "written" };
    let about = |reg: u8, headline: String, label: &str| {
        let history = case.history(reg);
        let shown = bounds::accessed(case).or_else(|| case.name(&history)).unwrap_or_else(|| format!("r{reg}"));
        let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
        let d = Draft::new(
            headline.replace("{}", &shown).replace("{has}", &has),
            label.replace("{}", &shown).replace("{has}", &has),
        );
        general::with_origin(case, d, &history, &shown)
    };
    let text = |at: i64, size: u32| words::range_of(at, size.into());
    Some(match reason {
        M::SocketAccess { reg, off, size, ty } => about(
            *reg,
            format!("{{}} is {{has}} ({ty}), and {} of it cannot be {verb}", text((*off).into(), *size)),
            &format!("{} of the socket", text((*off).into(), *size)),
        )
        .help("read the fields of struct bpf_sock with their own widths; get the full socket with bpf_sk_fullsock or bpf_tcp_sock, and check the result for NULL"),
        M::FlowKeys { off, size } => about(base.unwrap_or(1), format!("{} of the flow keys cannot be {verb}: struct bpf_flow_keys ends before", text((*off).into(), *size)), "outside of the flow keys")
            .help("access the members of struct bpf_flow_keys"),
        M::KeyWrite { reg } => about(*reg, "{} is {has}: the key belongs to the map and cannot be written".into(), "a write to the key").help("copy the key to the stack, and change the copy"),
        M::BufferNegative { reg, kind, off, size } => about(*reg, format!("{} of the {kind} buffer lie before its start", text((*off).into(), *size)), "before the buffer").help("access the buffer at offsets of zero or more"),
        M::BufferNegativeAt { reg, kind, .. } => about(*reg, format!("an access of the {kind} buffer lies before its start"), "before the buffer").help("access the buffer at offsets of zero or more"),
        M::BufferVariable { reg, .. } => about(*reg, "{} is {has}: this buffer can only be accessed at constant offsets".into(), "a variable offset").help("access it at constant offsets, or copy it first"),
        M::ZeroContextBuffer {} | M::ZeroSizedRead {} => {
            let c = callee.unwrap_or_else(|| "the call".into());
            Draft::new(format!("{c} gets a size of zero, and reads at least one byte"), "a size of zero").help("pass the size of the buffer, which is at least 1")
        }
        M::ConstantStore { reg, ty } => about(*reg, format!("a constant is stored through {{}}, which is {{has}} ({ty}): older kernels store registers there only"), "{} is {has}").help("put the constant into a register, and store that"),
        M::AtomicStore { reg, ty } | M::AtomicLoad { reg, ty } => {
            about(*reg, format!("an atomic operation goes through {{}}, which is {{has}} ({ty}): such memory has no atomics"), "{} is {has}").help("use plain loads and stores there, or keep the counter in a map's value")
        }
        M::AtomicOpcode { imm } => Draft::new(format!("there is no atomic operation {imm:#04x}"), "this operation").help("use add, and, or, xor, xchg or cmpxchg"),
        M::AtomicSize {} => Draft::new(format!("an atomic operation of {}: atomics have 4 or 8 bytes", words::bytes(crate::origin::access_size(insn))), "this operation").help("use a variable of 4 or 8 bytes"),
        M::SpillSize {} | M::FillSize {} => {
            let what = if matches!(reason, M::FillSize {}) { "read back" } else { "stored" };
            about(base.unwrap_or(10), format!("only {} of a pointer on the stack are {what}", words::bytes(crate::origin::access_size(insn))), "a part of a pointer").help("store and read pointers with all 8 bytes")
        }
        M::CorruptSpill {} => about(base.unwrap_or(10), format!("{} are written over a part of a pointer that was stored on the stack", words::bytes(crate::origin::access_size(insn))), "over a stored pointer").help("keep the pointer and the bytes in places of their own, or load with CAP_PERFMON"),
        M::SpillToCaller {} => {
            let has = case.reg(insn.src).map(|r| words::value(case, r)).unwrap_or_default();
            about(insn.src, format!("{has}, which is gone when this function returns, is stored in the stack of its caller"), "stored for the caller").help("let the caller own the buffer, and pass its address")
        }
        M::StackLeak { off } => Draft::new(format!("a pointer that is stored at fp{off:+} would be used as a number"), "a stored pointer is read as bytes").help("read it back whole, or load with CAP_PERFMON"),
        M::LeaksAddress { reg, target } => about(*reg, format!("{{}} is {{has}}, and would be stored in {target}, where others can read the address"), "{} is {has}").help("store a number instead, or load the program with CAP_PERFMON"),
        M::StackVariableOperand { off, size, .. } => Draft::new(
            format!("{} gets {} of the stack at a place that a variable decides (fp{off:+} and more)", callee.unwrap_or_else(|| "the call".into()), words::bytes((*size).into())),
            "a place that is not known",
        )
        .help("copy to a buffer at a constant place first"),
        M::StackWriteOverSpill { off, .. } => Draft::new(format!("this store at a variable place may lie over the register that was stored at fp{off:+}"), "a store at a variable place").help("bound the index, or load with CAP_PERFMON"),
        M::StackVariableUnprivileged { reg, .. } => about(*reg, "the stack is accessed at a place that a variable decides, which needs CAP_PERFMON: {} is {has}".into(), "a variable place").help("use constant indices, or load with CAP_PERFMON"),
        M::LegacyLoadType {} => Draft::new(format!("{} programs have no legacy packet loads (LD_ABS, LD_IND)", case.program.prog_type), "a legacy packet load").help("use packet pointers, or bpf_skb_load_bytes"),
        M::LegacyLoadContext {} => {
            let has = case.reg(6).map(|r| words::value(case, r)).unwrap_or_default();
            Draft::new(format!("a legacy packet load takes the packet from r6, which is {has} and not the context"), "a legacy packet load").help("put the context into r6 first (`r6 = r1`)")
        }
        M::ObjectNeedsCapability { name } => Draft::new(format!("struct {name} of the kernel can only be read with CAP_PERFMON"), "a kernel object").help("load the program with CAP_PERFMON"),
        M::ReservedFields { insn } => Draft::new(format!("a field of the instruction that must be zero is not ({insn})"), "malformed").help("encode the instruction anew"),
        _ => return None,
    })
}
