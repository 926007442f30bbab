//! Equal types once, as `bpftool gen object` has them.
//!
//! Types that may be equal begin in one class, and classes are split while their types refer to different ones. What is
//! left together is equal, also where types refer to each other in circles. A declaration (`struct s;`) stands for the
//! one definition of its name, so that an object that only declares a struct does not keep all that refers to it apart.

use crate::btf::{Btf, Kind, TypeId};
use rustc_hash::FxHashMap;

/// Splits of classes after which types that are still being told apart are left as they are.
const MAX_SPLITS: usize = 64;
/// Attempts to take declarations for definitions. Each one without those that turned out to have several.
const MAX_ATTEMPTS: usize = 8;

/// Positions in a type's words of offsets of strings and of numbers of types.
pub(super) fn references(kind: Kind, len: usize) -> (Vec<usize>, Vec<usize>) {
    let mut names = vec![0];
    let mut types = Vec::new();
    match kind {
        Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => types.push(2),
        Kind::Func | Kind::Var | Kind::DeclTag => types.push(2),
        Kind::Array => types.extend([3, 4]),
        Kind::Struct | Kind::Union => {
            names.extend((0..len).map(|i| 3 + 3 * i));
            types.extend((0..len).map(|i| 4 + 3 * i));
        }
        Kind::Enum => names.extend((0..len).map(|i| 3 + 2 * i)),
        Kind::Enum64 => names.extend((0..len).map(|i| 3 + 3 * i)),
        Kind::FuncProto => {
            types.push(2);
            names.extend((0..len).map(|i| 3 + 2 * i));
            types.extend((0..len).map(|i| 4 + 2 * i));
        }
        Kind::Datasec => types.extend((0..len).map(|i| 3 + 3 * i)),
        Kind::Void | Kind::Int | Kind::Fwd | Kind::Float => {}
    }
    (names, types)
}

/// What declares and defines a type: the offset of its name, and what kind of thing it is.
type Name = (u32, Kind);

/// Types with what deciding about them needs.
struct Types<'a> {
    words: &'a [Vec<u32>],
    kinds: Vec<Kind>,
    /// Definitions by name, in their order.
    definitions: FxHashMap<Name, Vec<TypeId>>,
    /// Declarations with what they declare.
    declarations: Vec<(TypeId, Name)>,
}

impl<'a> Types<'a> {
    fn new(words: &'a [Vec<u32>]) -> Self {
        let kinds: Vec<Kind> = words.iter().map(|w| Btf::kind_of_info(w[1])).collect();
        let mut definitions: FxHashMap<Name, Vec<TypeId>> = FxHashMap::default();
        let mut declarations = Vec::new();
        for (id, (w, &kind)) in (1..).zip(words.iter().zip(&kinds)) {
            let (name, count) = (w[0], w[1] & 0xffff);
            match kind {
                _ if name == 0 => {}
                Kind::Fwd if w[1] >> 31 != 0 => declarations.push((id, (name, Kind::Union))),
                Kind::Fwd => declarations.push((id, (name, Kind::Struct))),
                // An enumeration without values is a declaration too, and its width is not known.
                Kind::Enum if count == 0 => declarations.push((id, (name, Kind::Enum))),
                Kind::Enum64 => definitions.entry((name, Kind::Enum)).or_default().push(id),
                Kind::Struct | Kind::Union | Kind::Enum => definitions.entry((name, kind)).or_default().push(id),
                _ => {}
            }
        }
        Self { words, kinds, definitions, declarations }
    }

    /// Class of each type when the declarations stand for what `stands_for` says; `None` when there is no end to it.
    fn classes(&self, stands_for: &[TypeId]) -> Option<Vec<u32>> {
        let mut class: Vec<u32> = vec![0; self.words.len() + 1];
        let mut count = 0;
        for split in 0..MAX_SPLITS {
            let mut seen: FxHashMap<Vec<u32>, u32> = FxHashMap::default();
            let mut next = vec![0; self.words.len() + 1];
            for (i, words) in self.words.iter().enumerate() {
                let id = i + 1;
                if stands_for[id] as usize != id {
                    continue;
                }
                // Variables and sections only equal themselves.
                let key = if matches!(self.kinds[i], Kind::Var | Kind::Datasec) {
                    vec![u32::MAX, i as u32]
                } else {
                    let mut key = words.clone();
                    for at in references(self.kinds[i], words[1] as usize & 0xffff).1 {
                        key[at] = if split == 0 { 0 } else { class[stands_for[words[at] as usize] as usize] };
                    }
                    // What was told apart stays apart.
                    key.push(class[id]);
                    key
                };
                let fresh = seen.len() as u32 + 1;
                next[id] = *seen.entry(key).or_insert(fresh);
            }
            for id in 1..next.len() {
                next[id] = next[stands_for[id] as usize];
            }
            class = next;
            if seen.len() == count {
                return Some(class);
            }
            count = seen.len();
        }
        None
    }
}

/// For each type, the type that stands for it: the first one that equals it, and for a declaration its definition.
pub(super) fn representatives(words: &[Vec<u32>]) -> Vec<TypeId> {
    let types = Types::new(words);
    let itself: Vec<TypeId> = (0..=words.len() as TypeId).collect();
    let mut open = types.declarations.clone();
    open.retain(|(_, name)| types.definitions.contains_key(name));
    for attempt in 0..=MAX_ATTEMPTS {
        let mut stands_for = itself.clone();
        if attempt == MAX_ATTEMPTS {
            open.clear();
        }
        for (id, name) in &open {
            stands_for[*id as usize] = types.definitions[name][0];
        }
        let Some(class) = types.classes(&stands_for) else { return itself };
        // A name with definitions that differ says nothing of which one is declared.
        let before = open.len();
        open.retain(|(_, name)| {
            let all = &types.definitions[name];
            all.iter().all(|id| class[*id as usize] == class[all[0] as usize])
        });
        if open.len() == before {
            let mut first: FxHashMap<u32, TypeId> = FxHashMap::default();
            // Definitions before the declarations that stand for them.
            for id in (1..itself.len()).filter(|&id| stands_for[id] as usize == id) {
                first.entry(class[id]).or_insert(id as TypeId);
            }
            return std::iter::once(0).chain((1..itself.len()).map(|id| first[&class[id]])).collect();
        }
    }
    itself
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: Kind, len: u32) -> u32 {
        (kind as u32) << 24 | len
    }

    /// A struct of one pointer, with names `s` and `p`.
    fn node(name: u32, size: u32, pointer: u32) -> Vec<u32> {
        vec![name, info(Kind::Struct, 1), size, 7, pointer, 0]
    }

    #[test]
    fn circles_are_equal() {
        // Two lists of their own: struct 1 { ptr 2 to 1 }, struct 3 { ptr 4 to 3 }.
        let types = [node(5, 8, 2), vec![0, info(Kind::Ptr, 0), 1], node(5, 8, 4), vec![0, info(Kind::Ptr, 0), 3]];
        assert_eq!(representatives(&types), [0, 1, 2, 1, 2]);
    }

    #[test]
    fn declarations_stand_for_the_one_definition() {
        // Pointers to a declaration and to its definition, and what holds them.
        let declared = vec![5, info(Kind::Fwd, 0), 0];
        let types = [
            declared.clone(),
            vec![0, info(Kind::Ptr, 0), 1],
            node(9, 8, 2),
            node(5, 8, 5),
            vec![0, info(Kind::Ptr, 0), 4],
            node(9, 8, 5),
        ];
        assert_eq!(representatives(&types), [0, 4, 2, 3, 4, 2, 3]);
        // With two definitions it is not known which one is meant.
        let types = [declared, vec![0, info(Kind::Ptr, 0), 1], node(5, 8, 2), node(5, 16, 2)];
        assert_eq!(representatives(&types), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn functions_of_one_type_are_equal() {
        let proto = vec![0, info(Kind::FuncProto, 0), 0];
        let types = [proto.clone(), vec![5, info(Kind::Func, 0), 1], proto, vec![5, info(Kind::Func, 0), 3]];
        assert_eq!(representatives(&types), [0, 1, 2, 1, 2]);
    }
}
