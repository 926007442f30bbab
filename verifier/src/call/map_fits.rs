//! Which helpers work on which types of maps.

use super::helper::CallFacts;
use crate::reason::{CallReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::{AttachType, Helper, MapType as M, ProgType as P};

/// `BPF_F_RDONLY_PROG`: programs may not write the map.
pub(super) const MAP_RDONLY_PROG: u32 = 1 << 7;

/// For map types that few helpers take: those helpers.
#[rustfmt::skip]
const TAKEN_BY: &[(M, &[u32])] = &[
    (M::ProgArray, &[id::TAIL_CALL]),
    (M::PerfEventArray, &[22, 25, 55, 111, 121]),
    (M::Ringbuf, &[130, 131, 134, 198, 199, 200]),
    (M::UserRingbuf, &[209]),
    (M::StackTrace, &[27]),
    (M::CgroupArray, &[33, 37]),
    (M::CgroupStorage, &[81]),
    (M::PercpuCgroupStorage, &[81]),
    (M::Devmap, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (M::DevmapHash, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (M::Cpumap, &[id::REDIRECT_MAP]),
    (M::Xskmap, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (M::ArrayOfMaps, &[id::MAP_LOOKUP_ELEM]),
    (M::HashOfMaps, &[id::MAP_LOOKUP_ELEM]),
    (M::Sockmap, &[52, 53, 60, id::SK_SELECT_REUSEPORT, id::MAP_LOOKUP_ELEM]),
    (M::Sockhash, &[72, 70, 71, id::SK_SELECT_REUSEPORT, id::MAP_LOOKUP_ELEM]),
    (M::ReuseportSockarray, &[id::SK_SELECT_REUSEPORT]),
    (M::Queue, &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM]),
    (M::Stack, &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM]),
    (M::SkStorage, &[107, 108, id::KPTR_XCHG]),
    (M::InodeStorage, &[145, 146, id::KPTR_XCHG]),
    (M::TaskStorage, &[156, 157, id::KPTR_XCHG]),
    (M::CgrpStorage, &[210, 211, id::KPTR_XCHG]),
    (M::BloomFilter, &[id::MAP_PEEK_ELEM, id::MAP_PUSH_ELEM]),
];

/// For helpers that take few map types: those types.
#[rustfmt::skip]
const TAKES: &[(&[u32], &[M])] = &[
    (&[id::TAIL_CALL], &[M::ProgArray]),
    (&[22, 25, 55, 111, 121], &[M::PerfEventArray]),
    (&[130, 131, 134, 198, 199, 200], &[M::Ringbuf]),
    (&[209], &[M::UserRingbuf]),
    (&[27], &[M::StackTrace]),
    (&[33, 37], &[M::CgroupArray]),
    (&[id::REDIRECT_MAP], &[M::Devmap, M::DevmapHash, M::Cpumap, M::Xskmap]),
    (&[52, 53, 60], &[M::Sockmap]),
    (&[70, 71, 72], &[M::Sockhash]),
    (&[81], &[M::CgroupStorage, M::PercpuCgroupStorage]),
    (&[id::SK_SELECT_REUSEPORT], &[M::ReuseportSockarray, M::Sockmap, M::Sockhash]),
    (&[id::MAP_POP_ELEM], &[M::Queue, M::Stack]),
    (&[id::MAP_PEEK_ELEM, id::MAP_PUSH_ELEM], &[M::Queue, M::Stack, M::BloomFilter]),
    (&[195], &[M::PercpuArray, M::PercpuHash, M::LruPercpuHash]),
    (&[107, 108], &[M::SkStorage]),
    (&[145, 146], &[M::InodeStorage]),
    (&[156, 157], &[M::TaskStorage]),
    (&[210, 211], &[M::CgrpStorage]),
];

impl Env<'_> {
    /// Whether this helper works on this type of map, seen from the map and from the helper.
    pub(super) fn check_map_fits(&mut self, row: &Helper, facts: &CallFacts) -> Step {
        let Some(map) = facts.map else { return Ok(()) };
        let map_type = self.maps[map as usize].def.map_type;
        let mut fits = TAKEN_BY.iter().find(|(m, _)| *m == map_type).is_none_or(|(_, ids)| ids.contains(&row.id));
        if !fits && matches!(map_type, M::Sockmap | M::Sockhash) {
            fits = self.may_update_sockmap(row.id);
        }
        let takes = TAKES.iter().find(|(ids, _)| ids.contains(&row.id));
        fits &= takes.is_none_or(|(_, types)| types.contains(&map_type));
        if fits {
            return Ok(());
        }
        reject(CallReason::MapType { map_type: map_type.0, name: row.name, id: row.id })
    }

    /// Whether sockets may be put into and taken out of maps here: no socket is locked by the program's caller.
    fn may_update_sockmap(&mut self, helper: u32) -> bool {
        if helper != id::MAP_UPDATE_ELEM && helper != id::MAP_DELETE_ELEM {
            return false;
        }
        let fits = match self.effective_prog_type() {
            P::Tracing => self.prog.attach_type == AttachType::TraceIter,
            P::SockOps => helper == id::MAP_DELETE_ELEM,
            P::SocketFilter | P::SchedCls | P::SchedAct | P::Xdp | P::SkReuseport | P::FlowDissector | P::SkLookup => {
                true
            }
            _ => false,
        };
        if !fits {
            self.verbose(format_args!("cannot update sockmap in this context\n"));
        }
        fits
    }

    /// Helpers that change a map do not take one that programs may only read.
    pub(super) fn check_map_writable(&self, row: &Helper, facts: &CallFacts) -> Step {
        let Some(map) = facts.map else { return Ok(()) };
        let writes = matches!(row.id, id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM | id::MAP_PUSH_ELEM | id::MAP_POP_ELEM);
        if writes && self.maps[map as usize].def.flags & MAP_RDONLY_PROG != 0 {
            return reject(CallReason::MapReadOnly {});
        }
        Ok(())
    }
}
