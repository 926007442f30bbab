//! Since when kernels have program types, attach types, map types and kernel functions. The rows of helpers say it of
//! themselves.

#[rustfmt::skip]
mod kfuncs;
#[rustfmt::skip]
mod types;

use crate::kernel::KernelVersion;
use crate::{AttachType, MapType, ProgType};

/// A version and what came with it.
type Row = (u16, u16, &'static [&'static str]);

fn find(rows: &[Row], name: &str) -> Option<KernelVersion> {
    let row = rows.iter().find(|(.., names)| names.contains(&name))?;
    Some(KernelVersion::new(row.0, row.1, 0))
}

/// First version with a program type; `None` where it is not known.
pub fn prog_type(prog_type: ProgType) -> Option<KernelVersion> {
    find(types::PROG_TYPES, prog_type.kernel_name()?)
}

/// First version with a map type; `None` where it is not known.
pub fn map_type(map_type: MapType) -> Option<KernelVersion> {
    find(types::MAP_TYPES, map_type.kernel_name()?)
}

/// First version with an attach type; `None` where it is not known.
pub fn attach_type(attach_type: AttachType) -> Option<KernelVersion> {
    find(types::ATTACH_TYPES, attach_type.kernel_name()?)
}

/// First version with a kernel function; `None` where it is not known. The types of a kernel say for sure whether it has
/// one.
pub fn kfunc(name: &str) -> Option<KernelVersion> {
    find(kfuncs::KFUNCS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_versions() {
        for &kind in ProgType::ALL.iter().filter(|t| t.0 != 0) {
            assert!(prog_type(kind).is_some(), "{kind}");
        }
        for &kind in AttachType::ALL.iter() {
            assert!(attach_type(kind).is_some(), "{kind}");
        }
        for &kind in MapType::ALL.iter().filter(|t| t.0 != 0) {
            assert!(map_type(kind).is_some(), "{kind}");
        }
        assert_eq!(kfunc("bpf_preempt_disable"), Some(KernelVersion::new(6, 10, 0)));
    }

    #[test]
    fn names_stand_once_and_versions_rise() {
        for rows in [types::PROG_TYPES, types::MAP_TYPES, types::ATTACH_TYPES, kfuncs::KFUNCS] {
            assert!(rows.is_sorted_by_key(|r| (r.0, r.1)));
            let mut names: Vec<&str> = rows.iter().flat_map(|r| r.2.iter().copied()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
