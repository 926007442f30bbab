//! What the compiler leaves open in BTF and the loader fills in: places of variables, sizes of sections, and externs
//! turned into variables that the kernel accepts.

use super::elf::{File, Symbol, refused};
use super::externs::{Externs, KCONFIG, KSYMS};
use crate::btf::{Btf, Edit, Kind, SecVar, Type, TypeId};
use crate::model::{ExternKind, ObjectError};
use std::collections::{HashMap, HashSet};

/// Linkage of a variable or function in BTF.
const STATIC: u32 = 0;
const GLOBAL: u32 = 1;
const EXTERN: u32 = 2;
/// Size that externs of the kernel pretend to have.
const KSYM_SIZE: u32 = 4;

struct Fixer<'a, 'b> {
    file: &'a File<'a>,
    btf: &'a Btf,
    edit: Edit<'a>,
    externs: &'b Externs,
    by_name: HashMap<&'b str, usize>,
}

/// Completes the types for the kernel.
pub(crate) fn apply(file: &File<'_>, btf: &Btf, externs: &Externs) -> Result<Btf, ObjectError> {
    let by_name = externs.list.iter().enumerate().map(|(i, e)| (e.name.as_str(), i)).collect();
    let mut fixer = Fixer { file, btf, edit: Edit::new(btf), externs, by_name };
    let sections: Vec<TypeId> = (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Datasec)).collect();
    let variables: HashMap<&str, &Symbol<'_>> =
        file.symbols.iter().filter(|s| s.is_object && s.is_global).map(|s| (s.name, s)).collect();
    for id in sections {
        let mut vars: Vec<SecVar> = btf.sec_vars(id).collect();
        match btf.name(id) {
            // libbpf leaves these alone when no symbol refers to them.
            KSYMS if fixer.uses(false) => fixer.ksyms(id, &mut vars)?,
            KCONFIG if fixer.uses(true) => fixer.config(id, &mut vars)?,
            KSYMS | KCONFIG => {}
            _ => fixer.data(id, &mut vars, &variables)?,
        }
        // In place: libbpf's order, stable for equal offsets.
        vars.sort_by_key(|v| v.offset);
        for (i, v) in vars.iter().enumerate() {
            for (word, value) in [(0, v.ty), (1, v.offset), (2, v.size)] {
                fixer.edit.set(id, 3 + 3 * i + word, value);
            }
        }
    }
    fixer.edit.finish().map_err(|e| refused(format!("Error loading ELF section .BTF: {e}")))
}

impl Fixer<'_, '_> {
    /// Whether there are externs of the configuration, or of the kernel's symbols.
    fn uses(&self, config: bool) -> bool {
        self.externs.list.iter().any(|e| matches!(e.kind, ExternKind::Config { .. }) == config)
    }

    /// Every extern of the kernel becomes a four-byte variable.
    fn ksyms(&mut self, id: TypeId, vars: &mut [SecVar]) -> Result<(), ObjectError> {
        let int = (1..self.btf.len())
            .find(|&i| matches!(self.btf.get(i), Some(Type::Int { encoding, .. }) if encoding.bits == 32))
            .unwrap_or(0);
        let is_func = |v: &SecVar| self.btf.kind(v.ty) == Some(Kind::Func);
        let mut dummy = (0, 0);
        if vars.iter().any(is_func) {
            let name = self.edit.add_string("dummy_ksym");
            let info = (Kind::Var as u32) << 24;
            dummy = (self.edit.add_type(&[name, info, int, GLOBAL]), name);
        }
        for (i, v) in vars.iter_mut().enumerate() {
            let name = self.btf.name(v.ty);
            if !self.by_name.contains_key(name) {
                let kind = if self.btf.kind(v.ty) == Some(Kind::Func) { "func" } else { "var" };
                return Err(refused(format!("failed to find extern definition for BTF {kind} '{name}'")));
            }
            if let Some(Type::Func { proto, .. }) = self.btf.get(v.ty) {
                for (j, p) in self.btf.params(proto).enumerate() {
                    if p.ty != 0 && p.name.is_empty() {
                        self.edit.set(proto, 3 + 2 * j, dummy.1);
                    }
                }
                self.edit.set_func_linkage(v.ty, GLOBAL as u16);
                v.ty = dummy.0;
            } else {
                self.edit.set(v.ty, 2, int);
                self.edit.set(v.ty, 3, GLOBAL);
            }
            (v.offset, v.size) = (i as u32 * KSYM_SIZE, KSYM_SIZE);
        }
        self.edit.set(id, 2, vars.len() as u32 * KSYM_SIZE);
        Ok(())
    }

    /// Externs of the configuration become variables of the `.kconfig` map.
    fn config(&mut self, id: TypeId, vars: &mut [SecVar]) -> Result<(), ObjectError> {
        for v in vars {
            let name = self.btf.name(v.ty);
            let found = self.by_name.get(name).map(|&i| self.externs.list[i].kind);
            let Some(ExternKind::Config { offset, .. }) = found else {
                return Err(refused(format!("failed to find extern definition for BTF var '{name}'")));
            };
            self.edit.set(v.ty, 3, GLOBAL);
            v.offset = offset;
        }
        self.edit.set(id, 2, self.externs.config_size);
        Ok(())
    }

    /// Sizes and offsets that only the ELF file knows; hidden variables become static.
    fn data(
        &mut self,
        id: TypeId,
        vars: &mut [SecVar],
        symbols: &HashMap<&str, &Symbol<'_>>,
    ) -> Result<(), ObjectError> {
        let section = self.btf.name(id);
        let mut open = false;
        if let Some(Type::Datasec { size: 0, .. }) = self.btf.get(id) {
            let size = self.file.find(section).map_or(0, |s| self.file.sections[s].size);
            let Some(size) = u32::try_from(size).ok().filter(|&s| s > 0) else {
                return Err(refused(format!("sec '{section}': failed to determine size from ELF: size {size}, err 0")));
            };
            self.edit.set(id, 2, size);
            open = true;
        }
        let mut seen = HashSet::new();
        for (i, v) in vars.iter_mut().enumerate() {
            let Some(Type::Var { linkage, .. }) = self.btf.get(v.ty) else {
                return Err(refused(format!("sec '{section}': unexpected non-VAR type found")));
            };
            if linkage == STATIC || linkage == EXTERN || !seen.insert(v.ty) {
                continue;
            }
            let name = self.btf.name(v.ty);
            if name.is_empty() {
                return Err(refused(format!("sec '{section}': failed to find name of DATASEC's member #{i}")));
            }
            let Some(symbol) = symbols.get(name) else {
                return Err(refused(format!("sec '{section}': failed to find ELF symbol for VAR '{name}'")));
            };
            if open {
                v.offset = symbol.value as u32;
            }
            if symbol.is_hidden {
                self.edit.set(v.ty, 3, STATIC);
            }
        }
        Ok(())
    }
}
