//! The macro that turns rows into a family of rejections.

/// Declares a family: each row is a code, a variant with its facts, the error number and the kernel's message.
/// The message is a format string over the facts; where the kernel prints several lines they stand in it, the last
/// line being the one that tools show. Where other kernels word it otherwise, `without Feature "..."` or
/// `with Feature "..."` follows: the first whose condition holds is what the kernel says. Behind `|` stand words
/// of kernels whose messages are not modelled, and which ones that are: they are recognised in logs.
macro_rules! reasons {
    ($(#[$meta:meta])* $family:ident => $name:ident { $($(#[$vm:meta])* $code:literal $variant:ident { $($field:ident: $ty:ty),* $(,)? } $errno:ident, $fmt:literal $(, $when:ident $feature:ident $other:literal)* $(| $by:literal $old:literal)*;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum $name { $($(#[$vm])* $variant { $($field: $ty),* }),* }

        #[allow(unused_variables, unreachable_patterns)]
        impl $name {
            /// Every row: code, variant, message template.
            pub const ROWS: &'static [(&'static str, &'static str, &'static str)] =
                &[$(($code, stringify!($variant), $fmt)),*];

            /// What other kernels say.
            pub(crate) const OTHERS: &'static [crate::reason::Message] = &[$(
                $(crate::reason::Message { code: $code, variant: stringify!($variant), template: $other,
                    by: crate::reason::Wording::when(stringify!($when), ebpfkit_abi::Feature::$feature) },)*
                $(crate::reason::Message { code: $code, variant: stringify!($variant), template: $old,
                    by: crate::reason::Wording::Others($by) },)*
            )*];

            /// The rejection of a name, with the facts of a message.
            pub(crate) fn from_fields(variant: &str, fields: &crate::reason::recognise::Fields<'_>) -> Option<Self> {
                match variant {
                    $(stringify!($variant) => Some(Self::$variant { $($field: fields.get(stringify!($field))?),* }),)*
                    _ => None,
                }
            }

            /// Stable code.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code,)* _ => unreachable!() }
            }

            /// Error number, positive.
            pub fn errno(&self) -> i32 {
                match self { $(Self::$variant { .. } => ebpfkit_abi::Errno::$errno.0,)* _ => unreachable!() }
            }

            /// The message of a kernel that has the features that `has` says it has.
            pub fn text(&self, has: &dyn Fn(ebpfkit_abi::Feature) -> bool) -> String {
                match self {
                    $(Self::$variant { $($field),* } => {
                        $(if has(ebpfkit_abi::Feature::$feature) == (stringify!($when) == "with") {
                            return format!($other);
                        })*
                        format!($fmt)
                    })*
                    _ => unreachable!(),
                }
            }

            /// Name of the variant.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant),)* _ => unreachable!() }
            }
        }

        #[allow(unused_variables, unreachable_patterns)]
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { $(Self::$variant { $($field),* } => write!(f, $fmt),)* _ => unreachable!() }
            }
        }

        impl From<$name> for crate::reason::Reason {
            fn from(r: $name) -> Self {
                Self::$family(r)
            }
        }
    };
}

pub(crate) use reasons;
