//! Rejections by the walk: limits, loops, exits.

use super::rows::reasons;
use crate::domain::Tnum;

reasons! {
    /// Rejections by the walk: limits, loops, exits.
    Explore => ExploreReason {
        /// The budget of instructions is used up.
        "EBPF0501" TooLarge { insns: u32 } E2BIG, "BPF program is too large. Processed {insns} insn" | "up to Linux 5.1" "BPF program is too complex";
        /// Before the walk, pointers into frames would have to be followed through too many calls.
        "EBPF0501" TooManyFollowed { calls: u32 } E2BIG, "liveness analysis exceeded complexity limit ({calls} calls)";
        /// Too many branches are pending.
        "EBPF0502" TooManyBranches { limit: usize } E2BIG, "The sequence of {limit} jumps is too complex.";
        /// A return value outside of what the attach point allows.
        "EBPF0503" ReturnRange { exit_ctx: &'static str, reg: u8, facts: String, min: i32, max: i32 } EINVAL, "{exit_ctx} the register R{reg} has{facts} should have been in [{min}, {max}]";
        /// The same, by its known bits.
        "EBPF0503" ReturnBits { exit_ctx: &'static str, reg: u8, facts: String, range: Tnum } EINVAL, "{exit_ctx} the register R{reg} has {facts} should have been in {range:#}";
        /// A return value that is no number.
        "EBPF0503" ReturnNoScalar { exit_ctx: &'static str, reg: u8, ty: String } EINVAL, "{exit_ctx} the register R{reg} is not a known value ({ty})";
        /// A global function that returns no number.
        "EBPF0503" SubprogReturnNoScalar { reg: u8, ty: String } EINVAL, "At subprogram exit the register R{reg} is not a scalar value ({ty})";
        /// An address would leave the program.
        "EBPF0264" ReturnLeaksAddress { reg: u8 } EACCES, "R{reg} leaks addr as return value";
        /// Fields that must be zero are not.
        "EBPF0104" ReservedFields { insn: &'static str } EINVAL, "{insn} uses reserved fields";
        /// A malformed 64-bit immediate load.
        "EBPF0610" InvalidLoadImm {} EINVAL, "invalid BPF_LD_IMM insn";
        /// A global function used as a callback.
        "EBPF0509" CallbackNotStatic {} EINVAL, "callback function not static";
        /// A function is used as a callback, and the object has no records of functions.
        "EBPF0509" MissingFuncInfo {} EINVAL, "missing btf func_info";
        /// A pointer stands where a number has to be known exactly. The kernel calls that a bug of its own, as it does the
        /// next ones, in which a number has to be known exactly that cannot have come from where it would have to.
        "EBPF0513" PrecisePointer {} EFAULT, "verifier bug: backtracking misuse";
        /// Registers that a call or return does not pass on.
        "EBPF0513" PreciseRegs { by: &'static str, regs: u16 } EFAULT, "verifier bug: {by} unexpected regs {regs:x}";
        /// Stack slots that a function has not been given.
        "EBPF0513" PreciseSlots { by: &'static str, slots: u64 } EFAULT, "verifier bug: {by} leftover stack slots {slots:x}";
        /// A frame that nothing called.
        "EBPF0513" PreciseFrame { from: &'static str, frame: usize } EFAULT, "verifier bug: subprog {from} frame {frame}";
        /// What the kernel's own caller of a function would have passed.
        "EBPF0513" PreciseEntry { subprog: u32, regs: u16, slots: u64 } EFAULT, "verifier bug: backtracking func entry subprog {subprog} reg_mask {regs:x} stack_mask {slots:x}";
        /// A loop that comes back to where it was.
        "EBPF0510" InfiniteLoop { insn: usize, cur: String, old: String } EINVAL, "infinite loop detected at insn {insn}\ncur state:{cur}\nold state:{old}", without LoopStatesShown "infinite loop detected at insn {insn}";
        /// A program for a control group at a hook that returns nothing lets it pass, and only that.
        "EBPF0511" VoidHookReturn { reg: u8, facts: String } EINVAL, "At program exit the register R{reg} has{facts} should have been in [1, 1]\nNote, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!";
    }
}
