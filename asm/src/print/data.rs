//! Maps, variables and externs as directives.

use super::ctype::{Types, quote};
use super::names::Names;
use ebpfkit_abi::{MapType, map_flags};
use ebpfkit_object::btf::{Kind, Type};
use ebpfkit_object::model::ExternKind;
use ebpfkit_object::{Map, MapInit, Object};

/// A stretch of a section of data, with the name it is known by.
#[derive(Clone, Debug)]
struct Piece {
    name: String,
    start: u32,
    len: u32,
    /// Its type in BTF; zero for what has none.
    ty: u32,
}

/// The sections of data, cut into variables.
pub(super) struct Data {
    /// For each map of the object, its pieces.
    pieces: Vec<Vec<Piece>>,
}

impl Data {
    pub(super) fn new(object: &Object, names: &mut Names) -> Self {
        let mut of = |m| {
            let mut all = pieces(object, m);
            all.iter_mut().for_each(|p| p.name = names.unique(&p.name));
            all
        };
        Self { pieces: object.maps.iter().map(&mut of).collect() }
    }

    /// How a place in a map's value is called, such as `counter + 0x4`.
    pub(super) fn name(&self, map: usize, off: u32) -> Option<String> {
        let all = self.pieces.get(map)?;
        // They do not overlap.
        let p = all.get(all.partition_point(|p| p.start <= off).checked_sub(1)?)?;
        Some(if off == p.start { p.name.clone() } else { format!("{} + {:#x}", p.name, off - p.start) })
    }
}

/// Section of the global variables of an arena.
const ARENA: &str = ".addr_space.1";

/// The section whose variables a map holds, and their bytes.
fn section(map: &Map) -> Option<(&str, &[u8])> {
    match &map.init {
        MapInit::Data(bytes) if map.map_type == MapType::Arena => Some((ARENA, bytes)),
        MapInit::Data(bytes) if !map.section.is_empty() && map.section != ".kconfig" => Some((&map.section, bytes)),
        _ => None,
    }
}

fn pieces(object: &Object, map: &Map) -> Vec<Piece> {
    let Some((section, bytes)) = section(map) else { return Vec::new() };
    let mut vars: Vec<Piece> = Vec::new();
    if let Some(btf) = &object.btf {
        let known = if section == ARENA { btf.find(ARENA, Kind::Datasec).unwrap_or(0) } else { map.value_type };
        for v in btf.sec_vars(known) {
            let Some(Type::Var { ty, .. }) = btf.get(v.ty) else { continue };
            vars.push(Piece { name: btf.name(v.ty).to_owned(), start: v.offset, len: v.size, ty });
        }
    }
    vars.sort_by_key(|p| p.start);
    // What no variable covers gets a name of its own.
    let plain: String = section.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let gap = |start: u32, end: u32| Piece { name: format!("_{plain}_{start:x}"), start, len: end - start, ty: 0 };
    let (mut all, mut end) = (Vec::new(), 0);
    for p in vars {
        if p.start > end {
            all.push(gap(end, p.start));
        }
        if p.start >= end && p.len > 0 {
            end = p.start.saturating_add(p.len);
            all.push(p);
        }
    }
    if end < bytes.len() as u32 {
        all.push(gap(end, bytes.len() as u32));
    }
    all
}

/// Every declaration of an object but its functions.
pub(super) fn declarations(object: &Object, data: &Data, names: &mut Names) -> String {
    let mut text = String::new();
    if !object.license.is_empty() {
        text += &format!(".license {}\n", quote(&object.license));
    }
    let empty = ebpfkit_object::Btf::default();
    let btf = object.btf.as_deref().unwrap_or(&empty);
    let mut types = Types::new(btf);
    let maps: Vec<String> =
        object.maps.iter().filter(|m| m.section.is_empty()).map(|m| map(object, m, &mut types, names)).collect();
    let mut vars = Vec::new();
    for (m, pieces) in object.maps.iter().zip(&data.pieces) {
        if let Some((section, bytes)) = section(m) {
            vars.extend(pieces.iter().map(|p| variable(section, p, bytes, &mut types)));
        }
    }
    let externs: Vec<String> = object.externs.iter().filter_map(|e| external(e, &mut types)).collect();
    for id in types.needed.clone() {
        text += &format!("\n{}", types.definition(id));
    }
    for declarations in [maps, vars, externs] {
        if !declarations.is_empty() {
            text += &format!("\n{}\n", declarations.join("\n"));
        }
    }
    for m in object.maps.iter().filter(|m| m.section.starts_with(".struct_ops") || m.section == "?.struct_ops") {
        text += &format!("\n; struct_ops map {} has no form as text\n", m.name);
    }
    text
}

fn map(object: &Object, m: &Map, types: &mut Types<'_>, names: &mut Names) -> String {
    let mut text = format!(".map {} {}", m.name, m.map_type);
    for (word, ty, size) in [("key", m.key_type, m.key_size), ("value", m.value_type, m.value_size)] {
        let inner = word == "value" && (m.inner.is_some() || matches!(m.init, MapInit::Programs(_) | MapInit::Maps(_)));
        if ty != 0
            && let Some(ty) = types.declare(ty, "", true)
        {
            text += &format!(" {word}={ty}");
        } else if size != 0 && !inner {
            text += &format!(" {word}_size={size}");
        }
    }
    let numbers = [("max_entries", m.max_entries), ("map_extra", m.extra as u32), ("numa_node", m.numa_node)];
    for (word, n) in numbers.into_iter().filter(|n| n.1 != 0) {
        text += &format!(" {word}={n}");
    }
    if m.flags != 0 {
        let mut rest = m.flags;
        let mut names: Vec<String> = Vec::new();
        for (name, flag) in map_flags::all() {
            if rest & flag != 0 {
                rest &= !flag;
                names.push(name.into());
            }
        }
        if rest != 0 {
            names.push(format!("{rest:#x}"));
        }
        text += &format!(" flags={}", names.join("|"));
    }
    if m.pinning == 1 {
        text += " pinning=by_name";
    }
    if let Some(inner) = &m.inner {
        // A map that is like the template stands for it, if there is one.
        let like = |o: &&Map| {
            o.section.is_empty()
                && (o.map_type, o.key_size, o.value_size, o.max_entries, o.flags)
                    == (inner.map_type, inner.key_size, inner.value_size, inner.max_entries, inner.flags)
        };
        let other = object.maps.iter().find(like).filter(|o| o.name != m.name).map(|o| o.name.clone());
        let name = other.unwrap_or_else(|| {
            let name = names.unique(&format!("{}_inner", m.name));
            let template = Map { name: name.clone(), inner: None, ..(**inner).clone() };
            let declared = map(object, &template, types, names);
            text = format!("{}\n{text}", declared.replacen(".map", ".inner", 1));
            name
        });
        text += &format!(" inner={name}");
    }
    let list = |slots: Vec<(u32, &str)>| {
        let items: Vec<String> = slots.into_iter().map(|(i, name)| format!("{i}: {name}")).collect();
        if items.is_empty() { String::new() } else { format!(" values=[{}]", items.join(", ")) }
    };
    text += &match &m.init {
        MapInit::Maps(slots) => {
            list(slots.iter().filter_map(|&(i, m)| Some((i, object.maps.get(m)?.name.as_str()))).collect())
        }
        MapInit::Programs(slots) => {
            list(slots.iter().filter_map(|&(i, p)| Some((i, object.programs.get(p)?.name.as_str()))).collect())
        }
        _ => String::new(),
    };
    text
}

fn variable(section: &str, p: &Piece, bytes: &[u8], types: &mut Types<'_>) -> String {
    let bytes = bytes.get(p.start as usize..(p.start + p.len) as usize).unwrap_or_default();
    let zero = bytes.iter().all(|&b| b == 0);
    // A section of another name than its kind is begun and left again.
    let word = match section {
        ".data" | ".rodata" | ".bss" => section.to_owned(),
        other => format!(".section {other}\n.var"),
    };
    if p.ty != 0
        && let Some(value) =
            if zero { Some(String::new()) } else { types.value(p.ty, bytes, 0).map(|v| format!(" = {v}")) }
        && types.btf.size_of(p.ty) == Some(p.len)
        && let Some(declared) = types.declare(p.ty, &p.name, true)
    {
        return format!("{word} {declared}{value}");
    }
    let value = if zero {
        String::new()
    } else {
        format!(" = {{{}}}", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", "))
    };
    format!("{word} u8 {}[{}]{value}", p.name, p.len)
}

fn external(e: &ebpfkit_object::model::Extern, types: &mut Types<'_>) -> Option<String> {
    let weak = if e.is_weak { "weak " } else { "" };
    let of_var = |types: &mut Types<'_>| {
        let Some(Type::Var { ty, .. }) = types.btf.get(e.btf_id) else { return None };
        types.declare(ty, &e.name, false)
    };
    Some(match e.kind {
        ExternKind::Function { proto } => format!(".kfunc {weak}{}", function(proto, &e.name, types)?),
        // The loader has put another type in the place of the variable's own.
        ExternKind::Variable { type_id } => format!(".ksym {weak}{}", types.declare(type_id, &e.name, false)?),
        ExternKind::Config { .. } => format!(".kconfig {weak}{}", of_var(types)?),
    })
}

/// A function as it is declared.
pub(super) fn function(proto: u32, name: &str, types: &mut Types<'_>) -> Option<String> {
    let Some(Type::FuncProto { ret, .. }) = types.btf.get(proto) else { return None };
    let result = types.declare(ret, name, false)?;
    let btf = types.btf;
    let mut params = Vec::new();
    for p in btf.params(proto) {
        // An array stands for a pointer.
        let ty = if btf.kind(btf.resolve(p.ty)) == Some(Kind::Array) { 0 } else { p.ty };
        if ty == 0 {
            params.push(format!("void *{}", p.name));
        } else {
            params.push(types.declare(ty, p.name, false)?);
        }
    }
    let list = if params.is_empty() { "void".into() } else { params.join(", ") };
    Some(format!("{result}({list})"))
}
