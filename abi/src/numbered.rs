//! A newtype with named values for each kernel enumeration, so that unknown numbers stay representable.

use crate::KernelVersion;

/// The version of these numbers; none where they are zero.
pub(crate) const fn version(major: u16, minor: u16) -> Option<KernelVersion> {
    if major == 0 { None } else { Some(KernelVersion::new(major, minor, 0)) }
}

/// Declares an enumeration as a `u32` newtype with constants, the first version with each (0, 0 for what is none), the
/// kernel's names and short names.
#[macro_export]
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($variant:ident = $value:literal, ($major:literal, $minor:literal), $kernel:literal, $short:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u32);

        #[allow(non_upper_case_globals)]
        impl $name {
            $(#[doc = concat!("`", $kernel, "`")] pub const $variant: Self = Self($value);)*

            /// Every value that has a name.
            pub const ALL: &'static [Self] = &[$(Self($value)),*];

            /// The kernel's name, such as `BPF_PROG_TYPE_XDP`.
            pub const fn kernel_name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($kernel),)* _ => None }
            }

            /// The short lower-case name, such as `xdp`.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($short),)* _ => None }
            }

            /// The first version that has it.
            pub const fn since(self) -> Option<$crate::KernelVersion> {
                match self.0 { $($value => $crate::numbered::version($major, $minor),)* _ => None }
            }

            /// Looks up a short or a kernel name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($short | $kernel => Some(Self($value)),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(n) => f.write_str(n),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::{AttachType, KernelVersion, MapType, ProgType};

    #[test]
    fn types_have_versions() {
        assert!(ProgType::ALL.iter().all(|t| t.since().is_some() == (t.0 != 0)));
        assert!(MapType::ALL.iter().all(|t| t.since().is_some() == (t.0 != 0)));
        assert!(AttachType::ALL.iter().all(|t| t.since().is_some()));
        assert_eq!(MapType::Ringbuf.since(), Some(KernelVersion::new(5, 8, 0)));
    }
}
