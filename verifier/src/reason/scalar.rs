//! Rejections by arithmetic and comparisons.

use super::rows::reasons;

reasons! {
    /// Rejections by arithmetic and comparisons.
    Scalar => ScalarReason {
        "EBPF0101" UninitRegister { reg: u8 } EACCES, "R{reg} !read_ok";
    }
}
