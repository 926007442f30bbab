//! Since when kernels have kernel functions. The rows of helpers and of types say it of themselves.

#[rustfmt::skip]
mod kfuncs;

use crate::kernel::KernelVersion;

/// A version and what came with it.
type Row = (u16, u16, &'static [&'static str]);

/// First version with a kernel function; `None` where it is not known. The types of a kernel say for sure whether it has
/// one.
pub fn kfunc(name: &str) -> Option<KernelVersion> {
    let row = kfuncs::KFUNCS.iter().find(|(.., names)| names.contains(&name))?;
    Some(KernelVersion::new(row.0, row.1, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttachType, MapType, ProgType};

    #[test]
    fn types_have_versions() {
        assert!(ProgType::ALL.iter().all(|t| t.since().is_some() == (t.0 != 0)));
        assert!(MapType::ALL.iter().all(|t| t.since().is_some() == (t.0 != 0)));
        assert!(AttachType::ALL.iter().all(|t| t.since().is_some()));
        assert_eq!(MapType::Ringbuf.since(), Some(KernelVersion::new(5, 8, 0)));
        assert_eq!(kfunc("bpf_preempt_disable"), Some(KernelVersion::new(6, 10, 0)));
    }

    #[test]
    fn names_stand_once_and_versions_rise() {
        assert!(kfuncs::KFUNCS.is_sorted_by_key(|r| (r.0, r.1)));
        let mut names: Vec<&str> = kfuncs::KFUNCS.iter().flat_map(|r| r.2.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
