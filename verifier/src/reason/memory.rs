//! Rejections by loads, stores and atomics.

use super::rows::reasons;
use crate::domain::RegBase;
use std::fmt;

/// An access and the region that it is not inside of. Shown as the kernel's line about it; the alternative form ends
/// the line, and is empty where no region is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// What the register points to.
    pub base: RegBase,
    /// Register.
    pub reg: u8,
    /// Identity of the pointer; zero for none.
    pub id: u32,
    /// First byte, from the start of the region.
    pub off: i64,
    /// Bytes.
    pub size: u32,
    /// Bytes of the region; of a packet, those that are known to be there; negative for a pointer that was compared
    /// with the end of the packet as something behind it.
    pub region: i64,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, reg, id, off, size, region } = *self;
        if region < 0 {
            return Ok(());
        }
        match base {
            RegBase::MapKey => write!(f, "invalid access to map key, key_size={region} off={off} size={size}"),
            RegBase::MapValue => write!(f, "invalid access to map value, value_size={region} off={off} size={size}"),
            RegBase::Packet | RegBase::PacketMeta | RegBase::PacketEnd => {
                write!(f, "invalid access to packet, off={off} size={size}, R{reg}(id={id},off={off},r={region})")
            }
            _ => write!(f, "invalid access to memory, mem_size={region} off={off} size={size}"),
        }?;
        if f.alternate() { f.write_str("\n") } else { Ok(()) }
    }
}

reasons! {
    /// Rejections by loads, stores and atomics.
    Memory => MemoryReason {
        /// The register is no pointer to memory.
        "EBPF0201" InvalidMemAccess { reg: u8, ty: String } EACCES, "R{reg} invalid mem access '{ty}'";
        /// Fields that must be zero are not.
        "EBPF0104" ReservedFields { insn: &'static str } EINVAL, "{insn} uses reserved fields";
        /// One instruction goes through pointers of different kinds.
        "EBPF0203" DifferentPointers {} EINVAL, "same insn cannot be used with different pointers";
        /// An access is not aligned to its size.
        "EBPF0204" Misaligned { what: &'static str, var_off: String, reg_off: i32, off: i32, size: u32 } EACCES, "misaligned {what}access off {var_off}+{reg_off}+{off} size {size}" | "since Linux 7.2" "misaligned {what}access off {var_off}+{off} size {size}";
        /// Part of an entry of a table of jumps is read.
        "EBPF0602" PartOfJump { size: u32 } EACCES, "Invalid read of {size} bytes from insn_array";
        /// The same, with the register's offset as one.
        "EBPF0204" MisalignedAt { what: &'static str, at: String, off: i32, size: u32 } EACCES, "misaligned {what}access off {at}+{off} size {size}";
        /// A packet access is not aligned to its size.
        "EBPF0204" MisalignedPacket { var_off: String, reg_off: i32, off: i32, size: u32 } EACCES, "misaligned packet access off 2+{var_off}+{reg_off}+{off} size {size}";
        /// An offset may be negative.
        "EBPF0206" NegativeIndex { reg: u8 } EACCES, "R{reg} min value is negative, either use unsigned index or do a if (index >=0) check.";
        /// An access may lie outside of its region.
        "EBPF0207" OutsideRegion { detail: Outside, reg: u8, bound: &'static str } EACCES, "{detail}\nR{reg} {bound} value is outside of the allowed memory range" | "up to Linux 5.7" "{detail}\nR{reg} {bound} value is outside of the array range";
        /// An offset has no bound.
        "EBPF0208" UnboundedAccess { reg: u8 } EACCES, "R{reg} unbounded memory access, make sure to bounds check any such access" | "up to Linux 5.7" "R{reg} unbounded memory access, make sure to bounds check any array access into a map";
        /// A packet access that no comparison with the end covers.
        "EBPF0209" OutsidePacket { detail: Outside, reg: u8 } EACCES, "{detail:#}R{reg} offset is outside of the packet" | "since Linux 7.2" "invalid access to packet, {detail}\nR{reg} {bound} value is outside of the allowed memory range";
        /// This program type may not write packets.
        "EBPF0210" PacketReadOnly {} EACCES, "cannot write into packet";
        /// The map may not be written by programs.
        "EBPF0211" MapReadOnly { value_size: u32, off: i64, size: u32 } EACCES, "write into map forbidden, value_size={value_size} off={off} size={size}";
        /// The map may not be read by programs.
        "EBPF0211" MapWriteOnly { value_size: u32, off: i64, size: u32 } EACCES, "read from map forbidden, value_size={value_size} off={off} size={size}";
        /// Memory that may only be read.
        "EBPF0213" CannotWrite { reg: u8, ty: String } EACCES, "R{reg} cannot write into {ty}";
        /// An access below or above the stack.
        "EBPF0214" OutsideStack { access: &'static str, reg: u8, off: i64, size: i32 } EACCES, "invalid {access} stack R{reg} off={off} size={size}" | "up to Linux 5.11" "invalid stack type R{reg} off={off} access_size={size}" | "up to Linux 5.11" "invalid stack off={off} size={size}";
        /// Stack bytes that were never written, or belong to an object.
        "EBPF0215" StackRead { off: i64, at: u32, size: u32 } EACCES, "invalid read from stack off {off}+{at} size {size}" | "up to Linux 5.11" "invalid indirect read from stack off {off}+{at} size {size}";
        /// Stack bytes that a call may not read.
        "EBPF0215" StackReadByCall { reg: u8, off: i64, at: i32, size: i32 } EACCES, "invalid read from stack R{reg} off {off}+{at} size {size}", without StackAccessKinds "invalid indirect read from stack R{reg} off {off}+{at} size {size}";
        /// Part of a pointer is written.
        "EBPF0217" SpillSize {} EACCES, "invalid size of register spill";
        /// Part of a pointer is read.
        "EBPF0217" FillSize {} EACCES, "invalid size of register fill";
        /// A pointer to this frame's stack is left in a caller's.
        "EBPF0219" SpillToCaller {} EINVAL, "cannot spill pointers to stack into stack frame of the caller";
        /// The context has no such field, or not for this access.
        "EBPF0220" ContextAccess { off: i32, size: u32 } EACCES, "invalid bpf_context access off={off} size={size}";
        /// A pointer that must not be moved lies before its start.
        "EBPF0222" NegativeOffset { ty: String, reg: u8, off: i32 } EACCES, "negative offset {ty} ptr R{reg} off={off} disallowed", without NegativeOffsetsNamed "dereference of modified {ty} ptr R{reg} off={off} disallowed";
        /// A pointer that must not be moved was.
        "EBPF0222" ModifiedPointer { ty: String, reg: u8, off: i32 } EACCES, "dereference of modified {ty} ptr R{reg} off={off} disallowed";
        /// A pointer that must not be moved was, by an unknown amount.
        "EBPF0222" VariableOffset { ty: String, var_off: String } EACCES, "variable {ty} access var_off={var_off} disallowed";
        /// No such atomic operation.
        "EBPF0224" AtomicOpcode { imm: i32 } EINVAL, "BPF_ATOMIC uses invalid atomic opcode {imm:02x}";
        /// Atomics are four or eight bytes wide.
        "EBPF0224" AtomicSize {} EINVAL, "invalid atomic operand size";
        /// Memory that has no atomics.
        "EBPF0226" AtomicStore { reg: u8, ty: String } EACCES, "BPF_ATOMIC stores into R{reg} {ty} is not allowed", without Atomics "BPF_XADD stores into R{reg} {ty} is not allowed";
        "EBPF0226" ConstantStore { reg: u8, ty: String } EACCES, "BPF_ST stores into R{reg} {ty} is not allowed";
        /// A size may be negative.
        "EBPF0227" NegativeSize { reg: u8 } EACCES, "R{reg} min value is negative, either use unsigned or 'var &= const'";
        /// A size may be zero.
        "EBPF0228" ZeroSize { reg: u8, min: i64, max: i64 } EACCES, "R{reg} invalid zero-sized read: u64=[{min},{max}]";
        /// A size has no bound.
        "EBPF0229" UnboundedSize { reg: u8 } EACCES, "R{reg} unbounded memory access, use 'var &= const' or 'if (var < const)'";
        /// Outside of the flow keys.
        "EBPF0240" FlowKeys { off: i32, size: u32 } EACCES, "invalid access to flow keys off={off} size={size}";
        /// The register is no buffer.
        "EBPF0303" NoBuffer { reg: u8, ty: String } EACCES, "R{reg} type={ty} expected=fp";
        /// A legacy packet load in a program type that has none.
        "EBPF0232" LegacyLoadType {} EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type";
        /// A legacy packet load whose context is not in r6.
        "EBPF0232" LegacyLoadContext {} EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb";
        /// A field of a socket that cannot be loaded so.
        "EBPF0240" SocketAccess { reg: u8, ty: String, off: i32, size: u32 } EACCES, "R{reg} invalid {ty} access off={off} size={size}";
        /// The key that a map gave is the map's own.
        "EBPF0213" KeyWrite { reg: u8 } EACCES, "write to change key R{reg} not allowed";
        /// Before the start of a buffer.
        "EBPF0242" BufferNegative { reg: u8, kind: &'static str, off: i32, size: u32 } EACCES, "R{reg} invalid {kind} buffer access: off={off}, size={size}";
        /// Inside a buffer at a place that is not known.
        /// The same, with the register's offset as one.
        "EBPF0242" BufferNegativeAt { reg: u8, kind: &'static str, off: i32, var_off: i64 } EACCES, "R{reg} invalid negative {kind} buffer offset: off={off}, var_off={var_off}";
        "EBPF0242" BufferVariable { reg: u8, off: i32, var_off: String } EACCES, "R{reg} invalid variable buffer offset: off={off}, var_off={var_off}";
        /// An empty buffer in the context.
        "EBPF0228" ZeroContextBuffer {} EACCES, "";
        /// An empty buffer on the stack where the call reads at least one byte.
        "EBPF0228" ZeroSizedRead {} EACCES, "invalid zero-sized read";
        /// A stack access that may lie anywhere.
        "EBPF0246" StackUnbounded { access: &'static str, reg: u8 } EACCES, "invalid unbounded variable-offset {access} stack R{reg}";
        /// A stack access at a place that is not known, partly outside of the stack.
        "EBPF0246" StackVariable { access: &'static str, reg: u8, var_off: String, off: i32, size: i32 } EACCES, "invalid variable-offset {access} stack R{reg} var_off={var_off} off={off} size={size}", without VariableOffsetsWhole "invalid variable-offset {access} stack R{reg} var_off={var_off} size={size}" | "up to Linux 5.11" "variable stack access var_off={var_off} off={off} size={size}";
        /// Stack bytes at a place that is not known that were never written.
        "EBPF0215" StackReadVariable { reg: u8, var_off: String, at: i64, size: i32 } EACCES, "invalid read from stack R{reg} var_off {var_off}+{at} size {size}", without StackAccessKinds "invalid indirect read from stack R{reg} var_off {var_off}+{at} size {size}";
        /// A call's operand cannot be at a stack place that is not known.
        "EBPF0246" StackVariableOperand { var_off: String, off: i32, size: i32 } EACCES, "variable offset stack pointer cannot be passed into helper function; var_off={var_off} off={off} size={size}";
        /// An access that ends above the stack.
        "EBPF0214" BeyondStack { access: &'static str, reg: u8, off: i32, size: i32 } EINVAL, "invalid {access} stack R{reg} off={off} size={size}";
        /// Memory that has no atomic loads.
        "EBPF0226" AtomicLoad { reg: u8, ty: String } EACCES, "BPF_ATOMIC loads from R{reg} {ty} is not allowed";
        /// A spilled pointer is overwritten in part.
        "EBPF0217" CorruptSpill {} EACCES, "attempt to corrupt spilled pointer on stack";
        /// A spilled pointer is used as a number.
        "EBPF0264" StackLeak { off: i64 } EACCES, "leaking pointer from stack off {off}";
        /// A store that may or may not lie over a spilled register or over bytes that were never written.
        "EBPF0263" StackWriteOverSpill { insn: usize, off: i64 } EINVAL, "spilled ptr in range of var-offset stack write; insn {insn}, ptr off: {off}";
        /// A stack access at a place that is not known.
        "EBPF0263" StackVariableUnprivileged { reg: u8, var_off: String } EACCES, "R{reg} variable offset stack access prohibited for !root, var_off={var_off}";
        /// A pointer is stored where others can read it.
        "EBPF0264" LeaksAddress { reg: u8, target: &'static str } EACCES, "R{reg} leaks addr into {target}";
        /// Kernel objects are read with `CAP_PERFMON` only.
        "EBPF0690" ObjectNeedsCapability { name: String } EPERM, "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN";
    }
}
