//! Helpers: whether one may be called, and the order of its checks.

use crate::domain::BtfRef;
use crate::memory::Access;
use crate::memory::access::RawBuffer;
use crate::memory::dynptr::DynptrArg;
use crate::program::SEVERAL_MAPS;
use crate::reason::{CallReason, ResourceReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::lsm;
use ebpfkit_abi::proto::{ArgBase, HelperFlags, Prototype};
use ebpfkit_abi::{Callers, Feature, Helper, TypeFlags, helpers};
use ebpfkit_object::ProgramFlags;
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::record::Field;

/// What the arguments of a call have shown (`bpf_call_arg_meta`).
#[derive(Default)]
pub(super) struct CallMeta {
    /// The map, as index in the environment.
    pub map: Option<u32>,
    /// Which lookup an inner map came from.
    pub map_uid: u32,
    /// A known key of an array.
    pub const_key: Option<u64>,
    /// An output buffer on the stack.
    pub raw: Option<RawBuffer>,
    /// Greatest size of the last buffer.
    pub size_max: u64,
    /// Constant size of the memory that is returned.
    pub mem_size: u64,
    /// The register that the call releases.
    pub release: Option<u8>,
    /// Reference of the argument that has one.
    pub ref_obj_id: u32,
    /// Function of the program that is called back.
    pub callback: Option<usize>,
    /// Type of a per-CPU variable.
    pub percpu: Option<(BtfRef, TypeId)>,
    /// The per-CPU object was allocated by the program.
    pub percpu_alloc: bool,
    /// Field of `bpf_kptr_xchg`.
    pub kptr: Option<Field>,
    /// The dynptr that memory is taken from.
    pub dynptr: Option<DynptrArg>,
    /// The call changes packet data.
    pub changes_packet: bool,
}

impl CallMeta {
    /// Remembers an output buffer, when the check found one on the stack.
    pub fn note_raw(&mut self, raw: RawBuffer) {
        if raw.access_size > 0 {
            self.raw = Some(raw);
        }
    }
}

impl Env<'_> {
    /// What kind of caller of helpers the program is.
    pub(crate) fn caller_kind(&self) -> Callers {
        if let Some(target) = self.attach.iterator {
            return Callers::of_iterator(target.name);
        }
        match self.struct_ops_name() {
            "" => Callers::of(self.effective_prog_type(), self.prog().attach_type),
            table => Callers::of_struct_ops(table),
        }
    }

    /// The helper with this number and the prototype that this program calls, or why it may not.
    pub(crate) fn helper_prototype(&self, id: i32) -> Result<(&'static Helper, &'static Prototype), CallReason> {
        let row = u32::try_from(id).ok().and_then(helpers::find).filter(|h| h.since <= self.kernel().version);
        let Some(row) = row else { return Err(CallReason::UnknownHelper { name: "unknown".into(), id }) };
        let kind = self.caller_kind();
        let offered = row
            .prototype(kind)
            .filter(|p| !p.flags.contains(HelperFlags::OPTIONAL) || self.has_optional_helper(row.id))
            .filter(|_| self.hook_has_helper(row.id))
            .filter(|p| self.may_use(p.flags))
            .filter(|_| helpers::later::is_there(row.id, kind, |feature| self.has(feature)));
        match offered {
            Some(proto) => Ok((row, proto)),
            None => Err(CallReason::HelperNotOffered { name: row.name, id: row.id }),
        }
    }

    /// Whether the kernel has a helper that not all kernels of its version have.
    fn has_optional_helper(&self, id: u32) -> bool {
        id == id::PROBE_WRITE_USER && self.kernel().write_user
    }

    /// Whether the user has the capabilities that a helper needs.
    fn may_use(&self, flags: HelperFlags) -> bool {
        (self.bpf_capable() || !flags.contains(HelperFlags::CAP_BPF))
            && (self.options().privileged || !flags.contains(HelperFlags::CAP_PERFMON))
    }

    /// Of security hooks, few are called with a socket whose options may be used; a congestion control that is released
    /// must not use those of its socket any more.
    fn hook_has_helper(&self, id: u32) -> bool {
        let options = matches!(id, id::SETSOCKOPT | id::GETSOCKOPT);
        let is_release = self.struct_ops_name() == "tcp_congestion_ops" && self.attach.name == "release";
        !options || !is_release && self.lsm_hook().is_none_or(|hook| lsm::SOCKOPT.contains(&hook))
    }

    /// Verifies the call of a helper.
    pub(super) fn check_helper_call(&mut self, id: i32) -> Step {
        if self.path.state.res.active_locks != 0 && !matches!(id as u32, id::SPIN_UNLOCK | id::KPTR_XCHG) {
            return reject(ResourceReason::CallUnderLock {});
        }
        let (row, proto) = self.helper_prototype(id)?;
        if row.id == id::GET_CGROUP_CLASSID && !self.bpf_capable() {
            // Which capability it needs could not be observed.
            return Err(Stop::unsupported(format!("{} for users without capabilities", row.name)));
        }
        self.check_may_call(row, proto)?;
        let mut meta =
            CallMeta { changes_packet: proto.flags.contains(HelperFlags::CHANGES_PKT_DATA), ..CallMeta::default() };
        for index in 0..proto.args.len() {
            self.check_helper_arg(row, proto, index, &mut meta)?;
        }
        self.check_map_writable(row, &meta)?;
        self.check_tail_call_key(row, &meta)?;
        if let Some(raw) = meta.raw {
            for i in 0..raw.access_size {
                self.check_mem_access(self.path.insn_idx, raw.reg, i, 1, Access::Write, None, false, false)?;
            }
        }
        self.release_argument(row, proto, &meta)?;
        self.check_special(row, &mut meta)?;
        for reg in 0..=5 {
            self.mark_reg_not_init(reg);
        }
        self.set_return(row, proto, &meta)?;
        self.check_map_fits(row, &meta)?;
        self.check_supported_here(row)?;
        if row.id == id::TAIL_CALL {
            self.note_tail_call_map(meta.map);
            return self.tail_call();
        }
        if meta.changes_packet {
            self.clear_all_pkt_pointers();
        }
        self.path.insn_idx += 1;
        self.enter_callback();
        Ok(())
    }

    /// The index of a tail call is masked by the size of its one map.
    fn note_tail_call_map(&mut self, map: Option<u32>) {
        let Some(map) = map.filter(|_| !self.bypass_spec()) else { return };
        let seen = &mut self.aux[self.path.insn_idx].map_ptr;
        *seen = if *seen == 0 || *seen == map + 1 { map + 1 } else { SEVERAL_MAPS };
    }

    /// A tail call goes on behind itself when it fails. One that succeeds in a function comes back to the caller with
    /// whatever the other program returned and did to the packet.
    fn tail_call(&mut self) -> Step {
        let at = self.path.insn_idx;
        if !self.has(Feature::TailCallsReturn) && self.has(Feature::PacketChangesOfTailCalls) {
            self.clear_all_pkt_pointers();
        }
        if self.path.state.cur().in_callback && self.has(Feature::NoTailCallsInCallbacks) {
            return reject(CallReason::TailCallInCallback {});
        }
        if self.path.state.frames.len() > 1 && self.has(Feature::TailCallsReturn) {
            self.push_branch(at + 1, at, false, |_, _| {})?;
            self.clear_all_pkt_pointers();
            self.mark_reg_unknown(0);
            return self.prepare_func_exit();
        }
        self.path.insn_idx += 1;
        Ok(())
    }

    /// Whether the helper may be called by this program and at this place.
    fn check_may_call(&self, row: &'static Helper, proto: &Prototype) -> Step {
        if proto.flags.contains(HelperFlags::GPL_ONLY) && !self.is_gpl_compatible() {
            return reject(CallReason::GplOnly {});
        }
        if !self.helper_allowed(row)? {
            return reject(CallReason::NotInThisProbe {});
        }
        let walks_stack = matches!(row.id, id::GET_STACK | id::GET_TASK_STACK);
        let sleeps_here =
            walks_stack && self.prog().flags.has(ProgramFlags::SLEEPABLE) && self.has(Feature::SleepingStackWalks);
        if !proto.flags.contains(HelperFlags::MIGHT_SLEEP) && !sleeps_here {
            return Ok(());
        }
        if !self.in_sleepable() {
            return reject(CallReason::SleepsInNonSleepable { func: row.name, id: row.id });
        }
        let res = &self.path.state.res;
        let region = if res.active_rcu_locks != 0 {
            "rcu_read_lock"
        } else if res.active_preempt_locks != 0 {
            "non-preemptible"
        } else if res.active_irq_id != 0 {
            "IRQ-disabled"
        } else {
            return Ok(());
        };
        reject(ResourceReason::SleepableHelper { func: row.name.to_owned(), id: row.id, region })
    }

    /// Releases what an argument hands over.
    fn release_argument(&mut self, row: &Helper, proto: &Prototype, meta: &CallMeta) -> Step {
        let Some(reg) = meta.release else { return Ok(()) };
        let r = *self.reg(reg);
        if proto.args[reg as usize - 1].base == ArgBase::Dynptr {
            return self.release_dynptr(&r);
        }
        let released = match meta.ref_obj_id {
            0 => r.is_null(),
            id if meta.kptr.is_some() => self.hand_over_kptr(id),
            id => self.release_reference(id),
        };
        if released {
            return Ok(());
        }
        reject(CallReason::NeverAcquired { name: row.name, id: row.id })
    }

    /// A pointer that `bpf_kptr_xchg` stores is no longer the program's. A per-CPU object stays readable under RCU.
    fn hand_over_kptr(&mut self, id: u32) -> bool {
        if !self.forget_reference(id) {
            return false;
        }
        let in_rcu = self.in_rcu_cs();
        let percpu = TypeFlags::ALLOC | TypeFlags::PERCPU;
        let stays = move |r: &crate::RegState| in_rcu && r.ty.has(percpu);
        self.path.state.for_each_reg(
            |r| r.ref_obj_id == id && stays(r),
            |r| {
                r.ref_obj_id = 0;
                r.ty.flags -= TypeFlags::ALLOC;
                r.ty.flags |= TypeFlags::RCU;
            },
        );
        self.invalidate_regs(|r| r.ref_obj_id == id);
        true
    }
}
