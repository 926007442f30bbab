//! Rejections by arithmetic and comparisons.

use super::rows::reasons;

reasons! {
    /// Rejections by arithmetic and comparisons.
    Scalar => ScalarReason {
        "EBPF0101" UninitRegister { reg: u8 } EACCES, "R{reg} !read_ok";
        "EBPF0102" InvalidRegister { reg: u8 } EINVAL, "R{reg} is invalid";
        "EBPF0103" FramePointerWrite {} EACCES, "frame pointer is read only";
    }
}
