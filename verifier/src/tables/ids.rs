//! Identities that stand for each other in two states.

use crate::domain::RegState;

/// Pairs of identities of an old and a current state.
#[derive(Debug, Default)]
pub struct IdMap {
    pairs: Vec<(u32, u32)>,
    /// Next identity for numbers that have none.
    temporary: u32,
    /// Pointers into packets that share an identity keep their distances.
    pub keeps_distances: bool,
    /// Fixed offsets of pointers are part of their bounds.
    pub whole_offsets: bool,
}

impl IdMap {
    /// Forgets all pairs. `last_id` is the last identity that any state holds.
    pub fn reset(&mut self, last_id: u32) {
        self.pairs.clear();
        self.temporary = last_id;
    }

    /// Whether `old` stands for `cur`, given all pairs so far; zero stands for itself only (`check_ids`).
    pub fn same(&mut self, old: u32, cur: u32) -> bool {
        if old == 0 || cur == 0 {
            return old == cur;
        }
        match self.pairs.iter().find(|(o, c)| *o == old || *c == cur) {
            Some(&pair) => pair == (old, cur),
            None => {
                self.pairs.push((old, cur));
                true
            }
        }
    }

    /// The same for numbers: an old one without identity relied on nothing; a current one without identity is
    /// linked with no other (`check_scalar_ids`).
    pub fn same_scalar(&mut self, old: u32, cur: u32) -> bool {
        if old == 0 {
            return true;
        }
        let cur = if cur != 0 {
            cur
        } else {
            self.temporary += 1;
            self.temporary
        };
        let base = |id: u32| id & !RegState::ADD_CONST;
        self.same(old, cur) && (old & RegState::ADD_CONST == 0 || self.same(base(old), base(cur)))
    }
}

/// Whether both registers hold exactly the same, up to identity (`regs_exact`).
pub(crate) fn regs_exact(old: &RegState, cur: &RegState, ids: &mut IdMap) -> bool {
    same_value(old, cur) && ids.same(old.id, cur.id) && ids.same(old.ref_obj_id, cur.ref_obj_id)
}

/// Whether all but identities agree.
pub(crate) fn same_value(old: &RegState, cur: &RegState) -> bool {
    old.ty == cur.ty
        && old.off == cur.off
        && old.extra == cur.extra
        && old.var_off == cur.var_off
        && (old.smin, old.smax, old.umin, old.umax) == (cur.smin, cur.smax, cur.umin, cur.umax)
        && (old.s32_min, old.s32_max, old.u32_min, old.u32_max) == (cur.s32_min, cur.s32_max, cur.u32_min, cur.u32_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unlinked_numbers_do_not_stand_for_linked_ones() {
        let mut ids = IdMap::default();
        assert!(ids.same_scalar(7, 0));
        assert!(!ids.same_scalar(7, 0));
        assert!(ids.same_scalar(0, 9));
    }

    proptest! {
        /// Pairs that were accepted are a bijection.
        #[test]
        fn accepted_pairs_are_one_to_one(pairs in proptest::collection::vec((0u32..6, 0u32..6), 0..24)) {
            let mut ids = IdMap::default();
            let accepted: Vec<_> = pairs.into_iter().filter(|&(o, c)| ids.same(o, c)).collect();
            for &(o, c) in &accepted {
                for &(p, d) in &accepted {
                    prop_assert_eq!(o == p, c == d);
                }
            }
        }
    }
}
