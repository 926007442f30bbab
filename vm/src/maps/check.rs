//! What `BPF_MAP_CREATE` refuses; the rules are those of the object crate.

pub use ebpfkit_abi::map_flags as flag;
use ebpfkit_object::Map as Def;
use ebpfkit_object::map_rules::Broken;

/// Checks a definition.
pub(super) fn check(def: &Def) -> Result<(), Broken> {
    ebpfkit_object::map_rules::check(def)
}
