//! What a program may return, by program and attach type.

use crate::domain::reg_type_str;
use crate::domain::{BtfRef, Tnum};
use crate::memory::types::pointee;
use crate::reason::{ExploreReason, reject};
use crate::scalar::RegArg::SrcOp;
use crate::{Env, Step};
use ebpfkit_abi::lsm;
use ebpfkit_abi::{AttachType as A, Feature, ProgType as P};
use ebpfkit_object::btf::Type;

/// Least and greatest value that this kind of program may return; `None` when any will do.
fn return_range(kind: P, attach: A, attach_btf_id: u32) -> Option<(i32, i32)> {
    match kind {
        P::CgroupSockAddr => match attach {
            A::CgroupUdp4Recvmsg
            | A::CgroupUdp6Recvmsg
            | A::CgroupUnixRecvmsg
            | A::CgroupInet4Getpeername
            | A::CgroupInet6Getpeername
            | A::CgroupUnixGetpeername
            | A::CgroupInet4Getsockname
            | A::CgroupInet6Getsockname
            | A::CgroupUnixGetsockname => Some((1, 1)),
            A::CgroupInet4Bind | A::CgroupInet6Bind => Some((0, 3)),
            _ => Some((0, 1)),
        },
        P::CgroupSkb if attach == A::CgroupInetEgress => Some((0, 3)),
        P::CgroupSkb | P::CgroupSock | P::SockOps | P::CgroupDevice | P::CgroupSysctl | P::CgroupSockopt => {
            Some((0, 1))
        }
        P::RawTracepoint => (attach_btf_id != 0).then_some((0, 0)),
        P::Tracing => match attach {
            A::TraceFentry | A::TraceFexit | A::TraceFsession => Some((0, 0)),
            A::TraceIter => Some((0, 1)),
            _ => None,
        },
        P::Kprobe => matches!(attach, A::TraceKprobeSession | A::TraceUprobeSession).then_some((0, 1)),
        P::SkLookup | P::Netfilter => Some((0, 1)),
        _ => None,
    }
}

impl Env<'_> {
    /// Checks r0 at the end of the main program, of a function that is verified on its own, or of a callback that
    /// runs by itself.
    pub(super) fn check_return_code(&mut self) -> Step {
        self.check_returned(0, false)
    }

    /// Checks what `bpf_throw` would return from the program: r1.
    pub(crate) fn check_thrown_value(&mut self) -> Step {
        // Whatever function throws, it is the program that ends.
        self.check_returned(1, self.has(Feature::ThrowingGlobals))
    }

    fn check_returned(&mut self, regno: u8, ends_program: bool) -> Step {
        let frame = self.path.state.frame(0);
        let (subprog, exception) = (frame.subprog, frame.in_exception_callback);
        let is_program = subprog == 0 || exception || ends_program;
        let pointer = if is_program { self.returned_pointer(regno)? } else { None };
        if pointer == Some(Returned::Fits) {
            return Ok(());
        }
        if !is_program && self.returns_nothing(subprog as usize) {
            return Ok(());
        }
        self.check_reg_arg(regno, SrcOp)?;
        if self.is_pointer_value(regno) {
            return reject(ExploreReason::ReturnLeaksAddress { reg: regno });
        }
        let reg = *self.reg(regno);
        let frame = self.path.state.frame(0);
        if frame.in_async_callback {
            let range = frame.callback_ret_range;
            let exit_ctx =
                if self.has(Feature::ReturnRanges) { "At async callback return" } else { "At async callback" };
            return self.check_return_range(regno, exit_ctx, range.min, range.max);
        }
        if !is_program {
            let ty = || reg_type_str(reg.ty).into_owned();
            return if reg.is_scalar() {
                Ok(())
            } else {
                reject(ExploreReason::SubprogReturnNoScalar { reg: regno, ty: ty() })
            };
        }
        if pointer == Some(Returned::Null) {
            return self.check_return_range(regno, "At program exit", 0, 0);
        }
        if !self.has(Feature::HookResults) && self.prog().prog_type == P::Lsm && self.prog().attach_type != A::LsmCgroup
        {
            return Ok(());
        }
        if let Some(hook) = self.lsm_hook() {
            return self.check_hook_return(regno, lsm::return_range(hook));
        }
        let Some((min, mut max)) =
            return_range(self.prog().prog_type, self.prog().attach_type, self.prog().attach_btf_id)
        else {
            return Ok(());
        };
        let binds = matches!(self.prog().attach_type, A::CgroupInet4Bind | A::CgroupInet6Bind);
        if binds && !self.has(Feature::BindReturns) {
            max = 1;
        }
        self.check_return_range(regno, "At program exit", min, max)
    }

    /// Whether a function of the program is one that returns nothing, in kernels that have such global functions.
    pub(crate) fn returns_nothing(&self, subprog: usize) -> bool {
        if !self.has(Feature::VoidGlobals) {
            return false;
        }
        let Some(btf) = self.btf() else { return false };
        let Some(Type::Func { proto, .. }) = btf.get(self.subprogs[subprog].func_id) else { return false };
        matches!(btf.get(proto), Some(Type::FuncProto { ret, .. }) if btf.resolve(ret) == 0)
    }

    /// What a program at a security hook may return: what the hook itself returns, and nothing where it is void.
    fn check_hook_return(&mut self, regno: u8, (min, max): (i32, i32)) -> Step {
        let cgroup = self.prog().attach_type == A::LsmCgroup;
        let void = self.attached_to_void()?;
        match (cgroup, void) {
            (true, true) => {
                let r = *self.reg(regno);
                if r.is_scalar() && (r.smin < 1 || r.smax > 1) {
                    return reject(ExploreReason::VoidHookReturn { reg: regno, facts: r.known_bounds() });
                }
                self.check_return_range(regno, "At program exit", 1, 1)
            }
            (true, false) => self.check_return_range(regno, "At program exit", 0, 1),
            (false, _) => {
                let reg = *self.reg(regno);
                if reg.is_scalar() && reg.s32_min >= min && reg.s32_max <= max {
                    return self.mark_chain_precision(regno);
                }
                self.check_return_range(regno, "At program exit", min, max)
            }
        }
    }

    /// Whether the function that the program attaches to returns nothing.
    pub(crate) fn attached_to_void(&self) -> Step<bool> {
        let types = self.types_of(BtfRef::Vmlinux)?;
        Ok(matches!(types.get(self.attach.proto), Some(Type::FuncProto { ret: 0, .. })))
    }

    /// What a struct_ops program may return: nothing at all, a reference to what the operation returns, or null.
    fn returned_pointer(&self, regno: u8) -> Step<Option<Returned>> {
        if self.prog().prog_type == P::Lsm && self.prog().attach_type != A::LsmCgroup && self.attached_to_void()? {
            return Ok(Some(Returned::Fits));
        }
        if self.prog().prog_type != P::StructOps {
            return Ok(None);
        }
        let types = self.types_of(BtfRef::Vmlinux)?;
        let ret = match types.get(self.attach.proto) {
            Some(Type::FuncProto { ret, .. }) => ret,
            _ => return Ok(None),
        };
        if ret == 0 {
            return Ok(Some(Returned::Fits));
        }
        let Some(target) = pointee(&types, ret) else { return Ok(None) };
        let reg = self.reg(regno);
        if !self.path.state.frame(0).in_exception_callback
            && reg.ref_obj_id != 0
            && reg.btf() == Some((BtfRef::Vmlinux, target))
        {
            self.check_btf_offset(regno, false)?;
            return Ok(Some(Returned::Fits));
        }
        Ok(Some(Returned::Null))
    }

    fn check_return_range(&mut self, regno: u8, exit_ctx: &'static str, min: i32, max: i32) -> Step {
        let reg = *self.reg(regno);
        if !reg.is_scalar() {
            return reject(ExploreReason::ReturnNoScalar {
                exit_ctx,
                reg: regno,
                ty: reg_type_str(reg.ty).into_owned(),
            });
        }
        if !self.has(Feature::ReturnRanges) {
            return self.check_return_bits(regno, exit_ctx, min, max);
        }
        self.mark_chain_precision(regno)?;
        if reg.smin < min.into() || reg.smax > max.into() {
            return reject(ExploreReason::ReturnRange { exit_ctx, reg: regno, facts: reg.known_bounds(), min, max });
        }
        Ok(())
    }
}

impl Env<'_> {
    /// Holds a return value's known bits against those that the numbers from `min` to `max` share.
    pub(crate) fn check_return_bits(&mut self, reg: u8, exit_ctx: &'static str, min: i32, max: i32) -> Step {
        let range = Tnum::range(i64::from(min) as u64, i64::from(max) as u64);
        let bits = self.reg(reg).var_off;
        if range.contains(bits) {
            return Ok(());
        }
        let facts = if bits.is_unknown() { "unknown scalar value".to_owned() } else { format!("value {bits:#}") };
        reject(ExploreReason::ReturnBits { exit_ctx, reg, facts, range })
    }
}

/// What a returned pointer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returned {
    /// Allowed.
    Fits,
    /// Not what the operation returns: only null is allowed.
    Null,
}
