//! Rejections by calls of helpers, kfuncs and subprograms.

use super::rows::reasons;

reasons! {
    /// Rejections by calls of helpers, kfuncs and subprograms.
    Call => CallReason {
        /// No helper has this number.
        "EBPF0301" UnknownHelper { name: String, id: i32 } EINVAL, "invalid func {name}#{id}";
        /// This kind of program does not have the helper.
        "EBPF0307" HelperNotOffered { name: &'static str, id: u32 } EINVAL, "program of this type cannot use helper {name}#{id}";
        /// A helper for programs under the GPL only.
        "EBPF0302" GplOnly {} EINVAL, "cannot call GPL-restricted function from non-GPL compatible program";
        /// An argument of the wrong kind.
        "EBPF0303" ArgumentKind { reg: u8, ty: String, expected: &'static str } EACCES, "R{reg} type={ty} expected={expected}";
        /// A helper that does not take packet pointers.
        "EBPF0304" PacketArgument {} EACCES, "helper access to the packet is not allowed";
        /// The chain of calls is too long.
        "EBPF0305" CallStackTooDeep { frames: usize } E2BIG, "the call stack of {frames} frames is too deep";
        /// A function returns a pointer into its own stack.
        "EBPF0306" ReturnsStackPointer {} EINVAL, "cannot return stack pointer to the caller";
    }
}
