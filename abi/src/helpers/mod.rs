//! Every helper, one row each: number, name, first version, and a prototype for each group of callers.
//!
//! The rows stand in files by family. Which kinds of programs a row offers itself to was asked of a running 6.18
//! kernel, kind by kind; where that kernel would not load a kind (fentry, fexit, fmod_ret, LSM, infrared remote
//! controls), the documented sets stand in.

mod buffer;
mod cgroup;
pub mod later;
mod map;
mod map_sets;
mod packet;
mod rows;
mod socket;
mod storage;
mod trace;
mod util;
mod words;

use crate::callers::Callers;
use crate::proto::{Helper, Prototype};
use std::sync::LazyLock;

/// The helpers' numbers, made from their rows: `id::TAIL_CALL` is that of `bpf_tail_call`.
pub mod id {
    pub use super::buffer::id::*;
    pub use super::cgroup::id::*;
    pub use super::map::id::*;
    pub use super::packet::id::*;
    pub use super::socket::id::*;
    pub use super::storage::id::*;
    pub use super::trace::id::*;
    pub use super::util::id::*;
}

/// Highest number of a helper.
pub const LAST: u32 = {
    let (mut last, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let (rows, mut row) = (FAMILIES[family], 0);
        while row < rows.len() {
            last = if rows[row].id > last { rows[row].id } else { last };
            row += 1;
        }
        family += 1;
    }
    last
};

const FAMILIES: [&[Helper]; 8] =
    [map::ROWS, trace::ROWS, util::ROWS, packet::ROWS, buffer::ROWS, socket::ROWS, cgroup::ROWS, storage::ROWS];

static BY_ID: LazyLock<Vec<&'static Helper>> = LazyLock::new(|| {
    let mut rows: Vec<&'static Helper> = FAMILIES.iter().flat_map(|rows| rows.iter()).collect();
    rows.sort_by_key(|h| h.id);
    rows
});

/// Every helper, by number.
pub fn all() -> &'static [&'static Helper] {
    &BY_ID
}

/// The helper with this number.
pub fn find(id: u32) -> Option<&'static Helper> {
    BY_ID.get((id as usize).checked_sub(1)?).copied()
}

/// The helper with this name, with or without `bpf_`.
pub fn by_name(name: &str) -> Option<&'static Helper> {
    let short = name.strip_prefix("bpf_").unwrap_or(name);
    all().iter().copied().find(|h| h.name.strip_prefix("bpf_") == Some(short))
}

/// Name of a helper with its `bpf_` prefix; `None` when no helper has this number.
pub fn helper_name(id: u32) -> Option<&'static str> {
    find(id).map(|h| h.name)
}

/// Number of a helper by its name, with or without `bpf_`.
pub fn helper_id(name: &str) -> Option<u32> {
    by_name(name).map(|h| h.id)
}

/// Numbers and names of all helpers.
pub fn helper_names() -> impl Iterator<Item = (u32, &'static str)> {
    all().iter().map(|h| (h.id, h.name))
}

impl Helper {
    /// The prototype that programs of this kind call; `None` when the helper is not offered to them.
    pub fn prototype(&self, kind: Callers) -> Option<&'static Prototype> {
        self.prototypes.iter().find(|p| p.callers.intersects(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ArgBase;
    use crate::{AttachType, MapTraits, MapType, ProgType};

    #[test]
    fn one_row_for_every_number() {
        let ids: Vec<u32> = all().iter().map(|h| h.id).collect();
        assert_eq!(ids, (1..=LAST).collect::<Vec<_>>(), "a number has no row, or two");
        for h in all() {
            assert!(!h.prototypes.is_empty(), "{}", h.name);
            assert!(std::ptr::eq(by_name(h.name).expect("name"), *h));
        }
    }

    #[test]
    fn sizes_follow_their_memory() {
        for h in all() {
            for p in h.prototypes {
                for (i, a) in p.args.iter().enumerate() {
                    let sized = matches!(a.base, ArgBase::ConstSize | ArgBase::ConstSizeOrZero);
                    assert!(!sized || i > 0 && p.args[i - 1].base == ArgBase::Mem, "{} argument {i}", h.name);
                }
            }
        }
    }

    #[test]
    fn maps_of_helpers() {
        use crate::MapType as M;
        let takes = |id| MapType::ALL.iter().copied().filter(move |t| find(id).expect("row").maps.contains(*t));
        assert!(takes(id::TAIL_CALL).eq([M::ProgArray]));
        let plain = |t: &MapType| t.is(MapTraits::PLAIN);
        assert!(takes(id::FOR_EACH_MAP_ELEM).eq(MapType::ALL.iter().copied().filter(plain)));
        assert!(M::Hash.is(MapTraits::PLAIN) && !M::Devmap.is(MapTraits::PLAIN));
        assert!(takes(id::REDIRECT_MAP).eq([M::Devmap, M::Cpumap, M::Xskmap, M::DevmapHash]));
    }

    #[test]
    fn no_kind_has_two_prototypes() {
        for h in all() {
            let mut seen = 0;
            for p in h.prototypes {
                assert_eq!(seen & p.callers.0, 0, "{}", h.name);
                seen |= p.callers.0;
            }
        }
    }

    #[test]
    fn prototypes_by_attach_type() {
        let kind = |attach| Callers::of(ProgType::CgroupSockAddr, attach);
        let bind = by_name("bind").expect("row");
        assert!(bind.prototype(kind(AttachType::CgroupInet4Connect)).is_some());
        assert!(bind.prototype(kind(AttachType::CgroupInet4Bind)).is_none());
        let cookie = by_name("bpf_get_socket_cookie").expect("row");
        let skb = cookie.prototype(Callers::of(ProgType::SchedCls, AttachType::default())).expect("prototype");
        assert_eq!(skb.args[0].base, ArgBase::Ctx);
    }
}
