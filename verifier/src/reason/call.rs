//! Rejections by calls of helpers, kfuncs and subprograms.

use super::rows::reasons;

reasons! {
    /// Rejections by calls of helpers, kfuncs and subprograms.
    Call => CallReason {
        /// No helper has this number.
        "EBPF0301" UnknownHelper { name: String, id: i32 } EINVAL, "invalid func {name}#{id}";
        /// This kind of program does not have the helper.
        "EBPF0307" HelperNotOffered { name: &'static str, id: u32 } EINVAL, "program of this type cannot use helper {name}#{id}", without RefusedHelpersNamed "unknown func {name}#{id}";
        /// A helper that not all attach points have.
        "EBPF0307" NotInThisProbe {} EINVAL, "helper call is not allowed in probe";
        /// A helper that sleeps, in a program that may not.
        "EBPF0309" SleepsInNonSleepable { func: &'static str, id: u32 } EINVAL, "helper call might sleep in a non-sleepable prog", with SleepersNamed "sleepable helper {func}#{id} in non-sleepable prog";
        /// An address would reach the helper as a number.
        "EBPF0264" LeaksAddress { reg: u8 } EACCES, "R{reg} leaks addr into helper function";
        /// The helper may write where the program may not.
        "EBPF0311" MayWriteInto { func: &'static str, reg: u8, ty: String } EACCES, "{func}() may write into memory pointed by R{reg} type={ty}";
        /// A pointer that may be null.
        "EBPF0312" PossiblyNull { reg: u8 } EACCES, "Possibly NULL pointer passed to helper arg{reg}", with ArgumentsAsRegisters "Possibly NULL pointer passed to helper R{reg}";
        /// A pointer to another struct of the kernel.
        "EBPF0313" OtherStruct { reg: u8, name: String, expected: String } EACCES, "R{reg} is of type {name} but {expected} is expected";
        /// What is released is given by its start.
        "EBPF0314" ReleasedMoved { reg: u8 } EINVAL, "R{reg} must have zero offset when passed to release func or trusted arg to kfunc";
        /// The argument holds nothing to release.
        "EBPF0315" NotReferenced { reg: u8, func: &'static str, id: u32 } EINVAL, "R{reg} must be referenced when passed to release function", without ReleasedArguments "func {func}#{id} reference has not been acquired before", with ReleasesNamed "release helper {func} expects referenced PTR_TO_BTF_ID passed to R{reg}";
        /// The dynptr holds nothing to release.
        "EBPF0315" UnacquiredArgument { reg: u8 } EINVAL, "arg {reg} is an unacquired reference", with ReleasesNamed "Expected an initialized dynptr as R{reg}";
        /// A dynptr that the program was given cannot be released.
        "EBPF0315" UnownedDynptr {} EINVAL, "cannot release unowned const bpf_dynptr", without GuardedDynptrs "arg 1 is an unacquired reference", with ReleasesNamed "CONST_PTR_TO_DYNPTR cannot be released";
        /// Two arguments hold references.
        "EBPF0513" TwoReferences { reg: u8, first: u32, second: u32 } EFAULT, "more than one arg with ref_obj_id R{reg} {first} {second}";
        /// What is released was never acquired.
        "EBPF0315" NeverAcquired { name: &'static str, id: u32 } EINVAL, "func {name}#{id} reference has not been acquired before";
        /// A size must be known.
        "EBPF0320" NotConstant { reg: u8 } EACCES, "R{reg} is not a known constant'" | "up to Linux 5.15" "R{reg} unbounded size, use 'var &= const' or 'if (var < const)'";
        /// A per-CPU pointer without type.
        "EBPF0616" InvalidBtfId { reg: u8 } EACCES, "Helper has invalid btf_id in R{reg}";
        /// A timer belongs to another map than the one that is given.
        "EBPF0322" OtherMapThanTimer { timer: u32, map: u32 } EINVAL, "timer pointer in R1 map_uid={timer} doesn't match map pointer in R2 map_uid={map}";
        /// Socket maps hold sockets.
        "EBPF0328" SockmapValue {} EINVAL, "invalid arg_type for sockmap/sockhash";
        /// Text must be constant.
        "EBPF0324" StringPerCpu { reg: u8 } EACCES, "R{reg} points to percpu_array map which cannot be used as const string";
        "EBPF0324" StringNotReadOnly { reg: u8 } EACCES, "R{reg} does not point to a readonly map'";
        /// Text must stand at a known place.
        "EBPF0324" StringNotConstant { reg: u8 } EACCES, "R{reg} is not a constant address'";
        /// Text must lie in an array map.
        "EBPF0328" StringInOtherMap {} EACCES, "no direct value access support for this map type";
        /// Text must end with a zero.
        "EBPF0324" StringUnterminated {} EINVAL, "string is not zero-terminated";
        /// The helper does not work on this type of map.
        "EBPF0328" MapType { map_type: u32, name: &'static str, id: u32 } EINVAL, "cannot pass map_type {map_type} into func {name}#{id}";
        /// Programs may only read the map.
        "EBPF0211" MapReadOnly {} EACCES, "write into map forbidden";
        /// The helper's prototype and this use do not go together.
        "EBPF0513" Misconfigured {} EINVAL, "kernel subsystem misconfigured verifier";
        /// The map's values hold no timer.
        "EBPF0331" NoTimer { map: String } EINVAL, "map '{map}' has no valid bpf_timer";
        /// The timer lies elsewhere.
        "EBPF0331" WrongTimerOffset { off: i64, at: u32 } EINVAL, "off {off} doesn't point to 'struct bpf_timer' that is at {at}";
        /// There is no kernel pointer in what the register points to.
        "EBPF0331" NoKptr { reg: u8, map: String } EINVAL, "R{reg} has no valid kptr", without KptrTagNames "map '{map}' has no valid kptr";
        /// The kernel pointer lies elsewhere.
        "EBPF0331" NotAtKptr { off: i32 } EACCES, "off={off} doesn't point to kptr";
        /// Only referenced kernel pointers can be exchanged.
        "EBPF0331" KptrNotReferenced { off: i32 } EACCES, "off={off} kptr isn't referenced kptr";
        /// Flags that must be zero are not.
        "EBPF0336" LocalStorageFlags {} EINVAL, "get_local_storage() doesn't support non-zero flags";
        /// The values of a format are 64-bit numbers.
        "EBPF0338" UnevenValues {} EINVAL, "";
        /// A format that is malformed, or does not fit its values.
        "EBPF0338" FormatString {} EINVAL, "Invalid format string";
        /// A dynptr over memory that may go away.
        "EBPF0339" DynptrSource { ty: String } EACCES, "Unsupported reg type {ty} for bpf_dynptr_from_mem data";
        /// The helper needs a function to be attached to.
        "EBPF0307" TrampolineOnly { name: &'static str, id: u32 } ENOTSUPP, "func {name}#{id} supported only for fentry/fexit/fmod_ret programs";
        /// The helper does not work in this type of program.
        "EBPF0307" WrongType { name: &'static str, id: u32, kind: u32 } ENOTSUPP, "func {name}#{id} not supported for program type {kind}";
        /// The elements of this type of map cannot be walked.
        "EBPF0328" NoMapCallback {} ENOTSUPP, "callback function not allowed for map";
        /// The size of a variable cannot be found.
        "EBPF0616" UnresolvedSize { name: String } EINVAL, "unable to resolve the size of type '{name}': -22";
        /// A helper for programs under the GPL only.
        "EBPF0302" GplOnly {} EINVAL, "cannot call GPL-restricted function from non-GPL compatible program" | "up to Linux 5.0" "cannot call GPL only function from proprietary program";
        /// An argument of the wrong kind.
        "EBPF0303" ArgumentKind { reg: u8, ty: String, expected: String } EACCES, "R{reg} type={ty} expected={expected}";
        /// A helper that does not take packet pointers.
        "EBPF0304" PacketArgument {} EACCES, "helper access to the packet is not allowed";
        /// The chain of calls is too long.
        "EBPF0305" CallStackTooDeep { frames: usize } E2BIG, "the call stack of {frames} frames is too deep";
        /// A function returns a pointer into its own stack.
        "EBPF0219" ReturnsStackPointer {} EINVAL, "cannot return stack pointer to the caller";
        /// A tail call through a map that holds no programs.
        "EBPF0328" NoProgArray {} EINVAL, "expected prog array map for tail call";
        /// A tail call would leave a callback in the middle.
        "EBPF0328" TailCallInCallback {} EINVAL, "cannot tail call within callback";
        /// A security hook without result has no result to change.
        "EBPF0511" VoidHook {} EINVAL, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!";
        /// A callback that returns no number.
        "EBPF0345" CallbackReturnNoScalar {} EACCES, "R0 not a scalar value";
        /// A callback that returns something else than it may.
        "EBPF0345" CallbackReturn { facts: String, min: i32, max: i32 } EINVAL, "At callback return the register R0 has{facts} should have been in [{min}, {max}]";
    }
}
