//! Equal types once: types are told apart in rounds, by themselves at first, then by what they refer to.

use crate::btf::{Btf, Kind, TypeId};
use rustc_hash::FxHashMap;

/// Rounds after which types that are still told apart by more rounds are left as they are.
const MAX_ROUNDS: usize = 64;

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

/// For each type, the first type that equals it. Variables, functions and sections only equal themselves.
pub(super) fn representatives(types: &[Vec<u32>]) -> Vec<TypeId> {
    let kinds: Vec<Kind> = types.iter().map(|w| Btf::kind_of_info(w[1])).collect();
    let mut class: Vec<u32> = vec![0; types.len() + 1];
    let mut count = 0;
    for round in 0..MAX_ROUNDS {
        let mut seen: FxHashMap<Vec<u32>, u32> = FxHashMap::default();
        let mut next = vec![0; types.len() + 1];
        for (i, words) in types.iter().enumerate() {
            let alone = matches!(kinds[i], Kind::Var | Kind::Func | Kind::Datasec);
            let key = if alone {
                vec![u32::MAX, i as u32]
            } else {
                let mut key = words.clone();
                for at in references(kinds[i], words[1] as usize & 0xffff).1 {
                    key[at] = if round == 0 { 0 } else { class[words[at] as usize] };
                }
                // What was told apart stays apart.
                key.push(class[i + 1]);
                key
            };
            let fresh = seen.len() as u32 + 1;
            next[i + 1] = *seen.entry(key).or_insert(fresh);
        }
        class = next;
        if seen.len() == count {
            let mut first = FxHashMap::default();
            let find = |i: usize| *first.entry(class[i]).or_insert(i as TypeId);
            return std::iter::once(0).chain((1..=types.len()).map(find)).collect();
        }
        count = seen.len();
    }
    (0..=types.len() as TypeId).collect()
}
