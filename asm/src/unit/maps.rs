//! Map declarations, as the loader reads them: variables in `.maps` whose type carries every attribute.

use super::object::Assembly;
use super::resolve::Thing;
use crate::text::declare::{Attribute, Declarator, MapDecl, MapValue};
use crate::text::statement::At;
use ebpfkit_abi::{MapTraits, MapType, map_flags};
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::write::NewMember;
use rustc_hash::FxHashMap;
use std::ops::Range;

const SECTION: &str = ".maps";
/// Only so many entries have initial values.
const MAX_VALUES: usize = 1 << 16;
/// Every attribute.
const ATTRIBUTES: [&str; 12] = [
    "key",
    "value",
    "key_size",
    "value_size",
    "max_entries",
    "flags",
    "map_flags",
    "map_extra",
    "numa_node",
    "pinning",
    "inner",
    "values",
];
/// Names of `LIBBPF_PIN_*`.
const PINNING: [&str; 2] = ["none", "by_name"];

/// The maps of a text, in its order.
#[derive(Default)]
pub(super) struct Maps<'t> {
    declared: Vec<MapDecl<'t>>,
    /// Type of each definition, by the map's name.
    definitions: FxHashMap<&'t str, TypeId>,
    /// What each map is, by its place among the declared ones.
    ready: FxHashMap<usize, Ready<'t>>,
}

/// A map whose type is known.
struct Ready<'t> {
    name: &'t str,
    /// Where the name stands.
    span: Range<usize>,
    definition: TypeId,
    /// Bytes of the definition, without values.
    size: u32,
    /// Values, and whether they are programs.
    values: Option<Vec<MapValue<'t>>>,
    programs: bool,
}

impl<'t> Maps<'t> {
    pub(super) fn add(&mut self, a: &mut Assembly<'t>, map: MapDecl<'t>, thing: Thing) {
        if a.claim(&map.name, thing) {
            self.declared.push(map);
        }
    }
}

/// Makes the type of one map.
fn define<'t>(a: &mut Assembly<'t>, maps: &mut Maps<'t>, index: usize, map: MapDecl<'t>) {
    let Some(kind) = MapType::from_name(map.kind.value).filter(|k| *k != MapType::Unspec) else {
        let names = MapType::ALL.iter().filter_map(|t| t.name());
        let help = a.suggest(map.kind.value, names);
        return a.problem(map.kind.span, format!("`{}` is no type of map", map.kind.value), help);
    };
    let mut definition = Definition { a, maps, kind, members: Vec::new(), values: None };
    let number = definition.a.types.number(kind.0);
    definition.member("type", number);
    let mut seen: Vec<&str> = Vec::new();
    for (name, items) in map.attributes {
        if seen.contains(&name.value) {
            definition.a.problem(name.span, format!("`{}` is given twice", name.value), None);
            continue;
        }
        if ATTRIBUTES.contains(&name.value) {
            seen.push(name.value);
        }
        definition.attribute(name, items);
    }
    let has = |names: [&str; 2]| names.iter().any(|n| seen.contains(n));
    // Indices are 32-bit numbers, whether that is written or not.
    if kind.is(MapTraits::INDEXED) && !has(["key", "key_size"]) {
        if matches!(kind, MapType::Array | MapType::PercpuArray) {
            // The kernel takes a value's type only with the key's.
            let index = definition.a.types.u32();
            let key = definition.a.types.pointer_to(index);
            definition.member("key", key);
        } else {
            definition.number("key_size", 4);
        }
    }
    if kind.is(MapTraits::NUMBERS) && !has(["value", "value_size"]) && !has(["inner", "values"]) {
        definition.number("value_size", 4);
    }
    definition.finish(index, map.name);
}

struct Definition<'a, 't> {
    a: &'a mut Assembly<'t>,
    maps: &'a mut Maps<'t>,
    kind: MapType,
    members: Vec<NewMember>,
    values: Option<Vec<MapValue<'t>>>,
}

impl<'t> Definition<'_, 't> {
    fn member(&mut self, name: &str, ty: TypeId) {
        let bit_offset = self.members.len() as u32 * 64;
        self.members.push(NewMember { name: name.to_owned(), ty, bit_offset });
    }

    fn number(&mut self, name: &str, n: u32) {
        let ty = self.a.types.number(n);
        self.member(name, ty);
    }

    fn attribute(&mut self, name: At<&'t str>, mut items: Vec<At<Attribute<'t>>>) {
        let span = items.first().zip(items.last()).map_or(name.span.clone(), |(a, b)| a.span.start..b.span.end);
        let single = if items.len() == 1 { items.pop() } else { None };
        match (name.value, single) {
            ("key" | "value", Some(At { value: Attribute::Type(declarator), .. })) => {
                if let Some(target) = self.typed(declarator) {
                    let ty = self.a.types.pointer_to(target);
                    self.member(name.value, ty);
                }
            }
            ("key" | "value", _) => {
                self.a.problem(span, "expected a type", Some("sizes go by `key_size` and `value_size`".into()))
            }
            ("key_size" | "value_size" | "max_entries" | "numa_node" | "map_extra", Some(item)) => {
                if let Some(n) = self.plain(item) {
                    self.number(name.value, n);
                }
            }
            ("pinning", Some(At { value: Attribute::Type(d), span })) => {
                match d.word().and_then(|w| PINNING.iter().position(|p| *p == w)) {
                    Some(n) => self.number("pinning", n as u32),
                    None => self.a.problem(span, "expected `by_name` or `none`", None),
                }
            }
            ("pinning", Some(item)) => {
                if let Some(n) = self.plain(item) {
                    self.number("pinning", n);
                }
            }
            ("flags" | "map_flags", single) => {
                items.extend(single);
                let flags = self.flags(items);
                self.number("map_flags", flags);
            }
            ("inner", Some(At { value: Attribute::Type(d), span })) => {
                let found = d.word().and_then(|w| self.maps.definitions.get(w).copied());
                match found {
                    Some(inner) => {
                        let pointer = self.a.types.pointer_to(inner);
                        let values = self.a.types.flexible(pointer);
                        self.member("values", values);
                    }
                    None => self.a.problem(span, "expected a map that holds no maps itself", None),
                }
            }
            ("values", Some(At { value: Attribute::Values(values), .. })) => self.values = Some(values),
            ("values", _) => self.a.problem(span, "expected a list such as `[a, b]` or `[0: a, 5: b]`", None),
            (known, _) if ATTRIBUTES.contains(&known) => self.a.problem(span, "expected one value", None),
            (unknown, _) => {
                let help = self.a.suggest(unknown, ATTRIBUTES);
                let help = help.or_else(|| Some(format!("the attributes are {}", ATTRIBUTES.join(", "))));
                self.a.problem(name.span, format!("`{unknown}` is no attribute of maps"), help);
            }
        }
    }

    fn typed(&mut self, declarator: Declarator<'t>) -> Option<TypeId> {
        let ty = self.a.with_context(|cx| declarator.resolve(cx, false)).ty?;
        self.a.types.layout(&ty)?;
        Some(self.a.types.id(&ty))
    }

    fn plain(&mut self, item: At<Attribute<'t>>) -> Option<u32> {
        let number = match &item.value {
            Attribute::Number(n) => Some(i128::from(*n)),
            Attribute::Type(d) => d.word().and_then(|w| self.a.layout.constants.get(w).copied()),
            Attribute::Values(_) => None,
        };
        let Some(number) = number else {
            self.a.problem(item.span, "expected a number", None);
            return None;
        };
        // The loader reads the number from the length of an array.
        let fits = u32::try_from(number).ok();
        if fits.is_none() {
            self.a.problem(item.span, format!("{number} does not fit in 32 bits"), None);
        }
        fits
    }

    fn flags(&mut self, items: Vec<At<Attribute<'t>>>) -> u32 {
        let mut flags = 0;
        for item in items {
            if let Attribute::Type(d) = &item.value
                && let Some(word) = d.word()
                && !self.a.layout.constants.contains_key(word)
            {
                match map_flags::find(word) {
                    Some(flag) => flags |= flag,
                    None => {
                        let help = self.a.suggest(word, map_flags::all().map(|f| f.0));
                        self.a.problem(item.span, format!("`{word}` is no flag of maps"), help);
                    }
                }
                continue;
            }
            flags |= self.plain(item).unwrap_or(0);
        }
        flags
    }

    fn finish(mut self, index: usize, name: At<&'t str>) {
        let programs = self.kind == MapType::ProgArray;
        if let Some(values) = &self.values {
            if values.len() > MAX_VALUES
                || values.iter().any(|v| v.index.as_ref().is_some_and(|i| i.value >= MAX_VALUES as u64))
            {
                self.a.problem(name.span.clone(), "only the first 65536 entries have initial values", None);
                return;
            }
            if !self.members.iter().any(|m| m.name == "values") {
                let target = if programs {
                    self.a.types.btf.func_proto(0, &[])
                } else {
                    let first = values.first().and_then(|v| self.maps.definitions.get(v.name.value).copied());
                    let Some(inner) = first else {
                        let help = Some("`inner=MAP` names a map that all of them are like".into());
                        return self.a.problem(name.span, "the first value is no map that is like the others", help);
                    };
                    inner
                };
                let pointer = self.a.types.pointer_to(target);
                let array = self.a.types.flexible(pointer);
                self.member("values", array);
            }
        }
        // The flexible array of values comes last.
        self.members.sort_by_key(|m| m.name == "values");
        let mut size = 0;
        for m in &mut self.members {
            m.bit_offset = size * 8;
            size += if m.name == "values" { 0 } else { 8 };
        }
        let definition = self.a.types.btf.composite(false, "", size, &self.members);
        self.maps.definitions.insert(name.value, definition);
        let ready = Ready { name: name.value, span: name.span, definition, size, values: self.values, programs };
        self.maps.ready.insert(index, ready);
    }
}

/// Places every map and links initial values, when everything is declared.
pub(super) fn finish<'t>(a: &mut Assembly<'t>, mut maps: Maps<'t>) {
    let refers = |m: &MapDecl<'_>| m.attributes.iter().any(|a| matches!(a.0.value, "inner" | "values"));
    // Those that others may be made of come first.
    let (outer, plain): (Vec<_>, Vec<_>) =
        std::mem::take(&mut maps.declared).into_iter().enumerate().partition(|(_, m)| refers(m));
    let count = outer.len() + plain.len();
    for (index, map) in plain.into_iter().chain(outer) {
        define(a, &mut maps, index, map);
    }
    for index in 0..count {
        let Some(ready) = maps.ready.remove(&index) else { continue };
        if a.things.get(ready.name) == Some(&Thing::Inner) {
            continue;
        }
        let var = a.types.btf.var(ready.name, ready.definition, 1);
        let mut slots_of = Vec::new();
        let mut next = 0;
        for value in ready.values.unwrap_or_default() {
            let at = value.index.map_or(next, |i| i.value as usize);
            next = at + 1;
            slots_of.push((at, value.name));
        }
        let slots = slots_of.iter().map(|p| p.0 + 1).max().unwrap_or(0);
        let size = ready.size as usize + 8 * slots;
        if !a.takes(size as u64, &ready.span) {
            continue;
        }
        let bytes = vec![0; size];
        let start = a.add_data(SECTION, ready.name, &bytes, 8, var) as usize + ready.size as usize;
        for (at, name) in slots_of {
            let found = if ready.programs {
                a.layout.function(name.value).is_some_and(|f| a.layout.functions[f].global)
            } else {
                a.things.get(name.value) == Some(&Thing::Map)
            };
            if found {
                a.add_data_reloc(SECTION, start + 8 * at, name.value);
            } else {
                let kind = if ready.programs { "program" } else { "map" };
                a.problem(name.span, format!("there is no {kind} `{}`", name.value), None);
            }
        }
    }
}
