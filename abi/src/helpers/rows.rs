//! What makes a family's rows into a table and into constants for their numbers.

/// Declares the rows of a family: `NAME = number, "bpf_name", first version, on(map types), [prototypes];`. Without
/// `on` a helper takes the map types that ask for no helpers of their own.
///
/// `ROWS` holds them, and `id` has a constant for the number of each, named as the helper in capitals.
macro_rules! helpers {
    ($($id:ident = $number:literal, $name:literal, $since:expr $(, on($maps:expr))?, [$($prototype:expr),* $(,)?];)*) => {
        /// The rows.
        pub(super) static ROWS: &[crate::proto::Helper] = &[$(crate::proto::Helper {
            id: $number,
            name: $name,
            since: $since,
            maps: crate::helpers::rows::map_types!($($maps)?),
            prototypes: &[$($prototype),*],
        }),*];

        pub(super) mod id {
            $(
                #[doc = concat!("Number of `", $name, "`.")]
                pub const $id: u32 = $number;
                const _: () = assert!(
                    super::super::rows::is_in_capitals(stringify!($id), $name),
                    concat!("the constant of ", $name, " is not its name in capitals"),
                );
            )*
        }
    };
}
pub(super) use helpers;

/// The map types of a row.
macro_rules! map_types {
    () => {
        crate::map_type::MapTypes(crate::helpers::map_sets::PLAIN)
    };
    ($maps:expr) => {
        crate::map_type::MapTypes($maps)
    };
}
pub(super) use map_types;

/// Whether a constant's name is the helper's in capitals, without `bpf_`.
pub(super) const fn is_in_capitals(constant: &str, name: &str) -> bool {
    let (constant, name, prefix) = (constant.as_bytes(), name.as_bytes(), "bpf_".len());
    if name.len() != constant.len() + prefix {
        return false;
    }
    let mut i = 0;
    while i < constant.len() {
        if name[i + prefix].to_ascii_uppercase() != constant[i] {
            return false;
        }
        i += 1;
    }
    true
}
