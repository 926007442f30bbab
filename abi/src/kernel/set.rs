//! Sets of features.

use super::{Feature, KernelVersion};

const WORDS: usize = Feature::ALL.len().div_ceil(64);

/// A set of features; one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeatureSet([u64; WORDS]);

impl FeatureSet {
    /// No feature.
    pub const NONE: Self = Self([0; WORDS]);

    /// What a mainline or stable kernel of a version has.
    pub const fn of(version: KernelVersion) -> Self {
        let (mut set, mut at) = (Self::NONE, 0);
        while at < Feature::ALL.len() {
            if Feature::ALL[at].is_in(version) {
                set = set.with(Feature::ALL[at]);
            }
            at += 1;
        }
        set
    }

    /// Whether the feature is in the set.
    #[inline]
    pub const fn has(&self, feature: Feature) -> bool {
        self.0[feature as usize / 64] >> (feature as usize % 64) & 1 != 0
    }

    /// The set and this feature.
    #[must_use]
    pub const fn with(mut self, feature: Feature) -> Self {
        self.0[feature as usize / 64] |= 1 << (feature as usize % 64);
        self
    }

    /// The set without this feature.
    #[must_use]
    pub const fn without(mut self, feature: Feature) -> Self {
        self.0[feature as usize / 64] &= !(1 << (feature as usize % 64));
        self
    }

    /// The set, with the feature or without it.
    #[must_use]
    pub const fn set(self, feature: Feature, has: bool) -> Self {
        if has { self.with(feature) } else { self.without(feature) }
    }

    /// The features, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Feature> + '_ {
        Feature::ALL.iter().copied().filter(|f| self.has(*f))
    }

    /// The features that one of both sets has and the other lacks.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Feature> + 'a {
        Feature::ALL.iter().copied().filter(|f| self.has(*f) != other.has(*f))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn sets_are_what_versions_have() {
        for &feature in Feature::ALL {
            let since = feature.since();
            assert!(FeatureSet::of(since).has(feature), "{feature:?}");
            assert!(FeatureSet::of(since).without(feature).with(feature).has(feature), "{feature:?}");
            assert!(!FeatureSet::of(KernelVersion::new(0, 0, 0)).has(feature), "{feature:?}");
            for &first in feature.backports() {
                assert!(first < since, "{feature:?}: {first} is no backport");
                assert!(FeatureSet::of(first).has(feature), "{feature:?}: {first}");
            }
        }
    }

    #[test]
    fn rows_have_names_and_sources() {
        for &feature in Feature::ALL {
            assert_eq!(Feature::by_name(feature.name()), Some(feature));
            assert!(!feature.what().is_empty());
            match feature.source() {
                Source::Commit { hash, subject } => {
                    let is_hash = hash.len() == 12 && hash.bytes().all(|c| c.is_ascii_hexdigit());
                    assert!(is_hash, "{feature:?}: {hash}: expected the first twelve digits of a commit's hash");
                    let is_subject = subject.contains(": ") && subject.trim() == subject;
                    assert!(is_subject, "{feature:?}: {subject}: expected a commit's subject, `bpf: ...`");
                }
                // What was measured or read, such as which kernels have it; nothing that looks like a quoted subject.
                Source::Inferred(from) => {
                    let names_kernels = from.contains(|c: char| c.is_ascii_digit()) && !from.contains(": ");
                    assert!(names_kernels, "{feature:?}: {from}: expected which kernels have it, and which do not");
                }
            }
        }
    }

    #[test]
    fn commits_stand_once() {
        let mut hashes: Vec<_> = Feature::ALL
            .iter()
            .filter_map(|f| match f.source() {
                Source::Commit { hash, .. } => Some(hash),
                Source::Inferred(_) => None,
            })
            .collect();
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
