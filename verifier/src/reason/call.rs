//! Rejections by calls of helpers, kfuncs and subprograms.

use super::rows::reasons;

reasons! {
    /// Rejections by calls of helpers, kfuncs and subprograms.
    Call => CallReason {
        "EBPF0301" UnknownHelper { name: String, id: i32 } EINVAL, "invalid func {name}#{id}";
    }
}
