//! What `BPF_MAP_CREATE` refuses; the rules are those of the object crate.

use crate::Errno;
use ebpfkit_object::Map as Def;
pub use ebpfkit_object::map_rules::flag;

/// A rule that was broken.
pub(super) type Broken = (Errno, &'static str);

/// Checks a definition.
pub(super) fn check(def: &Def) -> Result<(), Broken> {
    ebpfkit_object::map_rules::check(def).map_err(|(errno, what)| (Errno(errno.number()), what))
}
