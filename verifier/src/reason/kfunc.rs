//! Rejections by calls of kernel functions.

use super::rows::reasons;

reasons! {
    /// Rejections by calls of kernel functions.
    Kfunc => KfuncReason {
        /// Kernel functions are called from machine code only.
        "EBPF1001" NeedsJit {} ENOTSUPP, "JIT is required for calling kernel function";
        /// Kernel functions are for programs under the GPL.
        "EBPF0302" NeedsGpl {} EINVAL, "cannot call kernel function from non-GPL compatible program";
        /// The number names no function.
        "EBPF1007" NoFunction { id: u32 } EINVAL, "kernel btf_id {id} is not a function";
        /// Packet metadata of a device, in a program that is not bound to one.
        "EBPF1005" NeedsDevice {} EINVAL, "metadata kfuncs require device-bound program";
        /// This program type may not call the function.
        "EBPF1005" NotAllowed { func: String } EACCES, "calling kernel function {func} is not allowed";
        /// Objects with such fields cannot be freed wherever tracing programs run.
        "EBPF1005" DropInTracing { func: String } EINVAL, "{func} cannot be used in tracing programs on types with NMI unsafe fields";
        /// The function sleeps, the program may not.
        "EBPF0309" NeedsSleepable { func: String } EACCES, "program must be sleepable to call sleepable kfunc {func}";
        /// The function takes more arguments than a call can give.
        "EBPF1007" TooManyArgs { func: String, count: usize } EINVAL, "Function {func} has {count} > 5 args";
        /// A parameter of a type that cannot be passed.
        "EBPF1007" ParamType { index: usize, kind: &'static str } EINVAL, "Unrecognized arg#{index} type {kind}";
        /// A reference is expected, none is passed.
        "EBPF0315" ReleasesNothing { func: String } EINVAL, "release kernel function {func} expects refcounted PTR_TO_BTF_ID";
        /// The same, by argument.
        "EBPF0315" ReleasesUnowned { func: String, reg: u8 } EINVAL, "release kfunc {func} expects referenced PTR_TO_BTF_ID passed to R{reg}";
        /// A constant is expected.
        "EBPF0320" NotConstant { reg: u8 } EINVAL, "R{reg} must be a known constant";
        /// The size of the result must be a constant.
        "EBPF0320" SizeNotConstant { reg: u8 } EINVAL, "R{reg} is not a const";
        /// The size of the result is too large.
        "EBPF0320" SizeTooLarge { reg: u8 } EINVAL, "R{reg} rdonly/rdwr_buf_size exceeds u32 max";
        /// A pointer parameter of a type that cannot be passed.
        "EBPF1007" PointerType { func: String, index: usize, kind: &'static str, ty: String } EINVAL, "kernel function {func} args#{index} pointer type {kind} {ty} is not supported";
        /// Memory must consist of numbers.
        "EBPF1014" NotPlainMemory { index: usize, kind: &'static str, ty: String, void: &'static str } EINVAL, "arg#{index} pointer type {kind} {ty} must point to {void}scalar, or struct with scalar" | "since Linux 7.2" "R{reg} pointer type {kind} {ty} must point to scalar, or struct with scalar";
        /// A pointer that may be null is passed where it must not be.
        "EBPF0312" PossiblyNull { index: usize } EACCES, "Possibly NULL pointer passed to trusted arg{index}" | "since Linux 7.2" "Possibly NULL pointer passed to trusted R{reg}";
        /// A pointer that the kernel does not vouch for.
        "EBPF1016" NotTrusted { reg: u8 } EINVAL, "R{reg} must be referenced or trusted";
        /// A pointer that RCU does not protect.
        "EBPF1045" NotRcu { reg: u8 } EINVAL, "R{reg} must be a rcu pointer";
        /// The context is expected.
        "EBPF1019" NotContext { index: usize, ty: String } EINVAL, "arg#{index} expected pointer to ctx, but got {ty}" | "since Linux 7.2" "R{reg} expected pointer to ctx, but got {ty}";
        /// A map value or an allocated object is expected.
        "EBPF1019" NotValueOrObject { index: usize } EINVAL, "arg#{index} expected pointer to map value or allocated object";
        /// An object that the program owns is expected.
        "EBPF1020" NotReferenced {} EINVAL, "allocated object must be referenced";
        /// A node of the tree is expected.
        "EBPF1020" NodeNotBorrowed { func: String } EINVAL, "{func} can only take non-owning or refcounted bpf_rb_node pointer", without OwnedNodesInTrees "rbtree_remove node input must be non-owning ref";
        /// Comparison functions may not change the tree.
        "EBPF0424" NotInTreeCallback { func: String } EINVAL, "{func} not allowed in rbtree cb", without OwnedNodesInTrees "rbtree_remove not allowed in rbtree cb";
        "EBPF0424" LockInTreeCallback {} EINVAL, "can't res_spin_{{lock,unlock}} in rbtree cb";
        /// A function of the program is expected.
        "EBPF1019" NotFunction { index: usize } EINVAL, "arg{index} expected pointer to func";
        /// An allocated object is expected, owned or borrowed.
        "EBPF1020" NotReference { index: usize } EINVAL, "arg#{index} is neither owning or non-owning ref";
        /// The object has no reference count.
        "EBPF1020" NotRefcounted { index: usize } EINVAL, "arg#{index} doesn't point to a type with bpf_refcount field";
        "EBPF1020" NoRecord {} EFAULT, "verifier bug: Couldn't find btf_record";
        /// Constant text is expected.
        "EBPF0324" NotConstString { index: usize } EINVAL, "arg#{index} doesn't point to a const string";
        /// Interrupt flags are saved on the stack.
        "EBPF0413" IrqFlagNotOnStack { index: usize } EINVAL, "arg#{index} doesn't point to an irq flag on stack" | "since Linux 7.2" "R{reg} doesn't point to an irq flag on stack";
        /// Locks lie in map values and allocated objects.
        "EBPF1019" LockNotInObject { index: usize } EINVAL, "arg#{index} doesn't point to map value or allocated object";
        /// An allocated object is expected.
        "EBPF1020" NotObject { index: usize } EINVAL, "arg#{index} expected pointer to allocated object" | "since Linux 7.2" "R{reg} expected pointer to allocated object";
        /// A map is expected.
        "EBPF1019" NotMap { reg: u8 } EINVAL, "pointer in R{reg} isn't map pointer";
        /// A field of one map's value with another map.
        "EBPF0322" OtherMap { what: &'static str, field: u8, field_uid: u32, reg: u8, uid: u32 } EINVAL, "{what} pointer in R{field} map_uid={field_uid} doesn't match map pointer in R{reg} map_uid={uid}";
        /// The object was allocated for another function.
        "EBPF1020" ObjectForOther { index: usize, func: &'static str, short: &'static str } EINVAL, "arg#{index} expected for {func}()", with ShortKfuncNames "arg#{index} expected for {short}()";
        /// Iterators over tasks of a control group are for few programs.
        "EBPF1005" CssTaskIter {} EINVAL, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs";
        /// A typed pointer is expected.
        "EBPF0313" StructKind { index: usize, ty: String, expected: String } EINVAL, "arg#{index} is {ty} expected {expected} or socket" | "since Linux 7.2" "R{reg} is {ty} expected {expected}";
        /// What is no struct of the kernel stands where one is expected.
        "EBPF0313" OtherKind { reg: u8, ty: String, expected: String } EINVAL, "R{reg} is {ty} expected {expected}";
        /// A pointer to another struct.
        "EBPF0313" OtherStruct { func: String, index: usize, want_kind: &'static str, want: String, reg: u8, kind: &'static str, has: String } EINVAL, "kernel function {func} args#{index} expected pointer to {want_kind} {want} but R{reg} has a pointer to {kind} {has}" | "since Linux 7.2" "kernel function {func} R{arg} expected pointer to {want_kind} {want} but R{reg} has a pointer to {kind} {has}";
        /// A buffer and its size do not go together.
        "EBPF1036" BadBuffer { index: usize, size: usize } EACCES, "arg#{index} arg#{size} memory, len pair leads to invalid memory access", with ArgumentsAsRegisters "arg#{index} and arg#{size} memory, len pair leads to invalid memory access" | "since Linux 7.2" "R{reg} and R{size} memory, len pair leads to invalid memory access";
        /// A map value is expected.
        "EBPF1019" NotMapValue { index: usize } EINVAL, "arg#{index} doesn't point to a map value";
        /// The map's value has no such field.
        "EBPF0331" NoField { map: String, field: &'static str } EINVAL, "map '{map}' has no valid {field}";
        /// The field lies elsewhere.
        "EBPF0331" WrongFieldOffset { off: i64, field: &'static str, at: u32 } EINVAL, "off {off} doesn't point to 'struct {field}' that is at {at}";
        /// There is no such field here.
        "EBPF0331" FieldNotFound { field: &'static str, off: u32 } EINVAL, "{field} not found at offset={off}";
        /// The lock of a list or tree is not held.
        "EBPF1041" LockNotHeld { lock: i32, root: &'static str } EINVAL, "bpf_spin_lock at off={lock} must be held for {root}";
        /// An element of another type.
        "EBPF1042" OtherElement { root: &'static str, node: &'static str, at: u32, element: String, off: u32, has: String } EINVAL, "operation on {root} expects arg#1 {node} at offset={at} in struct {element}, but arg is at offset={off} in struct {has}";
        /// Another node of the element.
        "EBPF1042" OtherNode { off: u32, node: &'static str, at: u32, element: String } EINVAL, "arg#1 offset={off}, but expected {node} at offset={at} in struct {element}";
        /// The reference is not held.
        "EBPF0315" NotAcquired { func: String, id: u32 } EINVAL, "kfunc {func}#{id} reference has not been acquired before";
        /// The function is for RCU regions.
        "EBPF1045" NeedsRcu { func: String } EACCES, "kernel func {func} requires RCU critical section protection";
        /// A result of a type that cannot be used.
        "EBPF1007" ReturnType { func: String, kind: &'static str, ty: String } EINVAL, "kernel function {func} returns pointer type {kind} {ty} is not supported";
        /// The type of a new object is no type number.
        "EBPF1047" LocalTypeRange {} EINVAL, "local type ID argument must be in range [0, U32_MAX]";
        /// New objects need the program's types.
        "EBPF1047" NeedsProgramBtf {} EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF";
        /// New objects are structs.
        "EBPF1047" LocalTypeNoStruct {} EINVAL, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct";
        /// A per-CPU object is too large.
        "EBPF1047" PercpuTooLarge { size: u32, max: u32 } EINVAL, "bpf_percpu_obj_new type size ({size}) is greater than {max}";
        /// A per-CPU object consists of numbers.
        "EBPF1047" PercpuNoScalars {} EINVAL, "bpf_percpu_obj_new type ID argument must be of a struct of scalars";
        /// A per-CPU object has no special fields.
        "EBPF1047" PercpuSpecialFields {} EINVAL, "bpf_percpu_obj_new type ID argument must not contain special fields";
        /// The type of a cast does not exist.
        "EBPF1053" UnknownCastType { id: i64 } EINVAL, "Unknown type ID {id} passed to kfunc bpf_rdonly_cast";
        /// A cast to something that is neither struct nor void.
        "EBPF1053" CastType {} EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void", without UntrustedMemory "kfunc bpf_rdonly_cast type ID argument must be of a struct";
        /// This program type may not write packets.
        "EBPF0210" PacketWrites {} EINVAL, "the prog does not allow writes to packet data";
        /// Exceptions in a callback.
        "EBPF0627" ThrowInCallback { insn: usize, subprog: usize } EINVAL, "bpf_throw kfunc (insn {insn}) cannot be called from callback subprog {subprog}";
        /// The compiler found that control reaches what has no value.
        "EBPF1057" Trap {} EFAULT, "unexpected __bpf_trap() due to uninitialized variable?";
    }
}
