//! Rejections by the walk: limits, loops, exits.

use super::rows::reasons;

reasons! {
    /// Rejections by the walk: limits, loops, exits.
    Explore => ExploreReason {
        "EBPF0501" TooLarge { insns: u32 } E2BIG, "BPF program is too large. Processed {insns} insn";
    }
}
