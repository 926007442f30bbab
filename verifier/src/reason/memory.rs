//! Rejections by loads, stores and atomics.

use super::rows::reasons;

reasons! {
    /// Rejections by loads, stores and atomics.
    Memory => MemoryReason {
        "EBPF0201" InvalidMemAccess { reg: u8, ty: String } EACCES, "R{reg} invalid mem access '{ty}'";
    }
}
