//! Rejections by typed pointers and by special fields of values.

use super::rows::reasons;

reasons! {
    /// Rejections by typed pointers and special fields.
    Type => TypeReason {
        /// A typed pointer to something that is no struct.
        "EBPF0802" NotAStruct { name: String } EINVAL, "Type '{name}' is not a struct";
        /// An access behind the end of a struct.
        "EBPF0802" BeyondStruct { name: String, off: u32, size: u32 } EACCES, "access beyond struct {name} at off {off} size {size}";
        /// A member whose size is not known.
        "EBPF0802" MemberWithoutSize { member: String } EFAULT, "field {member} doesn't have size";
        /// A part of a pointer is read.
        "EBPF0802" PartOfPointer { member: String, at: u32, name: String, off: u32, size: u32 } EACCES, "cannot access ptr member {member} with moff {at} in struct {name} with off {off} size {size}";
        /// An access over the end of a member.
        "EBPF0802" BeyondMember { member: String, end: u32, name: String, off: u32, size: u32 } EACCES, "access beyond the end of member {member} (mend:{end}) in struct {name} with off {off} size {size}";
        /// There is no member here.
        "EBPF0802" NoMember { name: String, off: u32 } EINVAL, "struct {name} doesn't have field at offset {off}";
        /// Kernel structs are for programs under the GPL.
        "EBPF0302" StructNeedsGpl { name: String } EINVAL, "Cannot access kernel 'struct {name}' from non-GPL compatible program";
        /// An access before the start of a struct.
        "EBPF0808" NegativeStructOffset { reg: u8, name: String, off: i32 } EACCES, "R{reg} is ptr_{name} invalid negative access: off={off}";
        /// An access at a place that is not known.
        "EBPF0808" VariableStructOffset { reg: u8, name: String, off: i32, var_off: String } EACCES, "R{reg} is ptr_{name} invalid variable offset: off={off}, var_off={var_off}";
        /// The struct lies in user memory.
        "EBPF0810" UserStruct { reg: u8, name: String, off: i32 } EACCES, "R{reg} is ptr_{name} access user memory: off={off}";
        /// The struct lies in per-CPU memory.
        "EBPF0810" PercpuStruct { reg: u8, name: String, off: i32 } EACCES, "R{reg} is ptr_{name} access percpu memory: off={off}";
        /// Programs may only read here.
        "EBPF0812" OnlyRead {} EACCES, "only read is supported";
        /// A member that programs may not write.
        "EBPF0812" NoWrite { name: String, off: i32 } EACCES, "no write support to {name} at off {off}";
        /// A write over the end of a member.
        "EBPF0812" WriteBeyondMember { off: i32, size: u32, name: String, end: u32 } EACCES, "write access at off {off} with size {size} beyond the member of {name} ended at {end}";
        /// Any of these, as later kernels say it.
        "EBPF0812" StructWrite { reg: u8, name: String, off: i32, size: u32 } EACCES, "R{reg} cannot write into ptr_{name} at off={off} size={size}";
        /// A special field of an allocated object is accessed.
        "EBPF0816" SpecialFieldOfObject { field: &'static str } EACCES, "direct access to {field} is disallowed";
        /// A special field of a map value is accessed.
        "EBPF0816" SpecialField { field: &'static str } EACCES, "{field} cannot be accessed directly by load/store";
        /// A call would access a kernel pointer in a map value.
        "EBPF0816" KptrByCall { field: &'static str } EACCES, "{field} cannot be accessed indirectly by helper";
        /// A kernel pointer in a map value is accessed at a place that is not known.
        "EBPF0818" KptrVariable { field: &'static str } EACCES, "{field} access cannot have variable offset";
        /// A kernel pointer in a map value is accessed beside its start.
        "EBPF0818" KptrMisaligned { field: &'static str, at: u32, off: i64 } EACCES, "{field} access misaligned expected={at} off={off}";
        /// A part of a kernel pointer in a map value is accessed.
        "EBPF0818" KptrSize { field: &'static str } EACCES, "{field} access size must be BPF_DW";
        /// A kernel pointer in a map value is accessed by a sign-extending load or an atomic.
        "EBPF0818" KptrMode {} EACCES, "kptr in map can only be accessed using BPF_MEM instruction mode";
        /// A referenced kernel pointer changes by exchange only.
        "EBPF0818" KptrStore { field: &'static str } EACCES, "store to {field} disallowed";
        /// A number other than zero is stored as a kernel pointer.
        "EBPF0818" KptrStoreImm { off: u32 } EACCES, "BPF_ST imm must be 0 when storing to kptr at off={off}";
        /// A pointer of another type is stored.
        "EBPF0824" KptrType { reg: u8, ty: String, name: String, target: String, or_untrusted: String } EACCES, "invalid kptr access, R{reg} type={ty}{name} expected=ptr_{target}{or_untrusted}";
        /// Only reads through pointers to maps.
        "EBPF0812" MapStructWrite { name: String } EACCES, "only read from {name} is supported";
        /// An access before the start of a map's struct.
        "EBPF0808" NegativeMapOffset { reg: u8, name: String, off: i32 } EACCES, "R{reg} is {name} invalid negative access: off={off}";
        /// This program type cannot write through such a pointer.
        "EBPF0812" OnlyWriteTo { name: &'static str } EACCES, "only write to {name} is supported";
        /// This kind of program cannot use a map with such a field.
        "EBPF0638" TracingField { field: &'static str } EINVAL, "tracing progs cannot use {field} yet";
        /// This kind of program cannot use a map with such a field.
        "EBPF0638" SocketFilterLock {} EINVAL, "socket filter progs cannot use bpf_spin_lock yet";
    }
}
