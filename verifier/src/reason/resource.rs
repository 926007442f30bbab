//! Rejections by references, locks and regions.

use super::rows::reasons;

reasons! {
    /// Rejections by references, locks and regions.
    Resource => ResourceReason {
        /// Something acquired is not released.
        "EBPF0401" ReferenceLeak { prefix: String, id: u32, insn: usize } EINVAL, "{prefix} would lead to reference leak", with Explanations "Unreleased reference id={id} alloc_insn={insn}";
        "EBPF0401" ReleasedBefore { id: u32, insn: usize } EINVAL, "Leaking reference id={id} alloc_insn={insn}. Release it first.";
        /// The same, with what is not released.
        "EBPF0401" Unreleased { before: String, id: u32, insn: usize } EINVAL, "{before}Unreleased reference id={id} alloc_insn={insn}";
        /// The same, where something is held that must not be held there.
        "EBPF0401" MixedWithReferences { prefix: String } EINVAL, "{prefix} cannot be mixed with socket references";
        /// A lock is still held.
        "EBPF0402" InsideLock { prefix: String } EINVAL, "{prefix} cannot be used inside bpf_spin_lock-ed region";
        /// A lock is still held at an exit.
        "EBPF0402" UnlockMissing {} EINVAL, "bpf_spin_unlock is missing";
        /// A region is still open.
        "EBPF0403" InsideRegion { prefix: String, region: &'static str } EINVAL, "{prefix} cannot be used inside {region}-ed region";
        /// The same at an exit, by the call that is missing.
        "EBPF0403" CloseMissing { what: String } EINVAL, "{what} missing";
        /// The place of a lock or another special field is not known.
        "EBPF0331" LockNotConstant { reg: u8, field: String } EINVAL, "R{reg} doesn't have constant offset. {field} has to be at the constant offset";
        /// The value of a map has no type.
        "EBPF0331" MapWithoutBtf { map: String, field: String } EINVAL, "map '{map}' has to have BTF in order to use {field}";
        /// There is no lock in what the register points to.
        "EBPF0331" NoLock { owner: &'static str, name: String, lock: &'static str } EINVAL, "{owner} '{name}' has no valid {lock}_lock";
        /// The lock lies elsewhere.
        "EBPF0331" WrongLockOffset { off: i64, lock: &'static str, at: u32 } EINVAL, "off {off} doesn't point to 'struct {lock}_lock' that is at {at}" | "up to Linux 5.15" "off {off} doesn't point to 'struct {lock}_lock'";
        /// Two spin locks at once.
        "EBPF0408" TwoLocks {} EINVAL, "Locking two bpf_spin_locks are not allowed";
        /// The lock is held already.
        "EBPF0408" LockAlreadyHeld {} EINVAL, "Acquiring the same lock again, AA deadlock detected";
        /// No lock is held.
        "EBPF0410" UnlockWithoutLock { lock: &'static str } EINVAL, "{lock}_unlock without taking a lock";
        /// Another lock is held.
        "EBPF0410" UnlockOther { lock: &'static str } EINVAL, "{lock}_unlock of different lock";
        /// An inner lock is still held.
        "EBPF0410" UnlockOutOfOrder { lock: &'static str } EINVAL, "{lock}_unlock cannot be out of order";
        /// The stack slot holds saved interrupt flags already.
        "EBPF0413" IrqFlagInUse { index: u8 } EINVAL, "expected uninitialized irq flag as arg#{index}" | "since Linux 7.2" "expected uninitialized irq flag as R{reg}";
        /// The stack slot holds no saved interrupt flags.
        "EBPF0413" NoIrqFlag { index: u8 } EINVAL, "expected an initialized irq flag as arg#{index}" | "since Linux 7.2" "expected an initialized irq flag as R{reg}";
        /// Interrupt flags are restored by another kind of function than saved them.
        "EBPF0413" IrqClass { saved: &'static str, used: &'static str } EINVAL, "irq flag acquired by {saved} kfuncs cannot be restored with {used} kfuncs";
        /// Inner interrupt flags must be restored first.
        "EBPF0413" IrqOutOfOrder { id: u32, insn: usize } EACCES, "cannot restore irq state out of order, expected id={id} acquired at insn_idx={insn}";
        /// No RCU region is open.
        "EBPF0417" UnmatchedRcuUnlock { func: String } EINVAL, "unmatched rcu read unlock (kernel function {func})";
        /// An RCU region inside another one.
        "EBPF0417" NestedRcuLock { func: String } EINVAL, "nested rcu read lock (kernel function {func})";
        /// Preemption is not off.
        "EBPF0417" UnmatchedPreemptEnable { func: String } EINVAL, "unmatched attempt to enable preemption (kernel function {func})";
        /// A call that is not allowed while a lock is held.
        "EBPF0419" CallUnderLock {} EINVAL, "function calls are not allowed while holding a lock";
        /// A global function is called while a lock is held.
        "EBPF0419" GlobalUnderLock {} EINVAL, "global function calls are not allowed while holding a lock,\nuse static function instead";
        /// A global function is called while preemption is off, in a kernel that takes none there.
        "EBPF0403" GlobalInPreemptOff {} EINVAL, "global function calls are not allowed with preemption disabled,\nuse static function instead";
        /// A global function that may sleep is called where the program may not.
        "EBPF0421" SleepableGlobal { func: String, region: &'static str } EINVAL, "global functions that may sleep are not allowed in non-sleepable context,\ni.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context", with SleepersNamed "sleepable global function {func}() called in {region}";
        /// A kernel function that may sleep is called in a region.
        "EBPF0421" SleepableKfunc { func: String, region: &'static str } EACCES, "kernel func {func} is sleepable within {region} region";
        /// A helper that may sleep is called in a region.
        "EBPF0421" SleepableHelper { func: String, id: u32, region: &'static str } EINVAL, "sleepable helper {func}#{id} in {region} region";
        /// The lock of a tree is held already while its elements are compared.
        "EBPF0424" LockInTreeCallback {} EACCES, "can't spin_{{lock,unlock}} in rbtree cb";
        /// RCU regions are pointless in a callback that runs under a lock.
        "EBPF0424" RcuInTreeCallback {} EACCES, "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback";
    }
}
