//! The kernels that come with ebpfkit.

use super::{Feature, FeatureSet, KernelVersion};

/// How far the answers for a kernel are known to be that kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judged {
    /// Its own answers to thousands of programs were compared with ours.
    Compared,
    /// It follows from the rows of the tables; no such kernel was asked.
    Modelled,
}

impl Judged {
    /// The judgement in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compared => "compared",
            Self::Modelled => "modelled, not compared",
        }
    }
}

/// A kernel that comes with ebpfkit.
#[derive(Debug)]
pub struct Bundled {
    /// What `--kernel` calls it.
    pub name: &'static str,
    /// The point release.
    pub version: KernelVersion,
    /// Whether it was held against the kernel itself.
    pub judged: Judged,
    /// What it has and its version does not say.
    pub added: &'static [Feature],
    /// What it lacks although its version says that it has it.
    pub removed: &'static [Feature],
}

const fn row(name: &'static str, version: (u16, u16, u16), judged: Judged) -> Bundled {
    Bundled { name, version: KernelVersion::new(version.0, version.1, version.2), judged, added: &[], removed: &[] }
}

impl Bundled {
    /// Every bundled kernel, oldest first.
    pub const ALL: &[Self] = &[
        row("5.10", (5, 10, 223), Judged::Compared),
        row("5.15", (5, 15, 0), Judged::Modelled),
        row("6.1", (6, 1, 192), Judged::Compared),
        row("6.6", (6, 6, 0), Judged::Modelled),
        row("6.8", (6, 8, 0), Judged::Modelled),
        row("6.12", (6, 12, 117), Judged::Compared),
        // The 6.18.44 that was asked refuses it. Debian's 6.18.5 and 6.18.15 take it, as their mainline does.
        Self { removed: &[Feature::ProbesWriteRegisters], ..row("6.18", (6, 18, 44), Judged::Compared) },
        row("7.0", (7, 0, 0), Judged::Modelled),
        row("7.2", (7, 2, 12), Judged::Compared),
        row("7.3", (7, 3, 4), Judged::Compared),
    ];

    /// The one that is modelled where nothing says which.
    pub const DEFAULT: &Self = &Self::ALL[6];

    /// The kernel of a name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|k| k.name == name)
    }

    /// The kernel that is nearest to a version: that of its series, otherwise the newest that is older. `None` for
    /// versions before the first one and after the last.
    pub fn nearest(version: KernelVersion) -> Option<&'static Self> {
        let last = Self::ALL.last()?;
        if version > last.version && !version.same_series(last.version) {
            return None;
        }
        Self::ALL.iter().rfind(|k| k.version.same_series(version) || k.version <= version)
    }

    /// What the kernel has.
    pub const fn features(&self) -> FeatureSet {
        let (mut set, mut at) = (FeatureSet::of(self.version), 0);
        while at < self.added.len() {
            set = set.with(self.added[at]);
            at += 1;
        }
        at = 0;
        while at < self.removed.len() {
            set = set.without(self.removed[at]);
            at += 1;
        }
        set
    }

    /// What a kernel of a version has: what the bundled one of its series has, otherwise what the version says.
    pub fn features_of(version: KernelVersion) -> FeatureSet {
        let series = Self::ALL.iter().find(|k| k.version.same_series(version));
        series.map_or_else(|| FeatureSet::of(version), Self::features)
    }

    /// The names of all, for messages.
    pub fn names() -> String {
        Self::ALL.iter().map(|k| k.name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_find_the_nearest_kernel() {
        let nearest = |text| Bundled::nearest(KernelVersion::parse(text).expect(text)).map(|k| k.name);
        for kernel in Bundled::ALL {
            assert_eq!(nearest(kernel.name), Some(kernel.name));
            assert!(kernel.version.series() == kernel.name);
        }
        assert_eq!(nearest("6.1.90"), Some("6.1"));
        assert_eq!(nearest("6.5"), Some("6.1"));
        assert_eq!(nearest("6.17.9"), Some("6.12"));
        assert_eq!(nearest("7.3.99"), Some("7.3"));
        assert_eq!((nearest("4.19"), nearest("7.4")), (None, None));
        assert!(Bundled::ALL.is_sorted_by_key(|k| k.version));
        assert_eq!(Bundled::DEFAULT.name, "6.18");
    }
}
