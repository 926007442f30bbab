//! Rejections by arguments of global functions.

use super::rows::reasons;

reasons! {
    /// Rejections by arguments of global functions.
    Global => GlobalReason {
        /// An argument does not keep the contract of the function.
        "EBPF0901" InvalidArgs { subprog: usize, name: String } EINVAL, "Caller passes invalid args into func#{subprog} ('{name}')", without GlobalNamesInMessages "Caller passes invalid args into func#{subprog}";
        /// A number is expected.
        "EBPF0901" NoScalar { reg: u8 } EINVAL, "R{reg} is not a scalar";
        /// The context is expected.
        "EBPF0901" NoContext { index: usize } EINVAL, "arg#{index} expects pointer to ctx";
        /// A pointer that cannot be null is expected.
        "EBPF0312" ExpectsNonNull { index: usize } EINVAL, "arg#{index} is expected to be non-NULL";
        /// The function may change the packet that the pointer points into.
        "EBPF0312" PacketChanges { reg: u8 } EINVAL, "R{reg} points into a packet that the function may change";
        /// A pointer into the arena or a number is expected.
        "EBPF0901" NoArena { reg: u8 } EINVAL, "R{reg} is not a pointer to arena or scalar.";
        /// A pointer that may be null is passed where it must not be.
        "EBPF0312" PossiblyNull { reg: u8 } EACCES, "Possibly NULL pointer passed to helper arg{reg}", with ArgumentsAsRegisters "Possibly NULL pointer passed to helper R{reg}";
        /// A pointer to another struct.
        "EBPF0313" OtherType { reg: u8, has: String, expected: String } EACCES, "R{reg} is of type {has} but {expected} is expected";
    }
}
