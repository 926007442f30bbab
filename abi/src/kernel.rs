//! Kernel versions and the features that come with them.

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
    /// The newest kernel that is modelled.
    pub const NEWEST: Self = Self::MODELLED[Self::MODELLED.len() - 1];
    /// The kernels that are modelled, oldest first. The third number does not count.
    pub const MODELLED: &[Self] = &[Self::new(6, 18, 0)];

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

    /// Whether the kernel's rules are known here.
    pub fn is_modelled(self) -> bool {
        Self::MODELLED.iter().any(|m| (m.major, m.minor) == (self.major, self.minor))
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

/// Declares the features: `Name = version that brought it;`.
macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $major:literal, $minor:literal;)*) => {
        /// A behaviour that some kernels have and others lack. Code asks for features and never compares versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Feature { $($(#[$doc])* $name),* }

        impl Feature {
            /// Every feature.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// First version that has the feature.
            pub const fn since(self) -> KernelVersion {
                match self { $(Self::$name => KernelVersion::new($major, $minor, 0)),* }
            }
        }
    };
}

features! {
    /// Global functions may be called in preemption-off regions when they cannot sleep.
    GlobalCallsInPreemptOff = 6, 18;
}
