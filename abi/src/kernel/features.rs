//! In what kernels differ: a row for each behaviour that some have and others lack.
//!
//! A row whose effect is a verdict or a message has a witness: a program that kernels with the feature treat in one way
//! and kernels without it in another.

use super::KernelVersion;

/// What programs see of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Some programs are accepted with it and rejected without, or the reverse.
    Verdict,
    /// Rejections of some programs are worded otherwise.
    Message,
    /// Some programs take another number of instructions or states to verify.
    Steps,
    /// The log has other lines.
    Log,
}

impl Effect {
    /// The effect in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Message => "message",
            Self::Steps => "steps",
            Self::Log => "log",
        }
    }
}

/// Declares the features, one row each:
///
/// ```text
/// /// What kernels with the feature do, in one sentence.
/// Name: (first mainline version), [effects], "subject of the commit that brought it", [backports];
/// ```
///
/// The backports are the first point releases of older series that have it too; the brackets may be left out.
macro_rules! features {
    ($($(#[doc = $doc:literal])+ $name:ident: ($major:literal, $minor:literal), [$($effect:ident),+], $source:literal
        $(, [$(($bmajor:literal, $bminor:literal, $bpatch:literal)),+])?;)*) => {
        /// A behaviour that some kernels have and others lack. Code asks for features and never compares versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Feature { $($(#[doc = $doc])+ $name),* }

        impl Feature {
            /// Every feature, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// First mainline version that has the feature.
            pub const fn since(self) -> KernelVersion {
                match self { $(Self::$name => KernelVersion::new($major, $minor, 0)),* }
            }

            /// First point releases of older series that have it, too.
            pub const fn backports(self) -> &'static [KernelVersion] {
                match self {
                    $(Self::$name => {
                        const BACKPORTS: &[KernelVersion] = &[$($(KernelVersion::new($bmajor, $bminor, $bpatch)),+)?];
                        BACKPORTS
                    })*
                }
            }

            /// What kernels with the feature do.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),* }
            }

            /// Subject of the public commit that brought it.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source),* }
            }

            /// What programs see of it.
            pub const fn effects(self) -> &'static [Effect] {
                match self { $(Self::$name => &[$(Effect::$effect),+]),* }
            }

            /// The row's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

features! {
    /// Global functions may be called in regions without preemption where they cannot sleep.
    GlobalCallsInPreemptOff: (6, 15), [Verdict, Message],
        "bpf: Summarize sleepable global subprogs";

    /// Atomic operations besides addition are instructions.
    Atomics: (5, 12), [Verdict], "bpf: Add instructions for atomic_[cmp]xchg";

    /// Signed division and remainder are instructions.
    SignedDivision: (6, 6), [Verdict], "bpf: Support new signed div/mod instructions.";

    /// Moves that extend a sign are instructions.
    SignExtendingMoves: (6, 6), [Verdict], "bpf: Support new sign-extension mov insns";

    /// Loads that extend a sign are instructions.
    SignExtendingLoads: (6, 6), [Verdict], "bpf: Support new sign-extension load insns";

    /// Swapping bytes whatever the machine's byte order is an instruction.
    ByteSwapInstruction: (6, 6), [Verdict], "bpf: Support new unconditional bswap instruction";

    /// Jumps with a distance of 32 bits are instructions.
    LongJumps: (6, 6), [Verdict], "bpf: Support new 32bit offset jmp instruction", [(6, 1, 100)];

    /// `may_goto` is an instruction.
    MayGoto: (6, 9), [Verdict], "bpf: Introduce may_goto instruction";

    /// Casts between address spaces are instructions.
    AddressSpaceCasts: (6, 9), [Verdict], "bpf: Recognize addr_space_cast instruction in the verifier.";

    /// Loads that acquire and stores that release are instructions.
    LoadAcquire: (6, 15), [Verdict], "bpf: Introduce load-acquire and store-release instructions";

    /// Bounds of 32 bits sharpen those of 64 and the reverse, comparisons of two ranges teach something, and
    /// contradictory bounds are healed.
    BoundsAcrossWidths: (6, 8), [Verdict, Message, Steps], "bpf: generalize reg_set_min_max() to handle non-const register comparisons";

    /// The results of bitwise operations on negative numbers have signed bounds.
    BitwiseSigns: (6, 10), [Steps], "bpf: Harden and/or/xor value tracking in verifier";

    /// OR, XOR and MUL by numbers that are not known have bounds.
    BitwiseRanges: (6, 10), [Verdict], "bpf/verifier: relax MUL range computation check";

    /// Products of numbers of any sign have bounds.
    SignedProducts: (6, 14), [Verdict], "bpf, verifier: Improve precision of BPF_MUL";

    /// Sums and differences of which both ends overflow stay one range.
    WrappingSums: (6, 17), [Verdict], "bpf, verifier: Improve precision for BPF_ADD and BPF_SUB";

    /// Negated numbers have bounds.
    NegatedRanges: (6, 17), [Verdict], "bpf: Add range tracking for BPF_NEG";

    /// More bits of products of partly known numbers are known.
    TightProducts: (6, 18), [Verdict], "bpf: Improve the general precision of tnum_mul";

    /// A signed range that crosses zero meets an unsigned range that reaches one side of it only.
    SignCrossingRanges: (6, 17), [Verdict], "bpf: Improve bounds when s64 crosses sign boundary", [(6, 12, 40)];

    /// Known bits that leave one value of a range give that value.
    OnlyValues: (7, 1), [Verdict], "bpf: Improve bounds when tnum has a single possible value", [(6, 18, 20)];

    /// Bits of numbers whose bytes are swapped stay known.
    TrackedByteSwaps: (7, 0), [Verdict], "bpf: Add bitwise tracking for BPF_END", [(6, 18, 20)];

    /// A mask of all bits or none is followed as either where a constant is combined with it.
    ForkedMasks: (7, 0), [Verdict, Steps], "bpf: Recognize special arithmetic shift in the verifier", [(6, 12, 80), (6, 18, 10)];

    /// Numbers that a constant was added to stay linked with those they were copied from.
    LinkedDistances: (6, 11), [Verdict, Steps], "bpf: Track delta between \"linked\" registers.";

    /// Copies of the low half of a number that has no more stay linked with it.
    LinkedNarrowMoves: (6, 5), [Verdict, Steps], "bpf: Improve verifier u32 scalar equality checking";

    /// Copies of constants are not linked.
    UnlinkedConstants: (6, 8), [Steps], "bpf: Avoid unnecessary IDs for constant scalars";

    /// Where a pointer is equal to another that is not null, neither is null.
    NullnessByComparison: (6, 2), [Verdict], "bpf: propagate nullness information for reg to reg comparisons";

    /// A lookup of a constant key in an array finds an element.
    ConstantKeys: (6, 14), [Verdict], "bpf: verifier: Support eliding map lookup nullness";

    /// Numbers of which nothing is known keep their identity on the stack.
    SpillsUnbounded: (6, 9), [Verdict, Steps], "bpf: Track spilled unbounded scalars";

    /// A part of a spilled number is what is read of it.
    NarrowFills: (6, 9), [Verdict, Steps], "bpf: Preserve boundaries and track scalars on narrowing fill";

    /// Zeros are spilled as numbers.
    ZeroSpills: (6, 8), [Verdict, Steps], "bpf: track aligned STACK_ZERO cases as imprecise spilled registers";

    /// Tags say more of a global function's arguments than their types.
    ArgumentTags: (6, 8), [Verdict], "bpf: support 'arg:xxx' btf_decl_tag-based hints for global subprog args";

    /// Global functions are verified only when something calls them.
    LazyGlobals: (6, 8), [Verdict, Message], "bpf: validate global subprogs lazily";

    /// Static functions may be called while a lock is held.
    CallsUnderLock: (6, 9), [Verdict], "bpf: Allow calling static subprogs while holding a bpf_spin_lock";

    /// Callbacks are verified for any number of calls.
    RepeatedCallbacks: (6, 7), [Verdict, Steps], "bpf: verify callbacks as if they are called unknown number of times";

    /// Packet pointers are forgotten where a global function that is called may change packet data.
    PacketChangesOfGlobals: (6, 13), [Verdict], "bpf: track changes_pkt_data property for global functions", [(6, 12, 6), (6, 6, 90)];

    /// Packet pointers are forgotten by tail calls.
    PacketChangesOfTailCalls: (6, 13), [Verdict], "bpf: consider that tail calls invalidate packet pointers", [(6, 12, 6), (6, 6, 90)];

    /// Programs at security hooks return what the hook may return.
    HookResults: (6, 12), [Verdict], "bpf, lsm: Add check for BPF LSM return value";

    /// Dynptrs that are overwritten take what was taken from them along, and those that must be released stay.
    GuardedDynptrs: (6, 3), [Verdict, Message], "bpf: Fix partial dynptr stack slot reads/writes";

    /// Typed pointers are trusted or not.
    TrustedPointers: (6, 2), [Verdict, Message], "bpf: Allow trusted pointers to be passed to KF_TRUSTED_ARGS kfuncs";

    /// The tag `kptr` makes a kernel pointer in a map value referenced, and `kptr_untrusted` one that is not.
    KptrTagNames: (6, 4), [Verdict, Message], "bpf: Rename __kptr_ref -> __kptr and __kptr -> __kptr_untrusted.";

    /// References, locks and regions that a program leaves open are found by one check with one message.
    OneLeakCheck: (6, 13), [Message], "bpf: Unify resource leak checks";

    /// Return values are held against a range, not against known bits.
    ReturnRanges: (6, 8), [Verdict, Message], "bpf: enforce precise retval range on program exit";

    /// The log says when a helper is there but not for this type of program.
    RefusedHelpersNamed: (6, 11), [Message], "bpf: Add a verbose message for helpers that programs cannot use";

    /// Reads and writes of the stack by calls are worded as those of instructions.
    StackAccessKinds: (6, 14), [Message], "bpf: verifier: Refactor helper access type tracking";

    /// A size that may be zero where it must not be is named with its bounds.
    ZeroSizesNamed: (6, 8), [Message], "bpf: Simplify checking size of helper accesses";

    /// Messages about stack accesses at places that are not known have all parts of the offset.
    VariableOffsetsWhole: (6, 8), [Message], "bpf: Fix accesses to uninit stack slots";

    /// What a number that has to be exact came from is followed through calls.
    PrecisionAcrossCalls: (6, 5), [Steps], "bpf: support precision propagation in the presence of subprogs";

    /// A number that is spilled is linked with the slot.
    IdsOnSpill: (6, 9), [Verdict, Steps], "bpf: Assign ID to scalars on spill";

    /// A loop may be closed by an instruction that is no jump.
    LoopsByAnyEdge: (6, 7), [Verdict], "bpf: fix control-flow graph checking in privileged mode";

    /// A loop has no end where it comes back to exactly the same state.
    ExactLoopChecks: (6, 7), [Verdict], "bpf: exact states comparison for iterator convergence checks";

    /// Lists say whose results programs may change, besides the functions into which errors can be injected.
    ModifiableLists: (6, 3), [Verdict], "bpf: do not rely on ALLOW_ERROR_INJECTION for fmod_ret";

    /// Members of the kernel's structs are for programs under the GPL.
    StructsNeedGpl: (6, 2), [Verdict], "bpf: Tighten ptr_to_btf_id checks.";

    /// Functions of the kernel take trusted pointers unless they say otherwise.
    TrustedArguments: (7, 0), [Verdict, Message], "bpf: Make KF_TRUSTED_ARGS the default for all kfuncs";

    /// More functions of the kernel than those of graphs may be called while a lock is held.
    MoreKfuncsUnderLock: (7, 1), [Verdict], "bpf: Allow more kfuncs under bpf_spin_lock";

    /// Raw tracepoints call the functions that other tracing programs call.
    RawTracepointKfuncs: (7, 1), [Verdict], "bpf: Allow raw tracepoint programs to call tracing kfuncs";

    /// Arenas are used in programs that do not sleep.
    ArenaWithoutSleep: (7, 0), [Verdict], "bpf: arena: make arena kfuncs any context safe";

    /// System calls may be traced by programs that sleep or change results where errors cannot be injected.
    SyscallsWithoutInjection: (7, 1), [Verdict], "bpf: Allow sleepable and fmod_ret programs at syscalls without error injection";

    /// Programs do not attach where the kernel makes its own objects for files.
    NoFileAllocHook: (7, 1), [Verdict], "bpf, lsm: Disable the file_alloc_security hook";

    /// Programs trace a function's entry and its return as one session.
    Fsession: (7, 0), [Verdict], "bpf: add fsession support";

    /// Programs at tracepoints may sleep.
    SleepableTracepoints: (7, 3), [Verdict, Message], "bpf: Add sleepable support for tracepoint programs";

    /// Tracing programs use timers and work queues.
    TimersInTracing: (7, 0), [Verdict], "bpf: Enable bpf timers and workqueues in any context";

    /// Sockets are put into maps by few types of programs.
    FewSockmapWriters: (7, 3), [Verdict], "bpf, sockmap: Restrict which programs may update sockmaps";

    /// Flow keys are read at known offsets only.
    FlowKeysAtKnownOffsets: (6, 8), [Verdict], "bpf: Reject variable offset alu on PTR_TO_FLOW_KEYS", [(6, 1, 75), (5, 15, 148)];

    /// Probes write the registers that they are called with.
    ProbesWriteRegisters: (6, 19), [Verdict], "bpf: Allow uprobe program to change context registers";

    /// Arguments that are pointers to something other than structs are numbers.
    OpaquePointerArguments: (7, 0), [Verdict], "bpf: Support multi-level pointer params via trampolines as scalars";

    /// Global functions may return nothing.
    VoidGlobals: (7, 1), [Verdict], "bpf: Allow void global functions in the verifier";

    /// Accesses to packets are checked as those to other regions.
    PacketsAsRegions: (7, 1), [Message], "bpf: Use check_mem_region_access for packet accesses";

    /// The offset of a pointer is one.
    WholeOffsets: (7, 1), [Message], "bpf: Merge fixed and variable offsets of pointers";

    /// Messages name arguments of the kernel's functions by their registers.
    ArgumentsAsRegisters: (7, 2), [Message], "bpf: Use register names for arguments in verifier messages";

    /// Rejections are explained after their message.
    Explanations: (7, 3), [Message], "bpf: Add verifier diagnostics for rejected programs";

    /// Quotients and remainders by constants have bounds.
    BoundedDivision: (7, 1), [Verdict], "bpf: Add range tracking for BPF_DIV and BPF_MOD";

    /// Functions of the kernel that take hidden arguments are called by their short names.
    ShortKfuncNames: (7, 1), [Message], "bpf: Add KF_IMPLICIT_ARGS variants of kfuncs";

    /// RCU regions may stand inside each other.
    NestedRcu: (6, 19), [Verdict], "bpf: support nested rcu critical sections";

    /// Messages about releases name the function that releases.
    ReleasesNamed: (7, 2), [Message], "bpf: Name the releasing function in verifier messages";

    /// Messages about calls that sleep name the function and the region.
    SleepersNamed: (7, 1), [Message], "bpf: Consolidate sleepable checks in check_helper_call";

    /// Whether a program may sleep is a matter of the context that it is verified in.
    SleepByContext: (7, 1), [Verdict], "bpf: Consolidate sleepable context checks";

    /// One program traces many functions.
    TracingMulti: (7, 3), [Verdict], "bpf: Add support for tracing multi link";

    /// RCU protects pointers where preemption or interrupts are off.
    RcuWithoutPreemption: (7, 3), [Verdict], "bpf: Treat sections without preemption as RCU critical sections";

    /// Pointers are exchanged into nodes that the program borrows.
    KptrsOfBorrowed: (7, 2), [Verdict], "bpf: Allow bpf_kptr_xchg into non-owning references";

    /// Contexts are memory to helpers.
    ContextAsMemory: (7, 1), [Verdict, Message], "bpf: Allow ctx pointers as memory arguments of helpers";

    /// A pointer is not null only by all of its bits, and only at offsets that cannot make it so.
    StrictNonNull: (7, 3), [Verdict], "bpf: Do not infer non-NULL pointers from 32-bit comparisons", [(6, 12, 117), (7, 2, 12)];

    /// Pointers are compared with null in registers.
    NullRegisters: (7, 2), [Verdict], "bpf: Recognize null checks against registers";

    /// Programs read contexts that are theirs at places that are not known.
    VariableContext: (7, 2), [Verdict], "bpf: Support variable offsets for syscall PTR_TO_CTX";

    /// Programs that sleep call others as their tails.
    SleepableTailCalls: (7, 2), [Verdict], "bpf: Allow sleepable programs to use tail calls";

    /// Arguments that point into arenas are told by their types.
    ArenaTypes: (7, 2), [Verdict], "bpf: Recognize arena pointers in global functions by type tags";

    /// What programs make their hooks return is held against a range.
    BoundedRetval: (7, 3), [Verdict], "bpf: Validate the range of bpf_set_retval", [(7, 2, 12)];

    /// Frames take multiples of 16 bytes where programs are compiled.
    StackBySixteen: (6, 8), [Verdict, Message], "bpf: Use 16-byte stack granularity when JITed";

    /// Raw tracepoints have cookies.
    RawTracepointCookies: (6, 10), [Verdict], "bpf: support BPF cookie in raw tracepoint (raw_tp, tp_btf) programs";

    /// More types of programs ask for the ids of a task in a namespace.
    PidNamespacesEverywhere: (6, 10), [Verdict], "bpf: Enable bpf_get_ns_current_pid_tgid in more program types";

    /// Programs at addresses of sockets have the sockets' options.
    SockoptsOfAddresses: (5, 15), [Verdict], "bpf: Allow bpf_{set,get}sockopt from more sock_addr hooks";

    /// Messages, socket operations and options know the network namespace.
    NetnsCookiesOfSockets: (5, 15), [Verdict], "bpf: Allow bpf_get_netns_cookie in more program types";

    /// Tracing programs keep storage for sockets.
    SocketStorageInTracing: (5, 11), [Verdict], "bpf: Allow using bpf_sk_storage in FENTRY/FEXIT/RAW_TP";

    /// All programs make numbers of text.
    NumbersFromTextEverywhere: (5, 19), [Verdict], "bpf: Expose bpf_strtol and bpf_strtoul to all program types";

    /// A load that extends a sign makes another number than the one on the stack.
    UnlinkedSignExtension: (7, 3), [Verdict], "bpf: Clear scalar ids on sign-extending fills", [(7, 2, 12)];

    /// The last array of an object that the program allocated ends with it.
    BoundedObjects: (7, 3), [Verdict], "bpf: Reject flexible array accesses beyond allocated objects";

    /// What begins above the frame lies in none of its slots.
    ObjectsBelowTheFrame: (7, 3), [Verdict], "bpf: Reject stack objects at fp-0";

    /// What becomes a per-CPU object is one.
    PercpuKptrs: (7, 3), [Verdict], "bpf: Check that per-CPU kptrs are exchanged for per-CPU objects";

    /// A number plus a pointer points where the pointer does.
    FramesOfMovedPointers: (7, 3), [Verdict], "bpf: Preserve frameno in scalar plus pointer arithmetic";

    /// Walking the stack may sleep in programs that sleep.
    SleepingStackWalks: (7, 2), [Verdict], "bpf: Mark bpf_get_stack and bpf_get_task_stack as sleepable in sleepable programs", [(6, 12, 117)];

    /// Callbacks do not end in tail calls.
    NoTailCallsInCallbacks: (7, 1), [Verdict], "bpf: Reject tail calls within callbacks";

    /// More arguments of tracepoints may be null.
    MoreNullArguments: (7, 3), [Verdict], "bpf: Mark more tracepoint arguments as nullable", [(6, 12, 117), (7, 2, 12)];

    /// Tracing programs do not drop objects whose fields cannot be freed anywhere.
    DropsInTracing: (7, 2), [Verdict], "bpf: Reject bpf_obj_drop of NMI-unsafe objects in tracing programs";

    /// Programs at the hooks of block devices may sleep.
    SleepableDeviceHooks: (7, 2), [Verdict], "bpf, lsm: Make bdev hooks sleepable";

    /// Null is no argument that is never null.
    NoNullForNonNull: (7, 3), [Verdict], "bpf: Reject NULL for nonnull arguments of global functions", [(7, 2, 12)];

    /// Functions that change the packet take no pointers into it.
    NoPacketForChanges: (7, 3), [Verdict], "bpf: Reject packet pointers for global functions that change packets", [(7, 2, 12)];

    /// Functions that write their arguments take no pointers to the kernel's structs.
    NoWritesByCalls: (7, 3), [Verdict], "bpf: Reject writes through BTF pointers by global functions";

    /// Two arguments may rest on the same reference.
    OneReferenceTwice: (7, 2), [Verdict], "bpf: Allow two arguments with the same reference";

    /// A dynptr may be overwritten while a copy holds its reference.
    ClonesKeepReference: (7, 2), [Verdict], "bpf: Allow overwriting referenced dynptrs that have clones";

    /// Programs load the addresses of the kernel's functions.
    FunctionAddresses: (6, 4), [Verdict], "bpf: Allow ld_imm64 instruction to point to kfunc.";

    /// Socket operations know when hardware saw the packet.
    HardwareTimesOfSockets: (6, 2), [Verdict], "bpf: Add hwtstamp field for the sockops prog";

    /// Programs that pick sockets know the socket that they are called for.
    SocketsOfReuseport: (5, 14), [Verdict], "bpf: Support socket migration by eBPF.";

    /// Socket lookups know the interface.
    InterfaceOfLookups: (5, 17), [Verdict], "bpf: Add ingress_ifindex to bpf_sk_lookup";

    /// Programs at packets know when hardware saw them.
    HardwareTimes: (5, 16), [Verdict], "bpf: Add hardware timestamp field to __sk_buff";

    /// States that are compared have lost the registers that nothing reads any more.
    CleanedStates: (7, 1), [Message, Steps], "bpf: Clean up dead registers and stack slots at checkpoints";

    /// Structs are told from other arguments before what they hold is looked at.
    StructsFirst: (7, 3), [Message], "bpf: Classify kfunc arguments before checking registers";

    /// Counted objects are given by their start.
    RefcountsAtStart: (7, 3), [Verdict], "bpf: Reject offsets in bpf_refcount_acquire arguments";

    /// What a lookup in a map of maps finds is a map at once.
    InnerMapsAtOnce: (7, 3), [Verdict, Message], "bpf: Return CONST_PTR_TO_MAP from lookups in maps of maps";

    /// Each element that a callback is called with is another.
    ElementIdentities: (7, 3), [Verdict], "bpf: Give map values in callbacks an identity";

    /// An instruction works on pointers into arenas or on others.
    ArenaInstructions: (7, 3), [Verdict], "bpf: Reject instructions used with and without arena pointers";

    /// A dynptr that must be released is known by its reference.
    DynptrsByReference: (7, 3), [Log], "bpf: Unify dynptr identities and references";

    /// Constants are shown as numbers where known bits are shown.
    ConstantsAsNumbers: (6, 8), [Message], "bpf: smarter verifier log number printing logic";

    /// Memory from ring buffers is called that.
    RingbufMemory: (6, 2), [Message], "bpf: Rename MEM_ALLOC to MEM_RINGBUF";

    /// Map keys and values may lie in any memory.
    MemoryAsMapKeys: (6, 2), [Verdict], "bpf: Allow ringbuf memory to be used as map key";

    /// A tail call in a function is followed as if the other program returned in its place, too.
    TailCallsReturn: (6, 19), [Verdict, Steps], "bpf: properly verify tail call behavior", [(6, 18, 2)];

    /// Registers that nothing reads any more are known before the walk.
    LiveRegisterPass: (6, 15), [Steps], "bpf: simple DFA-based live registers analysis";

    /// Infinite loops are shown with both states.
    LoopStatesShown: (6, 5), [Message], "bpf: Print full verifier states on infinite loop detection";

    /// Messages name global functions whose arguments do not fit.
    GlobalNamesInMessages: (6, 8), [Message], "bpf: Emit global subprog name in verifier logs";
}

impl Feature {
    /// The feature of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.name() == name)
    }

    /// Whether mainline or stable kernels of a version have it.
    pub const fn is_in(self, version: KernelVersion) -> bool {
        if version.at_least(self.since()) {
            return true;
        }
        let (backports, mut at) = (self.backports(), 0);
        while at < backports.len() {
            if version.same_series(backports[at]) && version.patch >= backports[at].patch {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Whether the row says that verdicts or messages differ, so that a program can bear witness to it.
    pub fn is_decisive(self) -> bool {
        self.effects().iter().any(|e| matches!(e, Effect::Verdict | Effect::Message))
    }
}
