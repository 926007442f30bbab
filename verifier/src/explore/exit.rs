//! What a program may return, by program and attach type.

use crate::reason::{ExploreReason, reject};
use crate::reg::RegState;
use crate::scalar::RegArg::SrcOp;
use crate::scalar::reg_type_str;
use crate::{Env, Step};
use ebpfkit_abi::{AttachType as A, ProgType as P};

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
            A::TraceFentry | A::TraceFexit => Some((0, 0)),
            A::TraceIter => Some((0, 1)),
            _ => None,
        },
        P::Kprobe => matches!(attach, A::TraceKprobeSession | A::TraceUprobeSession).then_some((0, 1)),
        P::SkLookup | P::Netfilter => Some((0, 1)),
        _ => None,
    }
}

/// Bounds of a return value as messages about it print them.
pub(crate) fn known_bounds(reg: &RegState) -> String {
    let mut text = String::new();
    if reg.smin > i64::MIN {
        text += &format!(" smin={}", reg.smin);
    }
    if reg.smax < i64::MAX {
        text += &format!(" smax={}", reg.smax);
    }
    if text.is_empty() { " unknown scalar value".to_owned() } else { text }
}

impl Env<'_> {
    /// Checks r0 at the end of the main program or of a global function that is verified on its own.
    pub(super) fn check_return_code(&mut self) -> Step {
        self.check_reg_arg(0, SrcOp)?;
        if self.is_pointer_value(0) {
            return reject(ExploreReason::ReturnLeaksAddress {});
        }
        let reg = *self.reg(0);
        let ty = || reg_type_str(reg.ty).into_owned();
        let frame = self.cur.frame(0);
        if frame.in_async_callback {
            let range = frame.callback_ret_range;
            return self.check_return_range("At async callback return", range.min, range.max);
        }
        if frame.subprog != 0 {
            return if reg.is_scalar() { Ok(()) } else { reject(ExploreReason::SubprogReturnNoScalar { ty: ty() }) };
        }
        let Some((min, max)) = return_range(self.prog.prog_type, self.prog.attach_type, self.prog.attach_btf_id) else {
            return Ok(());
        };
        self.check_return_range("At program exit", min, max)
    }

    fn check_return_range(&mut self, place: &'static str, min: i32, max: i32) -> Step {
        let reg = *self.reg(0);
        if !reg.is_scalar() {
            return reject(ExploreReason::ReturnNoScalar { place, ty: reg_type_str(reg.ty).into_owned() });
        }
        self.mark_chain_precision(0)?;
        if reg.smin < min.into() || reg.smax > max.into() {
            return reject(ExploreReason::ReturnRange { place, facts: known_bounds(&reg), min, max });
        }
        Ok(())
    }
}
