//! Externs: variables and functions that the object expects of the kernel (`__kconfig`, `__ksym`).

use super::elf::{File, refused};
use crate::btf::{Btf, Kind, Type, TypeId, essential};
use crate::model::{ConfigForm, Extern, ExternKind, ObjectError};
use std::collections::HashMap;

/// Data section of configuration values in BTF.
pub(crate) const KCONFIG: &str = ".kconfig";
/// Data section of kernel variables and functions in BTF.
pub(crate) const KSYMS: &str = ".ksyms";

/// The externs of an object.
#[derive(Default)]
pub(crate) struct Externs {
    /// In libbpf's order.
    pub list: Vec<Extern>,
    /// Extern by symbol.
    pub by_symbol: HashMap<usize, usize>,
    /// Bytes of the `.kconfig` map; zero when there is none.
    pub config_size: u32,
}

struct Found {
    symbol: usize,
    item: Extern,
    align: u32,
}

/// Finds the externs among the symbols and their types.
pub(crate) fn collect(file: &File<'_>, btf: Option<&Btf>) -> Result<Externs, ObjectError> {
    let mut found = Vec::new();
    let mut declared = None;
    for (symbol, s) in file.symbols.iter().enumerate().filter(|(_, s)| s.is_extern && !s.name.is_empty()) {
        let missing = |error: i32| refused(format!("failed to find BTF for extern '{}': {error}", s.name));
        let Some(btf) = btf else { return Err(missing(-3)) };
        let declared = declared.get_or_insert_with(|| Declared::new(btf));
        let btf_id = match declared.by_name.get(s.name) {
            Some(&(id, true)) => id,
            Some(_) => return Err(missing(-22)),
            None => return Err(missing(-2)),
        };
        let Some(&section) = declared.sections.get(&btf_id) else {
            return Err(refused(format!("failed to find BTF for extern '{}' [{btf_id}] section: -2", s.name)));
        };
        let (kind, align) = match btf.name(section) {
            KCONFIG => config(btf, s.name, btf_id)?,
            KSYMS => (ksym(btf, btf_id), 0),
            other => return Err(refused(format!("unrecognized extern section '{other}'"))),
        };
        found.push(Found { symbol, item: Extern { name: s.name.to_owned(), btf_id, is_weak: s.is_weak, kind }, align });
    }
    // Configuration first, by alignment and size so that no gaps arise; then by name.
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut externs = Externs::default();
    let mut end = 0u32;
    for f in &mut found {
        if let ExternKind::Config { offset, size, .. } = &mut f.item.kind {
            let sum = end.checked_next_multiple_of(f.align.max(1)).and_then(|at| Some((at, at.checked_add(*size)?)));
            let Some((at, next)) = sum else {
                return Err(refused(format!("extern (kcfg) '{}': .kconfig is too large", f.item.name)));
            };
            (*offset, end) = (at, next);
        }
    }
    externs.config_size = end;
    for (index, f) in found.into_iter().enumerate() {
        externs.by_symbol.insert(f.symbol, index);
        externs.list.push(f.item);
    }
    Ok(externs)
}

fn order(f: &Found) -> (bool, std::cmp::Reverse<u32>, u32, &str) {
    match f.item.kind {
        ExternKind::Config { size, .. } => (false, std::cmp::Reverse(f.align), size, &f.item.name),
        _ => (true, std::cmp::Reverse(0), 0, &f.item.name),
    }
}

/// What BTF says of variables, functions and the data sections that they stand in.
struct Declared<'a> {
    /// First variable or function of a name; whether it is extern.
    by_name: HashMap<&'a str, (TypeId, bool)>,
    /// Data section of a variable or function.
    sections: HashMap<TypeId, TypeId>,
}

impl<'a> Declared<'a> {
    fn new(btf: &'a Btf) -> Self {
        let (mut by_name, mut sections) = (HashMap::new(), HashMap::new());
        for id in 1..btf.len() {
            match btf.get(id) {
                Some(Type::Var { linkage, .. }) => {
                    by_name.entry(btf.name(id)).or_insert((id, linkage == 2));
                }
                Some(Type::Func { linkage, .. }) => {
                    by_name.entry(btf.name(id)).or_insert((id, linkage == 2));
                }
                Some(Type::Datasec { .. }) => {
                    for var in btf.sec_vars(id) {
                        sections.entry(var.ty).or_insert(id);
                    }
                }
                _ => {}
            }
        }
        Self { by_name, sections }
    }
}

fn ksym(btf: &Btf, id: TypeId) -> ExternKind {
    match btf.get(id) {
        Some(Type::Func { proto, .. }) => ExternKind::Function { proto: btf.resolve(proto) },
        Some(Type::Var { ty, .. }) => ExternKind::Variable { type_id: btf.resolve(ty) },
        _ => ExternKind::Variable { type_id: 0 },
    }
}

/// A configuration value and its alignment.
fn config(btf: &Btf, name: &str, id: TypeId) -> Result<(ExternKind, u32), ObjectError> {
    let Some(Type::Var { ty, .. }) = btf.get(id) else {
        return Err(refused(format!("extern function {name} is unsupported under {KCONFIG} section")));
    };
    let Some(size) = btf.size_of(ty).filter(|&s| s > 0) else {
        return Err(refused(format!("failed to resolve size of extern (kcfg) '{name}': -22")));
    };
    let Some(align) = btf.align_of(ty) else {
        return Err(refused(format!("failed to determine alignment of extern (kcfg) '{name}': -22")));
    };
    let Some(form) = config_form(btf, ty) else {
        return Err(refused(format!("extern (kcfg) '{name}': type is unsupported")));
    };
    Ok((ExternKind::Config { offset: 0, size, form }, align))
}

fn config_form(btf: &Btf, ty: TypeId) -> Option<ConfigForm> {
    let ty = btf.resolve(ty);
    match btf.get(ty)? {
        Type::Int { size, encoding } if encoding.bool => (size == 1).then_some(ConfigForm::Bool),
        Type::Int { size: 1, encoding } => Some(ConfigForm::Char { signed: encoding.signed }),
        Type::Int { size: 2 | 4 | 8, encoding } => Some(ConfigForm::Int { signed: encoding.signed }),
        Type::Enum { size: 4, .. } | Type::Enum64 { .. } => {
            (essential(btf.name(ty)) == "libbpf_tristate").then_some(ConfigForm::Tristate)
        }
        Type::Array { elem, len, .. } if len > 0 => {
            let elem = btf.resolve(elem);
            let is_char = btf.kind(elem) == Some(Kind::Int) && btf.size_of(elem) == Some(1);
            (is_char && !matches!(config_form(btf, elem), Some(ConfigForm::Bool))).then_some(ConfigForm::Text)
        }
        _ => None,
    }
}
