//! What loading needs capabilities for, before anything else is looked at.

use crate::reason::ProgramReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::limits::MAX_UNPRIVILEGED_INSNS;
use ebpfkit_abi::map_type::MapCapability;
use ebpfkit_abi::{MapType as M, ProgType as P};

/// The capability that a program type needs beyond `CAP_BPF`.
fn of_program(kind: P) -> Option<&'static str> {
    match kind {
        P::SchedCls
        | P::SchedAct
        | P::Xdp
        | P::LwtIn
        | P::LwtOut
        | P::LwtXmit
        | P::LwtSeg6local
        | P::SkSkb
        | P::SkMsg
        | P::FlowDissector
        | P::CgroupDevice
        | P::CgroupSock
        | P::CgroupSockAddr
        | P::CgroupSockopt
        | P::CgroupSysctl
        | P::SockOps
        | P::Ext
        | P::Netfilter => Some("CAP_NET_ADMIN"),
        P::Kprobe
        | P::Tracepoint
        | P::PerfEvent
        | P::RawTracepoint
        | P::RawTracepointWritable
        | P::Tracing
        | P::Lsm
        | P::StructOps => Some("CAP_PERFMON"),
        _ => None,
    }
}

/// The capability that making a map of this type needs.
fn of_map(kind: M) -> Option<&'static str> {
    match kind.row().capability {
        MapCapability::None => None,
        MapCapability::NetAdmin => Some("CAP_NET_ADMIN"),
        MapCapability::Bpf => Some("CAP_BPF"),
    }
}

impl Env<'_> {
    /// Whether the user may load such a program at all.
    pub(crate) fn check_loadable(&self) -> Step {
        if self.options().privileged {
            return Ok(());
        }
        let (capable, kind) = (self.bpf_capable(), self.prog().prog_type);
        let insns = self.insns().len();
        if !capable && insns > MAX_UNPRIVILEGED_INSNS {
            return reject(ProgramReason::TooManyInsns { insns, limit: MAX_UNPRIVILEGED_INSNS });
        }
        let capability = match kind {
            P::SocketFilter | P::CgroupSkb => None,
            _ if !capable => Some("CAP_BPF"),
            _ => of_program(kind),
        };
        if let Some(capability) = capability {
            return reject(ProgramReason::TypeNeedsCapability { kind: kind.to_string(), capability });
        }
        Ok(())
    }

    /// Whether the user may make a map in use, and the program use it.
    pub(super) fn check_map_capability(&self, position: u32) -> Step {
        if self.options().privileged {
            return Ok(());
        }
        let def = &self.maps[position as usize].def;
        let needed = of_map(def.map_type).filter(|&c| c != "CAP_BPF" || !self.bpf_capable());
        if let Some(capability) = needed {
            let (name, kind) = (def.name.to_string(), def.map_type.to_string());
            return reject(ProgramReason::MapNeedsCapability { name, kind, capability });
        }
        if def.map_type == M::Arena {
            return reject(ProgramReason::ArenaNeedsCapability {});
        }
        Ok(())
    }
}
