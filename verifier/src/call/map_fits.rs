//! Which helpers work on which types of maps.

use super::helper::CallMeta;
use crate::reason::{CallReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::{AttachType, Feature, Helper, MapType as M, ProgType as P, map_flags};

impl Env<'_> {
    /// Whether this helper works on this type of map.
    pub(super) fn check_map_fits(&mut self, row: &Helper, meta: &CallMeta) -> Step {
        let Some(map) = meta.map else { return Ok(()) };
        let map_type = self.maps[map as usize].def.map_type;
        let updates_sockets =
            matches!(map_type, M::Sockmap | M::Sockhash) && matches!(row.id, id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM);
        let fits = row.maps.contains(map_type) && (!updates_sockets || self.may_update_sockmap(row.id));
        if fits {
            return Ok(());
        }
        reject(CallReason::MapType { map_type: map_type.0, name: row.name, id: row.id })
    }

    /// Whether sockets may be put into and taken out of maps here: no socket is locked by the program's caller.
    fn may_update_sockmap(&mut self, helper: u32) -> bool {
        let fits = match self.effective_prog_type() {
            P::Tracing => self.prog().attach_type == AttachType::TraceIter,
            P::SockOps => helper == id::MAP_DELETE_ELEM,
            P::SocketFilter | P::SchedCls | P::SchedAct | P::Xdp | P::FlowDissector => {
                !self.has(Feature::FewSockmapWriters)
            }
            P::SkReuseport | P::SkLookup => true,
            _ => false,
        };
        if !fits {
            self.detail(format_args!("cannot update sockmap in this context"));
        }
        fits
    }

    /// Helpers that change a map do not take one that programs may only read.
    pub(super) fn check_map_writable(&self, row: &Helper, meta: &CallMeta) -> Step {
        let Some(map) = meta.map else { return Ok(()) };
        let writes = matches!(row.id, id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM | id::MAP_PUSH_ELEM | id::MAP_POP_ELEM);
        if writes && self.maps[map as usize].flags() & map_flags::RDONLY_PROG != 0 {
            return reject(CallReason::MapReadOnly {});
        }
        Ok(())
    }
}
