//! Rejections by attach points.

use super::rows::reasons;

reasons! {
    /// Rejections by attach points.
    Attach => AttachReason {
        /// Syscall programs sleep.
        "EBPF1101" SyscallSleeps {} EINVAL, "Syscall programs can only be sleepable";
        /// The kernel has no type of this number.
        "EBPF1102" InvalidId { id: u32 } EINVAL, "attach_btf_id {id} is invalid";
        /// The type has no name.
        "EBPF1103" Nameless { id: u32 } EINVAL, "attach_btf_id {id} doesn't have a name";
        /// A tracepoint is named by a typedef.
        "EBPF1104" NotTypedef { id: u32 } EINVAL, "attach_btf_id {id} is not a typedef";
        /// The typedef is no tracepoint's.
        "EBPF1105" WrongTypeName { id: u32, name: String } EINVAL, "attach_btf_id {id} points to wrong type name {name}";
        /// Programs attach to functions.
        "EBPF1106" NotFunction { id: u32 } EINVAL, "attach_btf_id {id} is not a function";
        /// Operations of kernel structs are for programs under the GPL.
        "EBPF1107" StructOpsGpl {} EINVAL, "struct ops programs must have a GPL compatible license";
        /// The struct holds no operations that programs implement.
        "EBPF1108" NotOperations { id: u32 } ENOTSUPP, "attach_btf_id {id} is not a supported struct";
        /// The struct has no such member.
        "EBPF1109" NoMember { index: u32, name: String } EINVAL, "attach to invalid member idx {index} of struct {name}";
        /// The member is no operation.
        "EBPF1110" NotOperation { member: String, index: u32, name: String } EINVAL, "attach to invalid member {member}(@idx {index}) of struct {name}";
        /// The operation cannot be implemented by programs.
        "EBPF1111" UnsupportedMember { member: String, name: String } ENOTSUPP, "attach to unsupported member {member} of struct {name}";
    }
}
