//! Names of a program's functions.

use ebpfkit_object::{Object, Program};

/// The functions of a program with their first slots, in the order of their code; the main program is the first.
pub fn functions(object: &Object, program: &Program) -> Vec<(usize, String)> {
    let main = std::iter::once((0, program.name.clone()));
    let others = program.subprograms.iter().map(|(start, number)| {
        let name = object.subprograms.get(*number).map(|s| s.name.clone());
        (*start, name.unwrap_or_else(|| format!("function at {start}")))
    });
    let mut all: Vec<_> = main.chain(others).collect();
    all.sort_by_key(|f| f.0);
    all
}

/// The name of the function that a slot is in.
pub fn at(functions: &[(usize, String)], slot: usize) -> &str {
    let after = functions.partition_point(|f| f.0 <= slot);
    after.checked_sub(1).map_or("", |f| &functions[f].1)
}
