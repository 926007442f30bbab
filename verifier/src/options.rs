//! Who loads the program, and how it is to be judged.

use ebpfkit_abi::limits::MAX_VERIFIED_INSNS;

/// Privileges and limits of a verification.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `CAP_BPF` and `CAP_PERFMON`, which lift the unprivileged rules. False models a user without capabilities.
    pub privileged: bool,
    /// Without `privileged`: the user has `CAP_BPF` still, but not `CAP_PERFMON` or `CAP_NET_ADMIN`.
    pub cap_bpf: bool,
    /// Reject accesses that are not aligned even where the machine allows them (`BPF_F_STRICT_ALIGNMENT`).
    pub strict_alignment: bool,
    /// Walk every path to its end, although an equal state was explored before. Verdicts near the limits differ from
    /// the kernel's; what is recorded of each instruction is then complete.
    pub exhaustive: bool,
    /// Also see what Linux 6.18 does not: that a fetching atomic operation takes a number from the stack, and that a
    /// sign-extending load makes another number. The kernel may take a branch for dead that is not; what runs without
    /// checks must not rest on that.
    pub sound: bool,
    /// Instructions that are walked before the program counts as too large: the kernel's number, or fewer for an attempt
    /// that is not worth more.
    pub max_insns: u64,
}

impl Options {
    /// Those for programs that are to run without checks.
    pub fn to_run() -> Self {
        Self { sound: true, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            privileged: true,
            cap_bpf: false,
            strict_alignment: false,
            exhaustive: false,
            sound: false,
            max_insns: MAX_VERIFIED_INSNS,
        }
    }
}
