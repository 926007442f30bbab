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

/// How it is known which version brought a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A commit of mainline brought it.
    Commit {
        /// First twelve digits of its hash.
        hash: &'static str,
        /// Its subject, word for word.
        subject: &'static str,
    },
    /// No commit is known; the version follows from this.
    Inferred(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Commit { hash, subject } => write!(f, "commit {hash}, {subject:?}"),
            Self::Inferred(from) => write!(f, "no commit is known; {from}"),
        }
    }
}

/// The source of a row.
macro_rules! source {
    (commit $hash:literal $subject:literal) => {
        Source::Commit { hash: $hash, subject: $subject }
    };
    (inferred $from:literal) => {
        Source::Inferred($from)
    };
}

/// Declares the features, one row each:
///
/// ```text
/// /// What kernels with the feature do, in one sentence.
/// Name: (first mainline version), [effects], source, [backports];
/// ```
///
/// The source is `commit "hash" "subject"`, or, where no public commit is known, `inferred "from what"`. The backports
/// are the first point releases of older series that are known to have it, too; the brackets may be left out.
macro_rules! features {
    ($($(#[doc = $doc:literal])+ $name:ident: ($major:literal, $minor:literal), [$($effect:ident),+],
        $kind:ident $($text:literal)+
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

            /// First point releases of older series that are known to have it, too.
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

            /// How it is known which version brought it.
            pub const fn source(self) -> Source {
                match self { $(Self::$name => source!($kind $($text)+)),* }
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
        commit "e2d8f560d178" "bpf: Summarize sleepable global subprogs";

    /// Atomic operations besides addition are instructions.
    Atomics: (5, 12), [Verdict], commit "5ffa25502b5a" "bpf: Add instructions for atomic_[cmp]xchg";

    /// Signed division and remainder are instructions.
    SignedDivision: (6, 6), [Verdict], commit "ec0e2da95f72" "bpf: Support new signed div/mod instructions.";

    /// Moves that extend a sign are instructions.
    SignExtendingMoves: (6, 6), [Verdict], commit "8100928c8814" "bpf: Support new sign-extension mov insns";

    /// Loads that extend a sign are instructions.
    SignExtendingLoads: (6, 6), [Verdict], commit "1f9a1ea821ff" "bpf: Support new sign-extension load insns";

    /// Swapping bytes whatever the machine's byte order is an instruction.
    ByteSwapInstruction: (6, 6), [Verdict], commit "0845c3db7bf5" "bpf: Support new unconditional bswap instruction";

    /// Jumps with a distance of 32 bits are instructions.
    LongJumps: (6, 6), [Verdict], commit "4cd58e9af8b9" "bpf: Support new 32bit offset jmp instruction", [(6, 1, 100)];

    /// `may_goto` is an instruction.
    MayGoto: (6, 9), [Verdict], commit "011832b97b31" "bpf: Introduce may_goto instruction";

    /// Jumps to instructions whose addresses a table holds are instructions.
    IndirectJumps: (6, 19), [Verdict, Message],
        commit "493d9e0d6083" "bpf, x86: add support for indirect jumps";

    /// Casts between address spaces are instructions.
    AddressSpaceCasts: (6, 9), [Verdict],
        commit "6082b6c328b5" "bpf: Recognize addr_space_cast instruction in the verifier.";

    /// Loads that acquire and stores that release are instructions.
    LoadAcquire: (6, 15), [Verdict], commit "880442305a39" "bpf: Introduce load-acquire and store-release instructions";

    /// Bounds of 32 bits sharpen those of 64 and the reverse, comparisons of two ranges teach something, and
    /// contradictory bounds are healed.
    BoundsAcrossWidths: (6, 8), [Verdict, Message, Steps],
        commit "67420501e868" "bpf: generalize reg_set_min_max() to handle non-const register comparisons";

    /// The results of bitwise operations on negative numbers have signed bounds.
    BitwiseSigns: (6, 10), [Steps], commit "1f586614f3ff" "bpf: Harden and/or/xor value tracking in verifier";

    /// OR, XOR and MUL by numbers that are not known have bounds.
    BitwiseRanges: (6, 10), [Verdict], commit "41d047a87106" "bpf/verifier: relax MUL range computation check";

    /// Products of numbers of any sign have bounds.
    SignedProducts: (6, 14), [Verdict], commit "9aa0ebde0014" "bpf, verifier: Improve precision of BPF_MUL";

    /// Sums and differences of which both ends overflow stay one range.
    WrappingSums: (6, 17), [Verdict], commit "7a998a731627" "bpf, verifier: Improve precision for BPF_ADD and BPF_SUB";

    /// Negated numbers have bounds.
    NegatedRanges: (6, 17), [Verdict], commit "aced132599b3" "bpf: Add range tracking for BPF_NEG";

    /// More bits of products of partly known numbers are known.
    TightProducts: (6, 18), [Verdict], commit "1df7dad4d5c4" "bpf: Improve the general precision of tnum_mul";

    /// A signed range that crosses zero meets an unsigned range that reaches one side of it only.
    SignCrossingRanges: (6, 17), [Verdict],
        commit "00bf8d0c6c9b" "bpf: Improve bounds when s64 crosses sign boundary", [(6, 12, 40)];

    /// Known bits that leave one value of a range give that value.
    OnlyValues: (7, 0), [Verdict],
        commit "efc11a667878" "bpf: Improve bounds when tnum has a single possible value", [(6, 18, 17), (6, 19, 7)];

    /// Bits of numbers whose bytes are swapped stay known.
    TrackedByteSwaps: (7, 0), [Verdict],
        commit "9d2119984224" "bpf: Add bitwise tracking for BPF_END", [(6, 18, 17), (6, 19, 7)];

    /// A mask of all bits or none is followed as either where a constant is combined with it.
    ForkedMasks: (7, 0), [Verdict, Steps],
        commit "bffacdb80b93" "bpf: Recognize special arithmetic shift in the verifier",
        [(6, 12, 80), (6, 18, 16), (6, 19, 6)];

    /// Numbers that a constant was added to stay linked with those they were copied from.
    LinkedDistances: (6, 11), [Verdict, Steps], commit "98d7ca374ba4" "bpf: Track delta between \"linked\" registers.";

    /// The same where the constant is negative or subtracted, and in arithmetic of 32 bits.
    LinkedAnyDistance: (7, 0), [Verdict, Steps],
        commit "7a433e519364" "bpf: Support negative offsets, BPF_SUB, and alu32 for linked register tracking",
        [(6, 18, 44)];

    /// Copies of the low half of a number that has no more stay linked with it.
    LinkedNarrowMoves: (6, 4), [Verdict, Steps],
        commit "3be49f79555e" "bpf: Improve verifier u32 scalar equality checking";

    /// Copies of constants are not linked.
    UnlinkedConstants: (6, 5), [Steps], commit "904e6ddf4133" "bpf: Use scalar ids in mark_chain_precision()";

    /// Where a pointer is equal to another that is not null, neither is null.
    NullnessByComparison: (6, 2), [Verdict],
        commit "befae75856ab" "bpf: propagate nullness information for reg to reg comparisons";

    /// A lookup of a constant key in an array finds an element.
    ConstantKeys: (6, 14), [Verdict], commit "d2102f2f5d75" "bpf: verifier: Support eliding map lookup nullness";

    /// Numbers of which nothing is known keep their identity on the stack.
    SpillsUnbounded: (6, 9), [Verdict, Steps], commit "e67ddd9b1cff" "bpf: Track spilled unbounded scalars";

    /// A part of a spilled number is what is read of it.
    NarrowFills: (6, 9), [Verdict, Steps],
        commit "c1e6148cb4f8" "bpf: Preserve boundaries and track scalars on narrowing fill";

    /// Zeros are spilled as numbers.
    ZeroSpills: (6, 8), [Verdict, Steps],
        commit "18a433b62061" "bpf: track aligned STACK_ZERO cases as imprecise spilled registers";

    /// Tags say more of a global function's arguments than their types.
    ArgumentTags: (6, 8), [Verdict],
        commit "94e1c70a3452" "bpf: support 'arg:xxx' btf_decl_tag-based hints for global subprog args";

    /// Global functions are verified only when something calls them.
    LazyGlobals: (6, 8), [Verdict, Message], commit "2afae08c9dcb" "bpf: Validate global subprogs lazily";

    /// Static functions may be called while a lock is held.
    CallsUnderLock: (6, 9), [Verdict],
        commit "a44b1334aadd" "bpf: Allow calling static subprogs while holding a bpf_spin_lock";

    /// Callbacks are verified for any number of calls.
    RepeatedCallbacks: (6, 7), [Verdict, Steps],
        commit "ab5cfac139ab" "bpf: verify callbacks as if they are called unknown number of times", [(6, 6, 15)];

    /// Packet pointers are forgotten where a global function that is called may change packet data.
    PacketChangesOfGlobals: (6, 13), [Verdict],
        commit "51081a3f25c7" "bpf: track changes_pkt_data property for global functions", [(6, 12, 6), (6, 6, 90)];

    /// Packet pointers are forgotten by tail calls.
    PacketChangesOfTailCalls: (6, 13), [Verdict],
        commit "1a4607ffba35" "bpf: consider that tail calls invalidate packet pointers", [(6, 12, 6), (6, 6, 90)];

    /// Programs at security hooks return what the hook may return.
    HookResults: (6, 12), [Verdict], commit "5d99e198be27" "bpf, lsm: Add check for BPF LSM return value";

    /// Dynptrs that are overwritten take what was taken from them along, and those that must be released stay.
    GuardedDynptrs: (6, 3), [Verdict, Message], commit "ef8fc7a07c0e" "bpf: Fix partial dynptr stack slot reads/writes";

    /// Typed pointers are trusted or not.
    TrustedPointers: (6, 2), [Verdict, Message],
        commit "3f00c5239344" "bpf: Allow trusted pointers to be passed to KF_TRUSTED_ARGS kfuncs";

    /// The tag `kptr` makes a kernel pointer in a map value referenced, and `kptr_untrusted` one that is not.
    KptrTagNames: (6, 4), [Verdict, Message],
        commit "03b77e17aeb2" "bpf: Rename __kptr_ref -> __kptr and __kptr -> __kptr_untrusted.";

    /// References, locks and regions that a program leaves open are found by one check with one message.
    OneLeakCheck: (6, 13), [Message], commit "d402755ced2e" "bpf: Unify resource leak checks";

    /// Return values are held against a range, not against known bits.
    ReturnRanges: (6, 8), [Verdict, Message], commit "c871d0e00f0e" "bpf: enforce precise retval range on program exit";

    /// The log says when a helper is there but not for this type of program.
    RefusedHelpersNamed: (6, 10), [Message], commit "786bf0e7e2ec" "bpf: improve error message for unsupported helper";

    /// Reads and writes of the stack by calls are worded as those of instructions.
    StackAccessKinds: (6, 14), [Message], commit "37cce22dbd51" "bpf: verifier: Refactor helper access type tracking";

    /// A size that may be zero where it must not be is named with its bounds.
    ZeroSizesNamed: (6, 8), [Message],
        commit "8a021e7fa105" "bpf: Simplify checking size of helper accesses", [(6, 6, 59)];

    /// Messages about stack accesses at places that are not known have all parts of the offset.
    VariableOffsetsWhole: (6, 8), [Message],
        commit "6b4a64bafd10" "bpf: Fix accesses to uninit stack slots", [(6, 6, 14)];

    /// What a number that has to be exact came from is followed through calls.
    PrecisionAcrossCalls: (6, 5), [Steps],
        commit "fde2a3882bd0" "bpf: support precision propagation in the presence of subprogs";

    /// A number that is spilled is linked with the slot.
    IdsOnSpill: (6, 9), [Verdict, Steps], commit "8ecfc371d829" "bpf: Assign ID to scalars on spill";

    /// A loop may be closed by an instruction that is no jump.
    LoopsByAnyEdge: (6, 7), [Verdict], commit "10e14e9652bf" "bpf: fix control-flow graph checking in privileged mode";

    /// A loop has no end where it comes back to exactly the same state.
    ExactLoopChecks: (6, 7), [Verdict],
        commit "2793a8b015f7" "bpf: exact states comparison for iterator convergence checks", [(6, 6, 15)];

    /// Lists say whose results programs may change, besides the functions into which errors can be injected.
    ModifiableLists: (6, 2), [Verdict], commit "5b481acab4ce" "bpf: do not rely on ALLOW_ERROR_INJECTION for fmod_ret";

    /// Members of the kernel's structs are for programs under the GPL.
    StructsNeedGpl: (6, 2), [Verdict], commit "c67cae551f0d" "bpf: Tighten ptr_to_btf_id checks.";

    /// Functions of the kernel take trusted pointers unless they say otherwise.
    TrustedArguments: (7, 0), [Verdict, Message],
        commit "1a5c01d2508a" "bpf: Make KF_TRUSTED_ARGS the default for all kfuncs";

    /// More functions of the kernel than those of graphs may be called while a lock is held.
    MoreKfuncsUnderLock: (7, 0), [Verdict],
        commit "39f77533b6c1" "bpf: Allow calls to arena functions while holding spinlocks";

    /// Raw tracepoints call the functions that other tracing programs call.
    RawTracepointKfuncs: (7, 0), [Verdict], commit "342297d51146" "bpf: allow calling kfuncs from raw_tp programs";

    /// Arenas are used in programs that do not sleep.
    ArenaWithoutSleep: (7, 0), [Verdict], commit "b8467290edab" "bpf: arena: make arena kfuncs any context safe";

    /// System calls may be traced by programs that sleep or change results where errors cannot be injected.
    SyscallsWithoutInjection: (7, 1), [Verdict],
        commit "16d9c5660692" "bpf: Always allow sleepable programs on syscalls";

    /// Programs do not attach where the kernel makes its own objects for files.
    NoFileAllocHook: (6, 19), [Verdict], commit "b4bf1d23dc1d" "bpf: Disable file_alloc_security hook";

    /// Programs trace a function's entry and its return as one session.
    Fsession: (7, 0), [Verdict], commit "2d419c44658f" "bpf: add fsession support";

    /// Programs at tracepoints may sleep.
    SleepableTracepoints: (7, 2), [Verdict, Message],
        commit "8cfb77d30920" "bpf: Verifier support for sleepable tracepoint programs";

    /// Tracing programs use timers and work queues.
    TimersInTracing: (7, 0), [Verdict], commit "1bfbc267ec91" "bpf: Enable bpf_timer and bpf_wq in any context";

    /// Sockets are put into maps by few types of programs.
    FewSockmapWriters: (7, 3), [Verdict],
        commit "be39165224d0" "bpf, sockmap: Disallow update and delete from tc, xdp, socket_filter and flow_dissector";

    /// Flow keys are read at known offsets only.
    FlowKeysAtKnownOffsets: (6, 8), [Verdict],
        commit "22c7fa171a02" "bpf: Reject variable offset alu on PTR_TO_FLOW_KEYS",
        [(5, 15, 148), (6, 1, 75), (6, 6, 14)];

    /// Probes write the registers that they are called with.
    ProbesWriteRegisters: (6, 18), [Verdict],
        commit "7384893d970e" "bpf: Allow uprobe program to change context registers";

    /// Arguments that are pointers to something other than structs are numbers.
    OpaquePointerArguments: (7, 0), [Verdict],
        inferred "not in the sources of 6.12, in those of 7.2; the kernels between were not asked";

    /// Global functions may return nothing.
    VoidGlobals: (7, 1), [Verdict], commit "8446ded1e1a0" "bpf: Allow void global functions in the verifier";

    /// Accesses to packets are checked as those to other regions.
    PacketsAsRegions: (7, 1), [Message], inferred "7.0.4 lacks it, 7.1.13 has it";

    /// The offset of a pointer is one.
    WholeOffsets: (7, 1), [Message], commit "022ac0750883" "bpf: use reg->var_off instead of reg->off for pointers";

    /// Messages name arguments of the kernel's functions by their registers.
    ArgumentsAsRegisters: (7, 2), [Message],
        commit "9b9f0b42703c" "bpf: Prepare verifier logs for upcoming kfunc stack arguments";

    /// Rejections are explained after their message.
    Explanations: (7, 3), [Message], commit "d63284e62b31" "bpf: Report Register Type Safety errors";

    /// Quotients and remainders by constants have bounds.
    BoundedDivision: (7, 0), [Verdict], commit "44fdd581d273" "bpf: Add range tracking for BPF_DIV and BPF_MOD";

    /// Functions of the kernel that take hidden arguments are called by their short names.
    ShortKfuncNames: (7, 0), [Message], commit "64e1360524b9" "bpf: Verifier support for KF_IMPLICIT_ARGS";

    /// RCU regions may stand inside each other.
    NestedRcu: (6, 19), [Verdict], commit "4167096cb964" "bpf: support nested rcu critical sections";

    /// Messages about releases name the function that releases.
    ReleasesNamed: (7, 2), [Message], commit "bcfcb15fde94" "bpf: Unify release handling for helpers and kfuncs";

    /// Messages about calls that sleep name the function and the region.
    SleepersNamed: (7, 1), [Message], commit "a0d06cf102e4" "bpf: Consolidate sleepable checks in check_helper_call()";

    /// Whether a program may sleep is a matter of the context that it is verified in.
    SleepByContext: (7, 1), [Verdict], commit "cd9840c413e3" "bpf: Consolidate sleepable checks in check_kfunc_call()";

    /// One program traces many functions.
    TracingMulti: (7, 2), [Verdict], commit "c1d32dea5d46" "bpf: Add support for tracing multi link";

    /// RCU protects pointers where preemption or interrupts are off.
    RcuWithoutPreemption: (7, 3), [Verdict],
        commit "b0d0c63e19ef" "bpf: Account for preempt and IRQ state in RCU protection";

    /// Pointers are exchanged into nodes that the program borrows.
    KptrsOfBorrowed: (7, 2), [Verdict],
        inferred "not in the sources of 6.12, in those of 7.2; the kernels between were not asked";

    /// Contexts are memory to helpers.
    ContextAsMemory: (7, 1), [Verdict, Message], inferred "7.0.4 lacks it, 7.1.13 has it";

    /// A pointer is not null only by all of its bits, and only at offsets that cannot make it so.
    StrictNonNull: (7, 3), [Verdict],
        commit "e51179a4e098" "bpf: Don't predict JMP32 pointer vs zero comparisons", [(6, 12, 117), (7, 2, 12)];

    /// Pointers are compared with null in registers.
    NullRegisters: (7, 1), [Verdict],
        commit "2f4cb53eed44" "bpf: detect non null pointer with register operand in JEQ/JNE.";

    /// Programs read contexts that are theirs at places that are not known.
    VariableContext: (7, 1), [Verdict], commit "ae5ef001aa98" "bpf: Support variable offsets for syscall PTR_TO_CTX";

    /// Programs that sleep call others as their tails.
    SleepableTailCalls: (7, 0), [Verdict], commit "0f0c332992b8" "bpf: Allow sleepable programs to use tail calls";

    /// Arguments that point into arenas are told by their types.
    ArenaTypes: (7, 2), [Verdict], commit "5ab4bc67d818" "verifier: parse BTF type tags for function arguments";

    /// What programs make their hooks return is held against a range.
    BoundedRetval: (7, 2), [Verdict], commit "b1f7f67b74c2" "bpf: Add validation for bpf_set_retval argument";

    /// Frames take multiples of 16 bytes where programs are compiled.
    StackBySixteen: (6, 9), [Verdict, Message],
        inferred "6.1 lacks it, 6.12 has it; the change was made in February 2024";

    /// Raw tracepoints have cookies.
    RawTracepointCookies: (6, 10), [Verdict],
        commit "68ca5d4eebb8" "bpf: support BPF cookie in raw tracepoint (raw_tp, tp_btf) programs";

    /// More types of programs ask for the ids of a task in a namespace.
    PidNamespacesEverywhere: (6, 10), [Verdict],
        commit "eb166e522c77" "bpf: Allow helper bpf_get_[ns_]current_pid_tgid() for all prog types";

    /// Programs of all control groups have the helpers that those at sockets have: the task's name and number, and classes.
    TasksInControlGroups: (6, 1), [Verdict], inferred "5.10.223 lacks it, 6.1.192 has it; the change was made in 2022";

    /// Tracing programs ask for a control group above the current one.
    AncestorsInTracing: (5, 15), [Verdict], inferred "5.10.223 lacks it, 6.1.192 has it; the change was made in 2021";

    /// Programs that run for packets ask for the current task's control group.
    ControlGroupsEverywhere: (6, 4), [Verdict],
        commit "c501bf55c88b" "bpf: Make bpf_get_current_[ancestor_]cgroup_id() available for all program types";

    /// Programs of control groups ask whether the current task is below one.
    TasksUnderControlGroups: (6, 12), [Verdict],
        commit "7f6287417baf" "bpf: Allow bpf_current_task_under_cgroup() with BPF_CGROUP_*";

    /// All programs have the helpers of tracing that need nothing of the context.
    TracingHelpersEverywhere: (6, 16), [Verdict],
        commit "ee971630f20f" "bpf: Allow some trace helpers for all prog types";

    /// Programs at typed raw tracepoints ask for arguments by their numbers.
    ArgumentsOfRawTracepoints: (7, 0), [Verdict],
        inferred "6.18.44 lacks it, 7.2.12 has it; the kernels between were not asked";

    /// Programs at options have the sockets' options.
    SockoptsOfOptions: (5, 15), [Verdict], inferred "5.10.223 lacks it, 6.1.192 has it; the change was made in 2021";

    /// Tracing programs ask for a socket's cookie.
    SocketCookiesInTracing: (5, 12), [Verdict],
        commit "c5dbb89fc2ac" "bpf: Expose bpf_get_socket_cookie to tracing programs";

    /// Programs that choose among sockets ask for the cookie of one.
    SocketCookiesOfChoices: (5, 14), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the attach types of such programs came in 5.14";

    /// Programs that see packets know the network namespace.
    NetnsCookiesOfPackets: (6, 15), [Verdict],
        commit "eb62f49de7ec" "bpf: add get_netns_cookie helper to tc programs";

    /// Spin locks are among the helpers of tracing programs, some of which are then told that they cannot use them yet.
    SpinLocksInTracing: (5, 15), [Verdict, Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// Programs at segment routing do not make packets linear, which would move them under the kernel's feet.
    SegmentsAreNotPulled: (7, 1), [Verdict],
        inferred "6.18.15 lacks it, 6.1.192, 6.12.117 and 7.2.12 have it", [(6, 1, 192), (6, 12, 117)];

    /// Pointers among the arguments of a traced function are read whole.
    WholeTracedPointers: (6, 13), [Verdict],
        commit "659b9ba7cb2d" "bpf: Check size for BTF-based ctx access of pointer members", [(6, 12, 117)];

    /// Traced functions may have pointers to integers.
    IntegerPointerArguments: (5, 17), [Verdict],
        commit "bb6728d75611" "bpf: Allow access to int pointer arguments in tracing programs";

    /// Traced functions may have pointers to constant memory of any type.
    ConstantPointerArguments: (6, 16), [Verdict],
        commit "1271a40eeafa" "bpf: Allow access to const void pointer arguments in tracing programs";

    /// Programs at addresses of sockets have the sockets' options.
    SockoptsOfAddresses: (5, 11), [Verdict],
        commit "427167c0b064" "bpf: Allow bpf_{s,g}etsockopt from cgroup bind{4,6} hooks";

    /// Messages, socket operations and options know the network namespace.
    NetnsCookiesOfSockets: (5, 15), [Verdict],
        commit "6cf1770d63dd" "bpf: Allow bpf_get_netns_cookie in BPF_PROG_TYPE_SOCK_OPS";

    /// Tracing programs keep storage for sockets.
    SocketStorageInTracing: (5, 11), [Verdict],
        commit "8e4597c627fb" "bpf: Allow using bpf_sk_storage in FENTRY/FEXIT/RAW_TP";

    /// All programs make numbers of text.
    NumbersFromTextEverywhere: (6, 1), [Verdict],
        commit "8a67f2de9b1d" "bpf: expose bpf_strtol and bpf_strtoul to all program types";

    /// A load that extends a sign makes another number than the one on the stack.
    UnlinkedSignExtension: (7, 3), [Verdict],
        commit "2cb5f4ca695e" "bpf: Drop scalar id on sign-extending narrowing stack fills", [(7, 2, 6)];

    /// The last array of an object that the program allocated ends with it.
    BoundedObjects: (7, 3), [Verdict], commit "9c9ee0324c77" "bpf: Reject MEM_ALLOC BTF accesses past object bounds";

    /// What begins above the frame lies in none of its slots.
    ObjectsBelowTheFrame: (7, 3), [Verdict],
        commit "79a9172f3ab4" "bpf: Reject non-negative offsets in stack_slot_obj_get_spi()";

    /// What becomes a per-CPU object is one.
    PercpuKptrs: (7, 3), [Verdict], commit "048029ba1c79" "bpf: Require MEM_PERCPU for percpu kptr stores";

    /// A number plus a pointer points where the pointer does.
    FramesOfMovedPointers: (7, 2), [Verdict],
        commit "8cb23101a3fc" "bpf: Preserve pointer state for commuted arithmetic",
        [(5, 10, 265), (5, 15, 216), (6, 1, 183), (6, 6, 152), (6, 12, 104), (6, 18, 45), (7, 1, 9)];

    /// Walking the stack may sleep in programs that sleep.
    SleepingStackWalks: (7, 3), [Verdict],
        commit "9d02927fdf4e" "bpf: Mark faultable stack helpers as sleepable", [(6, 12, 117), (7, 2, 12)];

    /// Callbacks do not end in tail calls.
    NoTailCallsInCallbacks: (7, 3), [Verdict],
        commit "266aa4ad0b2e" "bpf: Reject tail calls directly from callback frames", [(7, 2, 12)];

    /// More arguments of tracepoints may be null.
    MoreNullArguments: (7, 3), [Verdict],
        commit "77515ab12e49" "bpf: Mark signal tracepoint siginfo arguments as scalar", [(6, 12, 117), (7, 2, 12)];

    /// Tracing programs do not drop objects whose fields cannot be freed anywhere.
    DropsInTracing: (7, 2), [Verdict], commit "94c8d1c21be4" "bpf: Reject bpf_obj_drop() from tracing progs";

    /// Functions with structs among their arguments are traced.
    StructArguments: (6, 1), [Verdict], commit "720e6a435194" "bpf: Allow struct argument in trampoline based programs";

    /// Programs may sleep at most hooks of the security modules that run in a process.
    SleepableHooks: (5, 11), [Verdict], commit "423f16108c9d" "bpf: Augment the set of sleepable LSM hooks";

    /// Programs at the hooks of paths may sleep.
    SleepablePathHooks: (6, 8), [Verdict],
        inferred "6.1.192 lacks it, 6.12.117 has it; the kernels between were not asked";

    /// Programs do not sleep at hooks that run where nothing may.
    AtomicHooksDoNotSleep: (6, 8), [Verdict],
        inferred "6.1.192 lacks it, 6.12.117 has it; the kernels between were not asked";

    /// Programs at the hooks where an extended attribute is removed may sleep.
    SleepableAttributeHooks: (6, 15), [Verdict],
        commit "56467292794b" "bpf: fs/xattr: Add BPF kfuncs to set and remove xattrs";

    /// Programs at the hooks of block devices may sleep.
    SleepableDeviceHooks: (7, 1), [Verdict], commit "9eccdd38fb50" "bpf: Fix block device hooks names";

    /// Null is no argument that is never null.
    NoNullForNonNull: (7, 2), [Verdict], inferred "7.1.13 lacks it, 7.2.6 has it";

    /// Functions that change the packet take no pointers into it.
    NoPacketForChanges: (7, 3), [Verdict],
        commit "a6c1edfbe240" "bpf: Reject pkt arguments in mutating subprogs", [(7, 2, 12)];

    /// Functions that write their arguments take no pointers to the kernel's structs.
    NoWritesByCalls: (7, 2), [Verdict], commit "fa75b7c85b0d" "bpf: Enforce write checks for BTF pointer helper access";

    /// Two arguments may rest on the same reference.
    OneReferenceTwice: (7, 2), [Verdict], commit "b7dd2b388657" "bpf: Unify referenced object tracking in verifier";

    /// A dynptr may be overwritten while a copy holds its reference.
    ClonesKeepReference: (7, 1), [Verdict],
        commit "017f5c4ef73c" "bpf: Allow overwriting referenced dynptr when refcnt > 1";

    /// Programs load the addresses of the kernel's functions.
    FunctionAddresses: (6, 4), [Verdict], commit "58aa2afbb1e6" "bpf: Allow ld_imm64 instruction to point to kfunc.";

    /// Socket operations know when hardware saw the packet.
    HardwareTimesOfSockets: (6, 2), [Verdict], commit "9bb053490f1a" "bpf: Add hwtstamp field for the sockops prog";

    /// Programs that pick sockets know the socket that they are called for.
    SocketsOfReuseport: (5, 14), [Verdict], commit "d5e4ddaeb6ab" "bpf: Support socket migration by eBPF.";

    /// Socket lookups know the interface.
    InterfaceOfLookups: (5, 17), [Verdict], commit "f89315650ba3" "bpf: Add ingress_ifindex to bpf_sk_lookup";

    /// Programs at packets know when hardware saw them.
    HardwareTimes: (5, 16), [Verdict], commit "f64c4acea51f" "bpf: Add hardware timestamp field to __sk_buff";

    /// States that are compared have lost the registers that nothing reads any more.
    CleanedStates: (7, 1), [Message, Steps], inferred "7.0.4 lacks it, 7.1.13 has it";

    /// Which halves of stack slots may still be read is known before the walk.
    StackLivenessFirst: (7, 1), [Verdict, Message, Steps],
        inferred "7.0.4 lacks it, 7.1.13 has it";

    /// Messages about refused writes to the kernel's structs name the register, the struct and the bytes.
    StructWritesNamed: (7, 2), [Message],
        inferred "6.18.44 lacks it, 7.2.12 has it; the kernels between were not asked";

    /// Structs are told from other arguments before what they hold is looked at.
    StructsFirst: (7, 3), [Message], inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Counted objects are given by their start.
    RefcountsAtStart: (7, 2), [Verdict], commit "931a577fc79e" "bpf: Reject offset refcount acquire arguments";

    /// What a lookup in a map of maps finds is a map at once.
    InnerMapsAtOnce: (7, 3), [Verdict, Message], inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Each element that a callback is called with is another.
    ElementIdentities: (7, 3), [Verdict], commit "71919742c83c" "bpf: Assign lock identity to callback map values";

    /// An instruction works on pointers into arenas or on others.
    ArenaInstructions: (7, 3), [Verdict],
        commit "f85f5917aa2f" "bpf: Prevent variable arena/non-arena register contents";

    /// A dynptr that must be released is known by its reference.
    DynptrsByReference: (7, 2), [Log], commit "b5c0a07eb2c2" "bpf: Unify dynptr handling in the verifier";

    /// Constants are shown as numbers where known bits are shown.
    ConstantsAsNumbers: (6, 8), [Message], commit "0f8dbdbc641b" "bpf: smarter verifier log number printing logic";

    /// Memory from ring buffers is called that.
    RingbufMemory: (6, 2), [Message], commit "894f2a8b1673" "bpf: Rename MEM_ALLOC to MEM_RINGBUF";

    /// Map keys and values may lie in any memory.
    MemoryAsMapKeys: (6, 2), [Verdict], commit "9ef40974a82a" "bpf: Allow ringbuf memory to be used as map key";

    /// A tail call in a function is followed as if the other program returned in its place, too.
    TailCallsReturn: (6, 19), [Verdict, Steps],
        commit "e3245f899043" "bpf: properly verify tail call behavior", [(6, 18, 2)];

    /// Registers that nothing reads any more are known before the walk.
    LiveRegisterPass: (6, 15), [Steps], commit "14c8552db644" "bpf: simple DFA-based live registers analysis";

    /// Loops are known from the control flow, and what the states of a loop need is passed along its back edges.
    LoopsByComponent: (6, 17), [Steps, Log],
        commit "c9e31900b54c" "bpf: propagate read/precision marks over state graph backedges";

    /// What may still be read is known from the control flow, not by following each read back to where the value was
    /// written.
    StaticLiveness: (6, 18), [Steps], commit "107e16979905" "bpf: disable and remove registers chain based liveness";

    /// Infinite loops are shown with both states.
    LoopStatesShown: (6, 7), [Message],
        commit "b4d8239534fd" "bpf: print full verifier states on infinite loop detection", [(6, 6, 15)];

    /// Messages name global functions whose arguments do not fit.
    GlobalNamesInMessages: (6, 8), [Message], commit "491dd8edecbc" "bpf: Emit global subprog name in verifier logs";

    /// A chain of calls has up to 16 frames instead of 8.
    LongCallChains: (7, 2), [Verdict, Message],
        inferred "7.1.13 lacks it, 7.2.12 has it";

    /// How many functions stand inside each other is counted from the last global one.
    ChainsByWalk: (7, 1), [Verdict, Message],
        commit "ad95d3c758d8" "bpf: Only enforce 8 frame call stack limit for all-static stacks";

    /// Programs name the value of a per-CPU array with one entry, as global variables of which each CPU has its own.
    PercpuGlobals: (7, 3), [Verdict, Message],
        commit "6e61f4f8b043" "bpf: Introduce global percpu data";

    /// Functions take more than five arguments, the others on the stack, through r11.
    StackArguments: (7, 3), [Verdict],
        inferred "6.18.44 lacks it, 7.3.4 has it; the kernels between were not asked";

    /// Global functions are verified where they may sleep and where they may not, as they are called.
    GlobalsByContext: (7, 3), [Verdict],
        commit "40c2096961b4" "bpf: Verify global subprogs in each sleepability context";

    /// Where a global function that may throw is called, the program may end.
    ThrowingGlobals: (7, 1), [Verdict],
        inferred "7.0.4 lacks it, 7.1.13 has it";

    /// What was learned of the packet's end is forgotten where the pointer moves.
    MovedFromPacketEnd: (7, 1), [Verdict],
        inferred "7.0.4 lacks it, 7.1.13 has it";

    /// Zeros that were spilled are zeros where the stack is read at places that are not known.
    VariableZeroFills: (7, 3), [Verdict],
        inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Callbacks do not call functions that end in tail calls.
    TailCallsByFunction: (7, 3), [Verdict],
        inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Programs at new sockets have the sockets' options.
    SockoptsOfNewSockets: (6, 19), [Verdict],
        inferred "6.18.44 lacks it, 7.3.4 has it; the kernels between were not asked";

    /// Numbers that are linked with no other one have no identity in saved states.
    SingularIdsForgotten: (7, 0), [Steps],
        commit "b2a0aa3a8739" "bpf: Clear singular ids for scalars in is_state_visited()";

    /// What functions of the kernel return is trusted.
    TrustedResults: (7, 0), [Verdict, Message],
        commit "f8ade2342e22" "bpf: return PTR_TO_BTF_ID | PTR_TRUSTED from BPF kfuncs by default";

    /// Resilient locks are not taken or released where a tree compares its elements.
    NoLocksInTreeCallbacks: (7, 3), [Message],
        commit "7b7b8b596010" "bpf: Reject resilient lock operations in rbtree callbacks", [(7, 2, 12)];

    /// The number of a loop's iterations is a number.
    LoopCountIsNumber: (7, 3), [Verdict, Message],
        commit "c3fd8e5fd100" "bpf: Reject non-scalar bpf_loop iteration counts", [(7, 2, 12)];

    /// Functions that call each other in a circle are found before the walk.
    RecursionFoundFirst: (7, 1), [Message, Steps],
        commit "e6898ec751e4" "bpf: Sort subprogs in topological order after check_cfg()";

    /// Messages name functions that do not return.
    NoreturnNamed: (7, 0), [Message],
        inferred "6.19.6 lacks it, 7.0.4 has it";

    /// Checks prove the offset of a packet pointer that was checked, and not what its known bits make of it.
    PacketsUntightened: (7, 3), [Verdict, Message],
        inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Where a socket that must be released is cast, null is another path, and the result goes with the socket.
    CastsForked: (7, 2), [Message, Steps],
        inferred "6.18.44 lacks it, 7.2.12 has it; the kernels between were not asked";

    /// Functions of a program are named by their addresses.
    FunctionPointers: (5, 13), [Verdict, Message],
        commit "69c087ba6225" "bpf: Add bpf_for_each_map_elem() helper";

    /// Programs call functions of the kernel.
    KernelFunctions: (5, 13), [Verdict, Message],
        commit "e6ac2450d6de" "bpf: Support bpf program calling kernel function";

    /// Numbers are called scalars in messages, and memory by what may be done with it.
    NumbersAsScalars: (5, 18), [Message],
        commit "7df5072cc05f" "bpf: Small BPF verifier log improvements";

    /// Programs at binds to addresses may skip the check of the port.
    BindReturns: (5, 12), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// Global functions take pointers to memory.
    GlobalMemoryArguments: (5, 12), [Verdict, Message],
        commit "e5069b9c23b3" "bpf: Support pointers in global func args";

    /// Frames that are large lie on stacks of their own, where programs may nest within themselves.
    PrivateStacks: (6, 13), [Verdict, Message],
        inferred "6.1.192 lacks it, 6.12.117 has it; the kernels between were not asked", [(6, 12, 117)];

    /// Probes and struct_ops programs may sleep.
    SleepableProbes: (6, 0), [Verdict, Message],
        commit "64ad7556c75e" "bpf: allow sleepable uprobe programs to attach";

    /// Privileged programs read stack below all that was written.
    UnwrittenStack: (5, 12), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// `bpf_for_each_map_elem` visits different maps at one place.
    VisitedMapsVary: (6, 10), [Verdict],
        commit "9d482da9e17a" "bpf: allow invoking bpf_for_each_map_elem with different maps";

    /// Jumps that constants decide are found before the walk.
    ConstantsFolded: (7, 1), [Message, Steps],
        commit "f1606dd0ac49" "bpf: Add bpf_compute_const_regs() and bpf_prune_dead_branches() passes";

    /// Calls that fill a buffer destroy a dynptr in it as other writes do.
    DynptrsInBuffers: (7, 3), [Verdict, Message],
        inferred "7.2.12 lacks it, 7.3.4 has it";

    /// Functions of trees take nodes that the program owns with others.
    OwnedNodesInTrees: (6, 16), [Verdict, Message],
        inferred "6.12.117 lacks it, 6.18.44 has it; the kernels between were not asked";

    /// Memory that may be anywhere is read through pointers that are known by nothing else.
    UntrustedMemory: (6, 17), [Verdict, Message],
        inferred "6.12.117 lacks it, 6.18.44 has it; the kernels between were not asked";

    /// Constants are stored into contexts as registers are.
    ContextConstants: (6, 4), [Verdict, Message],
        inferred "6.1.192 lacks it, 6.12.117 has it; the kernels between were not asked";

    /// Negative offsets of pointers that must not be moved have a message of their own.
    NegativeOffsetsNamed: (5, 18), [Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// A helper that releases says so of an argument that nothing holds.
    ReleasedArguments: (5, 19), [Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// Half of a pointer in a context is no number.
    WholeContextPointers: (6, 16), [Verdict, Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked", [(6, 12, 40), (6, 1, 150), (5, 15, 190)];

    /// Packets say what their time stamp is.
    TimestampTypes: (5, 18), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// Programs that sleep use more types of maps than hashes and arrays.
    SleepableMaps: (5, 12), [Verdict, Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// Programs do not attach to security hooks that are not meant for them.
    DisabledHooks: (6, 12), [Verdict, Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked", [(6, 1, 100), (6, 6, 60)];

    /// Iterators over sockets have the sockets' options.
    SockoptsOfIterators: (5, 16), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// How many bytes of a task's stack there are is known.
    TaskStackBounds: (5, 18), [Verdict],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// What the kernel cannot translate is called a bug of its own.
    TranslationsNamed: (6, 16), [Message],
        inferred "6.12.117 lacks it, 6.18.44 has it; the kernels between were not asked";

    /// What a program attaches to is looked at after its maps and its control flow.
    AttachAfterFlow: (6, 13), [Message],
        inferred "5.10.223 lacks it, 6.12.117 has it; with the checks of functions that change packets",
        [(6, 12, 6), (6, 6, 90)];

    /// Messages about arithmetic on pointers that may be null say what to do.
    NullChecksAdvised: (5, 17), [Message],
        inferred "5.10.223 lacks it, 6.1.192 has it; the kernels between were not asked";

    /// A reference that another one rests on is released after it.
    NestedReferences: (7, 2), [Verdict],
        commit "308c7a0ae885" "bpf: Refactor object relationship tracking and fix dynptr UAF bug";

    /// A register whose zero told that a pointer is null has to be zero.
    PreciseNulls: (7, 3), [Verdict],
        commit "6aed0134d3cd" "bpf: Mark the zero register precise for a register-form NULL check", [(7, 2, 12)];
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
