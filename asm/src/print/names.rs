//! Names that a text may have once: objects that were linked can have several static functions, variables and structs of
//! one name.

use ebpfkit_object::Object;
use rustc_hash::{FxHashMap, FxHashSet};

/// Names that have been given.
pub(super) struct Names {
    taken: FxHashSet<String>,
    /// How often a name was asked for.
    counts: FxHashMap<String, usize>,
}

impl Names {
    /// With the names of what only exists once: programs, maps and what the kernel provides.
    pub(super) fn new(object: &Object) -> Self {
        let programs = object.programs.iter().map(|p| &p.name);
        let maps = object.maps.iter().map(|m| &m.name);
        let externs = object.externs.iter().map(|e| &e.name);
        Self { taken: programs.chain(maps).chain(externs).cloned().collect(), counts: FxHashMap::default() }
    }

    /// The name, with a number when it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let count = self.counts.entry(name.to_owned()).or_insert(1);
        let mut unique = name.to_owned();
        while !self.taken.insert(unique.clone()) {
            *count += 1;
            unique = format!("{name}_{count}");
        }
        unique
    }
}
