//! Global symbols: which definition counts.

use super::{Input, Layout};
use crate::model::ObjectError;
use crate::read::elf::{File, JUMP_TABLES, Symbol, refused};
use std::collections::HashMap;

/// What a name stands for in the result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Global {
    /// Input and symbol of the definition, or of the first reference when there is none.
    pub owner: (usize, usize),
    /// It is only referred to.
    pub is_extern: bool,
    /// Every definition, or every reference, is weak.
    pub is_weak: bool,
    /// Some definition is hidden.
    pub is_hidden: bool,
}

/// Global symbols by name.
pub(crate) type Globals<'a> = HashMap<&'a str, Global>;

/// Whether a symbol is a jump table: every object has its own of the same names.
pub(crate) fn is_jump_table(file: &File<'_>, symbol: &Symbol<'_>) -> bool {
    symbol.section.is_some_and(|s| file.section_name(s) == JUMP_TABLES)
}

/// Whether a symbol takes part in linking.
pub(crate) fn is_global(file: &File<'_>, symbol: &Symbol<'_>) -> bool {
    !is_jump_table(file, symbol)
        && !symbol.name.is_empty()
        && (symbol.is_extern || (symbol.is_global && symbol.section.is_some()))
}

/// Chooses among definitions: a strong one before weak ones, the first weak one otherwise.
pub(crate) fn resolve<'a>(inputs: &[Input<'a>], layout: &Layout) -> Result<Globals<'a>, ObjectError> {
    let mut globals = Globals::new();
    for (number, input) in inputs.iter().enumerate() {
        for (index, s) in input.file.symbols.iter().enumerate().filter(|(_, s)| is_global(&input.file, s)) {
            if s.section.is_some_and(|at| !layout.positions.contains_key(&(number, at))) {
                continue;
            }
            let new =
                Global { owner: (number, index), is_extern: s.is_extern, is_weak: s.is_weak, is_hidden: s.is_hidden };
            let Some(known) = globals.get_mut(s.name) else {
                globals.insert(s.name, new);
                continue;
            };
            let is_hidden = known.is_hidden || new.is_hidden;
            match (known.is_extern, new.is_extern) {
                (true, true) => known.is_weak &= new.is_weak,
                (false, true) => {}
                (true, false) => *known = new,
                (false, false) if !known.is_weak && !new.is_weak => {
                    return Err(refused(format!(
                        "conflicting non-weak symbol #{index} ({}) definition in '{}'",
                        s.name, input.file.name
                    )));
                }
                (false, false) if known.is_weak && !new.is_weak => *known = new,
                (false, false) => {}
            }
            known.is_hidden = is_hidden;
        }
    }
    Ok(globals)
}
