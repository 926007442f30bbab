//! Rejections by attach points.

use super::rows::reasons;

reasons! {
    /// Rejections by attach points.
    Attach => AttachReason {
        /// Syscall programs sleep.
        "EBPF0629" SyscallSleeps {} EINVAL, "Syscall programs can only be sleepable";
        /// The kernel has no type of this number.
        "EBPF1102" InvalidId { id: u32 } EINVAL, "attach_btf_id {id} is invalid";
        /// The type has no name.
        "EBPF1102" Nameless { id: u32 } EINVAL, "attach_btf_id {id} doesn't have a name";
        /// A tracepoint is named by a typedef.
        "EBPF1102" NotTypedef { id: u32 } EINVAL, "attach_btf_id {id} is not a typedef";
        /// The typedef is no tracepoint's.
        "EBPF1102" WrongTypeName { id: u32, name: String } EINVAL, "attach_btf_id {id} points to wrong type name {name}";
        /// Programs attach to functions.
        "EBPF1102" NotFunction { id: u32 } EINVAL, "attach_btf_id {id} is not a function";
        /// Operations of kernel structs are for programs under the GPL.
        "EBPF0302" StructOpsGpl {} EINVAL, "struct ops programs must have a GPL compatible license";
        /// The struct holds no operations that programs implement.
        "EBPF1108" NotOperations { id: u32 } ENOTSUPP, "attach_btf_id {id} is not a supported struct";
        /// The struct has no such member.
        "EBPF1108" NoMember { index: u32, name: String } EINVAL, "attach to invalid member idx {index} of struct {name}";
        /// The member is no operation.
        "EBPF1108" NotOperation { member: String, index: u32, name: String } EINVAL, "attach to invalid member {member}(@idx {index}) of struct {name}";
        /// The operation cannot be implemented by programs.
        "EBPF1108" UnsupportedMember { member: String, name: String } ENOTSUPP, "attach to unsupported member {member} of struct {name}";
        /// The function takes too many arguments.
        "EBPF1112" TooManyArgs { func: String, count: usize } EINVAL, "The function {func} has {count} arguments. Too many.";
        /// The function returns something large.
        "EBPF1112" ReturnType { func: String, kind: &'static str } EINVAL, "The function {func} return type {kind} is unsupported.";
        /// The function takes any number of arguments.
        "EBPF1112" VariableArgs { func: String } EINVAL, "The function {func} with variable args is unsupported.";
        /// The function takes something large by value.
        "EBPF1112" ArgType { func: String, index: usize, kind: &'static str } EINVAL, "The function {func} arg{index} type {kind} is unsupported.";
        /// The kernel does not know where the function is.
        "EBPF1102" NoAddress { func: String } ENOENT, "The address of function {func} cannot be found";
        /// Programs at this function cannot sleep.
        "EBPF0629" NotSleepableHere { func: String } EINVAL, "{func} is not sleepable";
        /// Programs at this tracepoint cannot sleep.
        "EBPF0629" NotFaultable { event: String } EINVAL, "Sleepable program cannot attach to non-faultable tracepoint {event}";
        /// The result of this function cannot be replaced.
        "EBPF1118" NotModifiable { func: String } EINVAL, "{func}() is not modifiable";
        /// Security hooks are for programs under the GPL.
        "EBPF0302" LsmGpl {} EINVAL, "LSM programs must have a GPL compatible license";
        /// The security hook is not open to programs.
        "EBPF1118" DisabledHook { id: u32, func: String } EINVAL, "attach_btf_id {id} points to disabled hook {func}";
        /// The function is not open to programs.
        "EBPF1118" Denied { func: String } EINVAL, "Attaching tracing programs to function '{func}' is rejected.";
        /// The kernel knows no such hook for this type of programs. It says nothing more.
        "EBPF1123" UnknownHook { kind: String, attach: String } EINVAL, "{kind} programs cannot be attached as {attach}";
        /// Nothing runs behind a function that does not return.
        "EBPF1118" NoReturn { name: String } EINVAL, "Attaching fexit/fmod_ret to __noreturn functions is rejected.", with NoreturnNamed "Attaching fexit/fsession/fmod_ret to __noreturn function '{name}' is rejected.";
    }
}
