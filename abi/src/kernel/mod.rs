//! Kernels: versions, the features in which they differ, and the ones that are bundled.

mod bundled;
mod features;
mod set;

pub use bundled::{Bundled, Judged};
pub use features::{Effect, Feature, Source};
pub use set::FeatureSet;

/// A kernel release `x.y.z`. Stable kernels take backports, so `z` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number.
    pub patch: u16,
}

impl KernelVersion {
    /// The kernel that is modelled where nothing says which: the one that the rules were first made for.
    pub const DEFAULT: Self = Bundled::DEFAULT.version;

    /// A version.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `6.18`, `6.12.117` or a release string such as `6.18.44-cloud-amd64`.
    pub fn parse(text: &str) -> Option<Self> {
        let head = text.trim_start_matches('v').split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut parts = head.split('.').map(|p| p.parse::<u16>());
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(Self { major, minor, patch })
    }

    /// `x.y`, which is all that counts in mainline.
    pub fn series(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether both are releases of one `x.y`.
    pub const fn same_series(self, other: Self) -> bool {
        self.major == other.major && self.minor == other.minor
    }

    /// Whether this version is `other` or later.
    pub const fn at_least(self, other: Self) -> bool {
        let (a, b) = (self, other);
        a.major > b.major || a.major == b.major && (a.minor > b.minor || a.minor == b.minor && a.patch >= b.patch)
    }

    /// `LINUX_VERSION_CODE`; the third number ends at 255.
    pub const fn code(self) -> u32 {
        let patch = if self.patch > 255 { 255 } else { self.patch };
        (self.major as u32) << 16 | (self.minor as u32) << 8 | patch as u32
    }
}

impl std::fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
