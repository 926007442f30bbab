//! In what kernels differ: a row for each behaviour that some have and others lack.
//!
//! A row whose effect is a verdict or a message has a witness: a program that kernels with the feature treat in one way
//! and kernels without it in another.

use super::KernelVersion;

/// What programs see of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Some programs are accepted with it and rejected without, or the reverse.
    Verdict,
    /// Rejections of some programs are worded otherwise.
    Message,
    /// Some programs take another number of instructions or states to verify.
    Steps,
    /// The log has other lines.
    Log,
}

impl Effect {
    /// The effect in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Message => "message",
            Self::Steps => "steps",
            Self::Log => "log",
        }
    }
}

/// Declares the features, one row each:
///
/// ```text
/// /// What kernels with the feature do, in one sentence.
/// Name: (first mainline version), [effects], "subject of the commit that brought it", [backports];
/// ```
///
/// The backports are the first point releases of older series that have it too; the brackets may be left out.
macro_rules! features {
    ($($(#[doc = $doc:literal])+ $name:ident: ($major:literal, $minor:literal), [$($effect:ident),+], $source:literal
        $(, [$(($bmajor:literal, $bminor:literal, $bpatch:literal)),+])?;)*) => {
        /// A behaviour that some kernels have and others lack. Code asks for features and never compares versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Feature { $($(#[doc = $doc])+ $name),* }

        impl Feature {
            /// Every feature, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// First mainline version that has the feature.
            pub const fn since(self) -> KernelVersion {
                match self { $(Self::$name => KernelVersion::new($major, $minor, 0)),* }
            }

            /// First point releases of older series that have it, too.
            pub const fn backports(self) -> &'static [KernelVersion] {
                match self {
                    $(Self::$name => &[$($(KernelVersion::new($bmajor, $bminor, $bpatch)),+)?]),*
                }
            }

            /// What kernels with the feature do.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),* }
            }

            /// Subject of the public commit that brought it.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source),* }
            }

            /// What programs see of it.
            pub const fn effects(self) -> &'static [Effect] {
                match self { $(Self::$name => &[$(Effect::$effect),+]),* }
            }

            /// The row's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

features! {
    /// Global functions may be called in regions without preemption where they cannot sleep.
    GlobalCallsInPreemptOff: (6, 18), [Verdict, Message],
        "bpf: Allow calls to global subprogs that do not sleep while preemption is disabled";
}

impl Feature {
    /// The feature of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.name() == name)
    }

    /// Whether mainline or stable kernels of a version have it.
    pub const fn is_in(self, version: KernelVersion) -> bool {
        if version.at_least(self.since()) {
            return true;
        }
        let (backports, mut at) = (self.backports(), 0);
        while at < backports.len() {
            if version.same_series(backports[at]) && version.patch >= backports[at].patch {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Whether the row says that verdicts or messages differ, so that a program can bear witness to it.
    pub fn is_decisive(self) -> bool {
        self.effects().iter().any(|e| matches!(e, Effect::Verdict | Effect::Message))
    }
}
