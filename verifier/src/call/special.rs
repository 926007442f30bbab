//! What single helpers check beyond their prototypes.

use super::bprintf;
use super::helper::CallMeta;
use crate::domain::reg_type_str;
use crate::domain::{DynptrKind, RegBase, RegExtra, RegType};
use crate::reason::{CallReason, ExploreReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::lsm;
use ebpfkit_abi::proto::Helper;
use ebpfkit_abi::{AttachType, Errno, Feature, MapType, ProgType, TypeFlags};

impl Env<'_> {
    /// Whether a helper that only some attach points have is allowed at this one.
    pub(super) fn helper_allowed(&self, row: &Helper) -> Step<bool> {
        match row.id {
            id::D_PATH => self.d_path_allowed(),
            id::SK_STORAGE_GET | id::SK_STORAGE_DELETE if self.prog().prog_type != ProgType::Lsm => {
                Ok(self.sk_storage_allowed())
            }
            _ => Ok(true),
        }
    }

    /// Tracing programs may keep storage for sockets where they do not trace the storage itself.
    fn sk_storage_allowed(&self) -> bool {
        let typed = matches!(self.effective_prog_type(), ProgType::Tracing | ProgType::Syscall);
        match self.prog().attach_type {
            _ if !typed => true,
            AttachType::TraceIter | AttachType::TraceRawTp => true,
            AttachType::TraceFentry | AttachType::TraceFexit | AttachType::TraceFsession => {
                !self.attach.name.starts_with("bpf_sk_storage")
            }
            _ => false,
        }
    }

    /// Where `bpf_d_path` cannot deadlock.
    fn d_path_allowed(&self) -> Step<bool> {
        const FUNCTIONS: &[&str] = &[
            "security_file_permission",
            "security_inode_getattr",
            "security_file_open",
            "security_path_truncate",
            "vfs_truncate",
            "vfs_fallocate",
            "dentry_open",
            "vfs_getattr",
            "filp_close",
        ];
        match (self.prog().prog_type, self.prog().attach_type) {
            (ProgType::Tracing, AttachType::TraceIter) => Ok(true),
            (ProgType::Lsm, _) => Ok(self.lsm_hook().is_some_and(|h| lsm::may_sleep(h, |feature| self.has(feature)))),
            _ => Ok(FUNCTIONS.contains(&self.attach.name.as_str())),
        }
    }

    /// A tail call goes through a program array.
    pub(super) fn check_tail_call_key(&mut self, row: &Helper, meta: &CallMeta) -> Step {
        if row.id != id::TAIL_CALL {
            return Ok(());
        }
        let array = meta.map.map(|m| &self.maps[m as usize].def).filter(|d| d.map_type == MapType::ProgArray);
        let Some(max) = array.map(|d| u64::from(d.max_entries)) else { return reject(CallReason::NoProgArray {}) };
        if self.reg(3).const_value().is_some_and(|v| v < max) {
            self.mark_chain_precision(3)?;
        }
        Ok(())
    }

    /// What a program may make its hook return.
    fn check_set_retval(&mut self) -> Step {
        let attach = self.prog().attach_type;
        if attach == AttachType::LsmCgroup && self.attached_to_void()? {
            return reject(CallReason::VoidHook {});
        }
        if !self.has(Feature::BoundedRetval) || attach == AttachType::CgroupGetsockopt {
            return Ok(());
        }
        let (min, max) = match self.lsm_hook() {
            Some(hook) => lsm::return_range(hook),
            None => (-Errno::MAX, 0),
        };
        self.mark_chain_precision(1)?;
        let r = self.reg(1);
        if r.s32_min >= min && r.s32_max <= max {
            return Ok(());
        }
        let facts = r.known_bounds();
        reject(ExploreReason::ReturnRange { exit_ctx: "At bpf_set_retval", reg: 1, facts, min, max })
    }

    /// Checks of single helpers, once the arguments are of the right kinds.
    pub(super) fn check_special(&mut self, row: &Helper, meta: &mut CallMeta) -> Step {
        match row.id {
            id::TAIL_CALL => self.check_resource_leak(false, true, "tail_call"),
            id::GET_LOCAL_STORAGE => {
                if !self.reg(2).is_null() {
                    return reject(CallReason::LocalStorageFlags {});
                }
                Ok(())
            }
            id::FOR_EACH_MAP_ELEM | id::TIMER_SET_CALLBACK | id::FIND_VMA | id::USER_RINGBUF_DRAIN => {
                self.call_back(row.id, meta)
            }
            id::LOOP => self.check_loop(meta),
            id::SNPRINTF => self.check_snprintf(),
            id::DYNPTR_FROM_MEM => {
                let ty = self.reg(1).ty;
                if ty != RegType::of(RegBase::MapValue) {
                    return reject(CallReason::DynptrSource { ty: reg_type_str(ty).into_owned() });
                }
                Ok(())
            }
            id::SET_RETVAL => self.check_set_retval(),
            id::DYNPTR_DATA => {
                meta.dynptr = self.dynptr_at(&self.reg(1).clone());
                Ok(())
            }
            id::DYNPTR_WRITE => {
                let over = self.dynptr_at(&self.reg(1).clone()).map(|d| d.kind);
                meta.changes_packet |= matches!(over, Some(DynptrKind::Skb | DynptrKind::SkbMeta));
                Ok(())
            }
            id::PER_CPU_PTR | id::THIS_CPU_PTR => {
                meta.percpu_alloc = self.reg(1).ty.has(TypeFlags::RCU);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `bpf_loop`: the callback is entered until it was as often as the loop may run.
    fn check_loop(&mut self, meta: &CallMeta) -> Step {
        // Whether the loop can be inlined depends on the flags, until they once were not zero.
        let at = self.path.insn_idx;
        if !self.aux[at].loop_not_inline {
            if self.reg(4).is_null() {
                self.mark_chain_precision(4)?;
            } else {
                self.aux[at].loop_not_inline = true;
            }
        }
        self.mark_chain_precision(1)?;
        if u64::from(self.path.state.cur().callback_depth) < self.reg(1).umax {
            return self.call_back(id::LOOP, meta);
        }
        self.path.state.cur_mut().callback_depth = 0;
        if self.log_level() > 1 {
            let frame = self.path.state.curframe();
            self.verbose(format_args!("frame{frame} bpf_loop iteration limit reached\n"));
        }
        Ok(())
    }

    /// `bpf_snprintf`: the format must fit the number of values.
    fn check_snprintf(&mut self) -> Step {
        let (format, bytes) = (*self.reg(3), self.reg(5).var_off.value);
        if bytes % 8 != 0 {
            return reject(CallReason::UnevenValues {});
        }
        let Some(text) = self.const_text(&format) else { return Err(Stop::unsupported("a format outside of a map")) };
        if bprintf::is_valid(&text, bytes / 8) {
            return Ok(());
        }
        reject(CallReason::FormatString {})
    }

    /// Whether a helper that some attach points lack works at this one (`bpf_get_func_ip`).
    pub(super) fn check_supported_here(&self, row: &Helper) -> Step {
        if row.id != id::GET_FUNC_IP {
            return Ok(());
        }
        let (name, id) = (row.name, row.id);
        match self.effective_prog_type() {
            ProgType::Kprobe => Ok(()),
            ProgType::Tracing => match self.prog().attach_type {
                AttachType::TraceFentry
                | AttachType::TraceFexit
                | AttachType::TraceFsession
                | AttachType::ModifyReturn => Ok(()),
                _ => reject(CallReason::TrampolineOnly { name, id }),
            },
            kind => reject(CallReason::WrongType { name, id, kind: kind.0 }),
        }
    }

    /// Reference of the dynptr slot that a stack pointer points to; zero for none.
    pub(super) fn dynptr_slot_reference(&self, r: &crate::RegState) -> u32 {
        let Ok(slot) = self.stack_object_slot(r, crate::memory::dynptr::DYNPTR_SLOTS) else { return 0 };
        let spilled = &self.path.state.frame(r.frameno as usize).stack.slots[slot].spilled;
        if matches!(spilled.extra, RegExtra::Dynptr { .. }) { spilled.ref_obj_id } else { 0 }
    }
}
