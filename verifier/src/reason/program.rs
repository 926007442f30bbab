//! Rejections before and after the walk: subprograms, control flow, BTF records, maps, attach points, stack depth.

use super::rows::reasons;

reasons! {
    /// Rejections before and after the walk.
    Program => ProgramReason {
        /// Only few program types are for users without capabilities. The kernel says nothing more.
        "EBPF0690" TypeNeedsCapability { kind: String, capability: &'static str } EPERM, "programs of type {kind} need {capability}";
        /// A map that users without capabilities cannot make. The kernel says nothing more.
        "EBPF0690" MapNeedsCapability { name: String, kind: String, capability: &'static str } EPERM, "map '{name}' of type {kind} needs {capability}";
        /// Programs of users without capabilities are short.
        "EBPF0690" TooManyInsns { insns: usize, limit: usize } E2BIG, "{insns} instructions, and without CAP_BPF at most {limit} are allowed";
        /// One tail call through different maps.
        "EBPF0693" TailCallMaps {} EINVAL, "tail_call abusing map_ptr";
        /// Arenas are for those who may see addresses.
        "EBPF0690" ArenaNeedsCapability {} EPERM, "CAP_BPF and CAP_PERFMON are required to use arena";
        /// No path leads to an instruction.
        "EBPF0601" UnreachableInsn { insn: usize } EINVAL, "unreachable insn {insn}";
        /// A jump leaves its function.
        "EBPF0602" JumpOutOfRange { insn: usize, target: i64 } EINVAL, "jump out of range from insn {insn} to {target}";
        /// A function jumps to addresses, and no table leads into it.
        "EBPF0602" NoJumpTable { start: usize } EINVAL, "no jump tables found for subprog starting at {start}";
        /// A table of jumps leads out of its function.
        "EBPF0602" JumpTableOutside { insn: usize, start: usize, end: usize } EINVAL, "jump table for insn {insn} points outside of the subprog [{start},{end}]";
        /// A table of jumps that is not complete, or leads to no instruction.
        "EBPF0602" JumpTableInvalid {} EINVAL, "Failed to properly initialize insn array";
        /// A function may run past its end.
        "EBPF0603" LastInsnNotExit {} EINVAL, "last insn is not an exit or jmp";
        /// A call leads outside the program.
        "EBPF0602" InvalidCallTarget {} EINVAL, "call to invalid destination";
        /// More functions than are allowed.
        "EBPF0605" TooManySubprogs {} E2BIG, "too many subprograms";
        /// Functions need `CAP_BPF`.
        "EBPF0690" CallsNeedCapability {} EPERM, "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
        /// A loop, for a user without capabilities.
        "EBPF0607" BackEdge { from: usize, to: usize } EINVAL, "back-edge from insn {from} to {to}";
        /// A jump into the second half of a 64-bit immediate.
        "EBPF0602" JumpIntoImm64 { insn: usize } EINVAL, "jump into the middle of ldimm64 insn {insn}";
        /// A jump with a register operand that has none.
        "EBPF0104" UnknownOpcode { code: u8 } EINVAL, "unknown opcode {code:02x}";
        /// A malformed 64-bit immediate load.
        "EBPF0610" InvalidImm64 {} EINVAL, "invalid bpf_ld_imm64 insn";
        /// A 64-bit immediate load of an unknown kind.
        "EBPF0610" UnrecognizedImm64 {} EINVAL, "unrecognized bpf_ld_imm64 insn";
        /// What an immediate names is no variable of the kernel.
        "EBPF0610" NoVariable { id: u32 } EINVAL, "pseudo btf_id {id} in ldimm64 isn't KIND_VAR.";
        /// Fields of a load that must be zero are not.
        "EBPF0104" LoadReservedFields {} EINVAL, "BPF_LDX uses reserved fields";
        /// An atomic operation that is no addition.
        "EBPF0104" StoreReservedFields {} EINVAL, "BPF_STX uses reserved fields";
        /// An offset into a map's value is too large.
        "EBPF0613" DirectValueOffset { off: u32 } EINVAL, "direct value offset of {off} is not allowed";
        /// The map type has no value to point into.
        "EBPF0328" NoDirectValue {} EINVAL, "no direct value access support for this map type";
        /// An offset into a map's value is outside of it.
        "EBPF0613" DirectValueOutside { value_size: u32, off: u32 } EINVAL, "invalid access to map value pointer, value_size={value_size} off={off}";
        /// A kernel variable has no address.
        "EBPF0616" NoKernelSymbol { name: String } ENOENT, "ldimm64 failed to find the address for kernel symbol '{name}'.";
        /// The first record of a function is not the program's.
        "EBPF0617" FuncInfoFirst { at: u32 } EINVAL, "nonzero insn_off {at} for the first func info record";
        /// Records of functions are out of order.
        "EBPF0617" FuncInfoOrder { at: u32, before: u32 } EINVAL, "same or smaller insn offset ({at}) than previous func info record ({before})";
        /// A record of a function names another type.
        "EBPF0617" FuncInfoType { id: u32 } EINVAL, "invalid type id {id} in func info";
        /// Records of source lines are out of order or behind the program.
        "EBPF0617" LineInfoOffset { index: usize, at: u32, before: u32, len: usize } EINVAL, "Invalid line_info[{index}].insn_off:{at} (prev_offset:{before} prog->len:{len})";
        /// A record of a source line stands at the second half of an instruction.
        "EBPF0617" LineInfoInsn { index: usize } EINVAL, "Invalid insn code at line_info[{index}].insn_off";
        /// A record of a source line names no text.
        "EBPF0617" LineInfoText { index: usize } EINVAL, "Invalid line_info[{index}].line_off or .file_name_off";
        /// A function has no record of its source lines, while others have.
        "EBPF0617" LineInfoMissing { subprog: usize } EINVAL, "missing bpf_line_info for func#{subprog}";
        /// The last functions have no records of their source lines, while others have.
        "EBPF0617" LineInfoEnds { count: usize, subprog: usize } EINVAL, "missing bpf_line_info for {count} funcs starting from func#{subprog}";
        /// The records of functions do not match the functions.
        "EBPF0617" FuncInfoCount {} EINVAL, "number of funcs in func_info doesn't match number of subprogs";
        /// A record of a function stands at the wrong instruction.
        "EBPF0617" FuncInfoLayout {} EINVAL, "func_info BTF section doesn't match subprog layout in BPF program";
        /// Legacy packet loads in a function of unknown type.
        "EBPF0619" LdAbsWithoutBtf {} EINVAL, "LD_ABS is not allowed in subprogs without BTF";
        /// Tail calls in a function of unknown type.
        "EBPF0619" TailCallWithoutBtf {} EINVAL, "tail_call is not allowed in subprogs without BTF";
        /// Legacy packet loads in a function that does not return an integer.
        "EBPF0619" LdAbsReturnsNoInt {} EINVAL, "LD_ABS is only allowed in functions that return 'int'.";
        /// Tail calls in a function that does not return an integer.
        "EBPF0619" TailCallReturnsNoInt {} EINVAL, "tail_call is only allowed in functions that return 'int'.";
        /// The frames of a chain of calls are too large together.
        "EBPF0623" CombinedStackTooLarge { calls: usize, depth: u32 } EACCES, "combined stack size of {calls} calls is {depth}. Too large";
        /// One frame with a stack of its own is too large.
        "EBPF0623" SubprogStackTooLarge { subprog: usize, depth: u32 } EACCES, "stack size of subprog {subprog} is {depth}. Too large";
        /// A chain of calls is too long.
        "EBPF0305" CallChainTooDeep { frames: usize } E2BIG, "the call stack of {frames} frames is too deep !";
        "EBPF0305" RecursiveCall { from: String, to: String } EINVAL, "recursive call from {from}() to {to}()";
        /// A tail call below callers that use too much stack.
        "EBPF0623" TailCallStack { depth: u32 } EACCES, "tail_calls are not allowed when call stack of previous frames is {depth} bytes. Too large";
        /// An exception callback is called by name.
        "EBPF0627" DirectExceptionCall { insn: usize } EINVAL, "insn {insn} cannot call exception cb directly";
        /// A tail call from an exception callback.
        "EBPF0627" TailCallInExceptionCb {} EINVAL, "cannot tail call within exception cb";
        /// A program type that cannot sleep is marked sleepable.
        "EBPF0629" NotSleepable {} EINVAL, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable", with SleepableTracepoints "Program of this type cannot be sleepable", without SleepableProbes "Only fentry/fexit/fmod_ret and lsm programs can be sleepable";
        /// An attach point is named by no type.
        "EBPF1102" MissingAttachBtf {} EINVAL, "Tracing programs must provide btf_id";
        /// The program uses more maps than are allowed.
        "EBPF0605" TooManyMaps {} E2BIG, "The total number of maps per program has reached the limit of 64";
        /// A descriptor that was written by hand names no map.
        "EBPF0636" NoMapDescriptor { fd: i32 } EINVAL, "fd {fd} is not pointing to valid bpf_map";
        /// A map of operations is no data.
        "EBPF0638" StructOpsMap {} EINVAL, "bpf_struct_ops map cannot be used in prog";
        /// The map cannot be used while sleeping.
        "EBPF0638" SleepableMap {} EINVAL, "Sleepable programs can only use array, hash, ringbuf and local storage maps", without SleepableMaps "Sleepable programs can only use array and hash maps";
        /// A tag that is none of an argument's.
        "EBPF0901" ArgTagUnknown { index: usize } EOPNOTSUPP, "arg#{index} has unsupported set of tags";
        /// Tags that contradict each other.
        "EBPF0901" ArgTagCombination { index: usize } EINVAL, "arg#{index} has invalid combination of tags";
        /// A tag that stands alone.
        "EBPF0901" ArgTagAlone { index: usize, tag: &'static str } EINVAL, "arg#{index} {tag} cannot be combined with any other tags";
        /// Tags of a pointer on something else.
        "EBPF0901" ArgTagNoPointer { index: usize } EINVAL, "arg#{index} has pointer tag, but is not a pointer type";
        /// The kernel has no such type.
        "EBPF0901" ArgTypeMatch { index: usize, ty: String, name: String, problem: &'static str } EINVAL, "arg#{index} reference type('{ty} {name}') {problem}";
        /// An untrusted pointer to something without members.
        "EBPF0901" ArgUntrustedType { index: usize, kind: String, name: String } EINVAL, "arg#{index} has type {kind} '{name}', but only struct or primitive types are allowed";
        /// The type of a context has no name.
        "EBPF0901" ArgTypeNameless { index: usize } EINVAL, "arg#{index} type doesn't have a name";
        /// The context of this program type has no struct.
        "EBPF0901" ArgCtxVoid { index: usize } EINVAL, "arg#{index} should be void pointer";
        /// The context of this program type has another struct.
        "EBPF0901" ArgCtxStruct { index: usize, name: &'static str } EINVAL, "arg#{index} should be `struct {name} *`";
        /// An exception callback takes one number.
        "EBPF0627" ExceptionCbVoid {} EINVAL, "exception cb cannot return void";
        "EBPF0627" ExceptionCbArgs {} EINVAL, "exception cb only supports single integer argument";
        /// More than one exception callback.
        "EBPF0627" SecondExceptionCb {} EINVAL, "multiple exception callback tags for main subprog";
        /// The exception callback does not exist.
        "EBPF0627" ExceptionCbMissing { name: String } ENOENT, "exception callback '{name}' could not be found in BTF";
        /// The exception callback is a static function.
        "EBPF0627" ExceptionCbStatic { name: String } EINVAL, "exception callback '{name}' must have global linkage";
        /// The exception callback is the main function.
        "EBPF0627" ExceptionCbMain {} EINVAL, "invalid exception callback insn_off in func_info: 0";
        /// The exception callback has no record.
        "EBPF0627" ExceptionCbUnlisted {} EINVAL, "exception callback type id not found in func_info";
        /// A global function whose argument has no usable type.
        "EBPF0901" GlobalArgKind { index: usize, kind: String, func: String } EINVAL, "Arg#{index} type {kind} in {func}() is not supported yet.";
        /// A global function with too many arguments.
        "EBPF0901" GlobalTooManyArgs { func: String, count: usize } EINVAL, "Global function {func}() with {count} > 5 args. Buggy compiler.";
        /// A global function that returns no integer.
        "EBPF0901" GlobalReturn { func: String } EINVAL, "Global function {func}() doesn't return scalar. Only those are supported.", with VoidGlobals "Global function {func}() return value not void or scalar. Only those are supported.";
        /// A pointer argument to memory of unknown size.
        "EBPF0901" GlobalArgSize { index: usize, ty: String, name: String, error: String } EINVAL, "arg#{index} reference type('{ty} {name}') size cannot be determined: {error}";
        /// A load of a context's field that the kernel allows and cannot translate.
        "EBPF0513" Untranslatable {} EINVAL, "verifier bug: error during ctx access conversion (0)", without TranslationsNamed "bpf verifier is misconfigured";
        /// The address of a callback that is never called, so that the kernel has removed it. The target is counted
        /// before the kernel expands instructions.
        "EBPF0509" NoFunction { target: usize } EFAULT, "verifier bug: No program to jit at insn {target} (subprog < 0)";
        /// A map of programs is owned by another kind of program. The kernel says nothing more.
        "EBPF0656" OtherOwner { map: String, owner: String, what: &'static str } EINVAL, "map '{map}', which program '{owner}' was loaded with first, does not take {what}";
        /// A program has one storage for control groups of each kind.
        "EBPF0657" TwoCgroupStorages {} EBUSY, "only one cgroup storage of each type is allowed";
    }
}
