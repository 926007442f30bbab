//! Joining types, and the records that refer to them.

use super::check::declared;
use super::dedup::{references, representatives};
use super::symbols::Globals;
use super::{Input, Layout};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::model::ObjectError;
use crate::read::elf::malformed;
use crate::strings::Strings;
use ebpfkit_isa::{Endian, Insn};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Types of all inputs together that are believed.
const MAX_TYPES: usize = 1 << 22;

/// Types being joined: words of each, and what became of each input's numbers.
struct Merge<'a> {
    inputs: &'a [Input<'a>],
    strings: Strings,
    types: Vec<Vec<u32>>,
    numbers: Vec<HashMap<TypeId, TypeId>>,
    /// By number: whether another type stands for this one.
    left_out: Vec<bool>,
}

/// The joined `.BTF` and `.BTF.ext`; empty when no input has types.
pub(crate) fn merge(
    inputs: &[Input<'_>],
    layout: &Layout,
    globals: &Globals<'_>,
) -> Result<(Vec<u8>, Vec<u8>), ObjectError> {
    if inputs.iter().all(|i| i.btf.is_none()) {
        return Ok((Vec::new(), Vec::new()));
    }
    let numbers = vec![HashMap::new(); inputs.len()];
    let mut merge = Merge { inputs, strings: Strings::default(), types: Vec::new(), numbers, left_out: Vec::new() };
    let elsewhere = merge.collect(layout, globals)?;
    merge.name_params(&elsewhere, globals);
    merge.renumber(&elsewhere, globals);
    merge.sections(layout, &elsewhere);
    let kept = merge.deduplicate();
    let ext = merge.records(layout, &kept);
    Ok((merge.bytes(&kept), ext))
}

impl Merge<'_> {
    /// Copies every type but data sections, and variables and functions that another input owns; the latter.
    fn collect(&mut self, layout: &Layout, globals: &Globals<'_>) -> Result<Vec<HashMap<TypeId, String>>, ObjectError> {
        let mut elsewhere = vec![HashMap::new(); self.inputs.len()];
        for (number, input) in self.inputs.iter().enumerate() {
            let Some(btf) = &input.btf else { continue };
            // Variables of sections that another input has given go with these.
            let skipped = |id: &TypeId| {
                let section = input.file.find(btf.name(*id));
                btf.kind(*id) == Some(Kind::Datasec) && section.is_some_and(|s| layout.skipped.contains(&(number, s)))
            };
            let unused: HashSet<TypeId> =
                (1..btf.len()).filter(skipped).flat_map(|id| btf.sec_vars(id).map(|v| v.ty)).collect();
            for id in 1..btf.len() {
                let global = match btf.get(id) {
                    Some(Type::Datasec { .. }) => continue,
                    _ if unused.contains(&id) => continue,
                    Some(Type::Func { linkage, .. }) => linkage != 0,
                    Some(Type::Var { linkage, .. }) => linkage != 0,
                    _ => false,
                };
                let name = btf.name(id);
                let foreign = |g: &&super::symbols::Global| {
                    let owner = self.inputs[g.owner.0].btf.as_ref();
                    g.owner.0 != number && owner.is_some_and(|b| declared(b, name).is_some())
                };
                if global && globals.get(name).filter(foreign).is_some() {
                    elsewhere[number].insert(id, name.to_owned());
                    continue;
                }
                if self.types.len() == MAX_TYPES {
                    return Err(malformed(input.file.name, "too many types", format!("at most {MAX_TYPES}")));
                }
                let mut words = btf.type_words(id);
                for at in references(Btf::kind_of_info(words[1]), words[1] as usize & 0xffff).0 {
                    words[at] = self.strings.add(btf.str_at(words[at]));
                }
                self.types.push(words);
                self.numbers[number].insert(id, self.types.len() as TypeId);
            }
        }
        Ok(elsewhere)
    }

    /// Declarations of functions have no names for their parameters: those of the definition are taken, where it comes
    /// later, so that both have one type.
    fn name_params(&mut self, elsewhere: &[HashMap<TypeId, String>], globals: &Globals<'_>) {
        let inputs = self.inputs;
        for (number, foreign) in elsewhere.iter().enumerate() {
            for (&id, name) in foreign {
                let owner = globals.get(name.as_str()).map(|g| g.owner.0).filter(|&owner| owner > number);
                let (Some(ours), Some(theirs)) = (&inputs[number].btf, owner.and_then(|o| inputs[o].btf.as_ref()))
                else {
                    continue;
                };
                let proto = |btf: &Btf, id| match btf.get(id) {
                    Some(Type::Func { proto, .. }) => Some(proto),
                    _ => None,
                };
                let definition = declared(theirs, name).and_then(|id| proto(theirs, id));
                let (Some(declaration), Some(definition)) = (proto(ours, id), definition) else { continue };
                let Some(&merged) = self.numbers[number].get(&declaration) else { continue };
                for (i, p) in theirs.params(definition).enumerate().filter(|(_, p)| !p.name.is_empty()) {
                    let name = self.strings.add(p.name);
                    if let Some(word) = self.types[merged as usize - 1].get_mut(3 + 2 * i).filter(|w| **w == 0) {
                        *word = name;
                    }
                }
            }
        }
    }

    /// Points references to the joined types; what another input owns becomes its type there.
    fn renumber(&mut self, elsewhere: &[HashMap<TypeId, String>], globals: &Globals<'_>) {
        for (number, foreign) in elsewhere.iter().enumerate() {
            for (&id, name) in foreign {
                let Some(owner) = globals.get(name.as_str()).map(|g| g.owner.0) else { continue };
                let theirs = self.inputs[owner].btf.as_ref().and_then(|b| declared(b, name));
                let target = theirs.and_then(|t| self.numbers[owner].get(&t).copied()).unwrap_or(0);
                self.numbers[number].insert(id, target);
            }
        }
        for ((input, numbers), foreign) in self.inputs.iter().zip(&self.numbers).zip(elsewhere) {
            let count = input.btf.as_ref().map_or(0, Btf::len);
            for new in (1..count).filter(|id| !foreign.contains_key(id)).filter_map(|id| numbers.get(&id)) {
                let words = &mut self.types[*new as usize - 1];
                for at in references(Btf::kind_of_info(words[1]), words[1] as usize & 0xffff).1 {
                    words[at] = numbers.get(&words[at]).copied().unwrap_or(0);
                }
            }
        }
    }

    /// One data section for each name, with the variables of all inputs at their new places.
    fn sections(&mut self, layout: &Layout, elsewhere: &[HashMap<TypeId, String>]) {
        let mut merged: BTreeMap<String, (u32, Vec<[u32; 3]>)> = BTreeMap::new();
        for (number, input) in self.inputs.iter().enumerate() {
            let Some(btf) = &input.btf else { continue };
            let symbols: HashMap<&str, u64> =
                input.file.symbols.iter().filter(|s| s.is_object && s.is_global).map(|s| (s.name, s.value)).collect();
            for id in (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Datasec)) {
                let name = btf.name(id);
                if input.file.find(name).is_some_and(|s| layout.skipped.contains(&(number, s))) {
                    continue;
                }
                let position = input.file.find(name).and_then(|s| layout.positions.get(&(number, s)).copied());
                let (size, vars) = merged.entry(name.to_owned()).or_default();
                *size = position.map_or(0, |(section, _)| layout.sections[section].size as u32);
                for var in btf.sec_vars(id).filter(|v| !elsewhere[number].contains_key(&v.ty)) {
                    let offset = match btf.get(var.ty) {
                        Some(Type::Var { linkage: 1, .. }) => {
                            symbols.get(btf.name(var.ty)).copied().unwrap_or(0) as u32
                        }
                        _ => var.offset,
                    };
                    let ty = self.numbers[number].get(&var.ty).copied().unwrap_or(0);
                    vars.push([ty, offset.wrapping_add(position.map_or(0, |(_, start)| start as u32)), var.size]);
                }
            }
        }
        for (name, (size, mut vars)) in merged {
            vars.sort_by_key(|v| v[1]);
            vars.truncate(0xffff);
            let mut words = vec![self.strings.add(&name), (Kind::Datasec as u32) << 24 | vars.len() as u32, size];
            words.extend(vars.iter().flatten());
            self.types.push(words);
        }
    }

    /// New numbers after equal types have become one; zero for `void`. Types that another one stands for are left out.
    fn deduplicate(&mut self) -> Vec<TypeId> {
        let first = representatives(&self.types);
        self.left_out = first.iter().enumerate().map(|(id, &f)| f as usize != id).collect();
        let mut kept = vec![0; first.len()];
        let mut count = 0;
        for id in 1..first.len() {
            if first[id] as usize == id {
                count += 1;
                kept[id] = count;
            }
        }
        first.iter().map(|&f| kept[f as usize]).collect()
    }

    fn endian(&self) -> Endian {
        self.inputs[0].file.endian
    }

    fn put(&self, out: &mut Vec<u8>, words: &[u32]) {
        for word in words {
            out.extend(match self.endian() {
                Endian::Little => word.to_le_bytes(),
                Endian::Big => word.to_be_bytes(),
            });
        }
    }

    fn header(&self, out: &mut Vec<u8>, words: &[u32]) {
        const MAGIC: u16 = 0xeb9f;
        out.extend(match self.endian() {
            Endian::Little => MAGIC.to_le_bytes(),
            Endian::Big => MAGIC.to_be_bytes(),
        });
        out.extend([1, 0]);
        self.put(out, words);
    }

    fn bytes(&self, kept: &[TypeId]) -> Vec<u8> {
        let mut types = Vec::new();
        for (i, words) in self.types.iter().enumerate() {
            if self.left_out[i + 1] {
                continue;
            }
            let mut words = words.clone();
            for at in references(Btf::kind_of_info(words[1]), words[1] as usize & 0xffff).1 {
                words[at] = kept[words[at] as usize];
            }
            self.put(&mut types, &words);
        }
        let mut out = Vec::new();
        let (t, s) = (types.len() as u32, self.strings.bytes().len() as u32);
        self.header(&mut out, &[24, 0, t, t, s]);
        out.extend(types);
        out.extend(self.strings.bytes());
        out
    }

    /// Records by section of the result: functions, lines, CO-RE relocations.
    fn records(&mut self, layout: &Layout, kept: &[TypeId]) -> Vec<u8> {
        let mut tables: [BTreeMap<usize, Vec<Vec<u32>>>; 3] = Default::default();
        for (number, input) in self.inputs.iter().enumerate() {
            let Some(btf) = &input.btf else { continue };
            for (index, _) in input.file.sections.iter().enumerate().filter(|(_, s)| s.is_code) {
                let Some(&(section, start)) = layout.positions.get(&(number, index)) else { continue };
                let at = |insn: u32| (start as u32).wrapping_add(insn.wrapping_mul(Insn::SIZE as u32));
                let ty = |id: TypeId| kept[self.numbers[number].get(&id).copied().unwrap_or(0) as usize];
                let all = 0..u32::MAX;
                let [funcs, lines, core] = &mut tables;
                for f in input.records.funcs(index, all.clone()) {
                    funcs.entry(section).or_default().push(vec![at(f.insn), ty(f.type_id)]);
                }
                for l in input.records.lines(index, all.clone()) {
                    let (file, text) =
                        (self.strings.add(btf.str_at(l.file_name)), self.strings.add(btf.str_at(l.line_text)));
                    lines.entry(section).or_default().push(vec![at(l.insn), file, text, l.line << 10 | l.column]);
                }
                for c in input.records.core(index, all.clone()) {
                    let access = self.strings.add(&c.access);
                    core.entry(section).or_default().push(vec![at(c.insn), ty(c.type_id), access, c.kind]);
                }
            }
        }
        let mut bodies = Vec::new();
        for (table, size) in tables.iter().zip([8, 16, 16]) {
            let mut body = Vec::new();
            if !table.is_empty() {
                self.put(&mut body, &[size]);
            }
            for (&section, records) in table {
                let name = self.strings.add(&layout.sections[section].name);
                self.put(&mut body, &[name, records.len() as u32]);
                records.iter().for_each(|r| self.put(&mut body, r));
            }
            bodies.push(body);
        }
        let [f, l, c] = [0, 1, 2].map(|i: usize| bodies[i].len() as u32);
        let mut out = Vec::new();
        self.header(&mut out, &[32, 0, f, f, l, f + l, c]);
        out.extend(bodies.concat());
        out
    }
}
