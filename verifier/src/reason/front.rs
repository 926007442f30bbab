//! Rejections before the walk: control flow, BTF, maps, attach points.

use super::rows::reasons;

reasons! {
    /// Rejections before the walk: control flow, BTF, maps, attach points.
    Front => FrontReason {
        "EBPF0601" UnreachableInsn { insn: usize } EINVAL, "unreachable insn {insn}";
    }
}
