//! Rejections by objects on the stack that calls make: dynptrs and iterators.

use super::rows::reasons;

reasons! {
    /// Rejections by dynptrs and iterators.
    Object => ObjectReason {
        /// A dynptr argument is neither on the stack nor given by the kernel.
        "EBPF0701" DynptrNotOnStack { index: u8 } EINVAL, "arg#{index} expected pointer to stack or const struct bpf_dynptr" | "since Linux 7.2" "R{reg} expected pointer to stack or const struct bpf_dynptr";
        /// A dynptr cannot be made here.
        "EBPF0702" DynptrNotUninit {} EINVAL, "Dynptr has to be an uninitialized dynptr" | "up to Linux 6.1" "cannot pass in dynptr at an offset";
        /// A dynptr that the kernel gave must stay as it is.
        "EBPF0701" DynptrConst {} EINVAL, "cannot pass pointer to const bpf_dynptr, the helper mutates it";
        /// There is no initialised dynptr here.
        "EBPF0704" DynptrNotInit { index: u8, reg: u8 } EINVAL, "Expected an initialized dynptr as arg #{index}", without GuardedDynptrs "Expected an initialized dynptr as arg #{reg}" | "since Linux 7.2" "Expected an initialized dynptr as R{reg}";
        /// A dynptr over something else.
        "EBPF0704" DynptrKind { kind: &'static str, index: u8 } EINVAL, "Expected a dynptr of type {kind} as arg #{index}" | "since Linux 7.2" "Expected a dynptr of type {kind} as R{reg}";
        /// A dynptr that must be released would be lost.
        "EBPF0706" DynptrOverwrite {} EINVAL, "cannot overwrite referenced dynptr";
        /// A buffer may overlap a dynptr.
        "EBPF0706" DynptrInBuffer { off: i64 } EINVAL, "potential write to dynptr at off={off} disallowed";
        /// An iterator argument is not on the stack.
        "EBPF0708" IterNotOnStack { index: u8 } EINVAL, "arg#{index} expected pointer to an iterator on stack" | "since Linux 7.2" "R{reg} expected pointer to an iterator on stack";
        /// An iterator cannot be made here.
        "EBPF0709" IterNotUninit { iter: String, index: u8 } EINVAL, "expected uninitialized iter_{iter} as arg #{index}" | "since Linux 7.2" "expected uninitialized iter_{iter} as R{reg}";
        /// There is no initialised iterator of this type here.
        "EBPF0710" IterNotInit { iter: String, index: u8 } EINVAL, "expected an initialized iter_{iter} as arg #{index}" | "since Linux 7.2" "expected an initialized iter_{iter} as R{reg}";
        /// The iterator's RCU region has ended.
        "EBPF1045" IterOutsideRcu { func: String } EPROTO, "expected an RCU CS when using {func}";
        /// The type of an iterator argument is not one of the kernel's.
        "EBPF0708" IterType { index: u8 } EINVAL, "expected valid iter pointer as arg #{index}";
    }
}
