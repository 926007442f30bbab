//! Types of modules beside those of their kernel.

use super::PackError;
use super::columns::take_u32;
use super::layout::{self, Word};
use rustc_hash::FxHashMap;

const HEADER: usize = 24;
const KIND_PTR: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_CONST: u32 = 10;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_DECL_TAG: u32 = 17;
const KIND_ENUM64: u32 = 19;

/// What BTF consists of, as bytes.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, PackError> {
        let mut header = bytes.get(4..HEADER).ok_or(PackError("it ends too early"))?;
        let start = take_u32(&mut header)? as usize;
        let mut section = || {
            let (at, len) = (take_u32(&mut header)? as usize, take_u32(&mut header)? as usize);
            bytes.get(start + at..start + at + len).ok_or(PackError("a section lies outside"))
        };
        Ok(Self { types: section()?, strings: section()? })
    }

    /// The words of each type: name, second word of the header and what follows.
    fn records(&self) -> Result<Vec<Vec<u32>>, PackError> {
        let (mut bytes, mut out) = (self.types, Vec::new());
        while !bytes.is_empty() {
            let mut words = vec![take_u32(&mut bytes)?, take_u32(&mut bytes)?];
            for _ in kinds(words[1])? {
                words.push(take_u32(&mut bytes)?);
            }
            out.push(words);
        }
        Ok(out)
    }
}

/// What the words after a type's second one are.
fn kinds(info: u32) -> Result<impl Iterator<Item = Word>, PackError> {
    let layout = layout::of(info).ok_or(PackError("a type of an unknown kind"))?;
    Ok(std::iter::once(layout.size).chain(layout::words(layout, info)))
}

/// The string at an offset.
fn string(strings: &[u8], at: u32) -> &[u8] {
    let from = strings.get(at as usize..).unwrap_or_default();
    &from[..memchr::memchr(0, from).unwrap_or(from.len())]
}

/// A kernel's types, and those of its modules as they are added.
struct Merged<'a> {
    kernel: &'a [u8],
    types: Vec<u8>,
    strings: Vec<u8>,
    next: u32,
    /// By kind and name: types that are known by their names.
    named: FxHashMap<(u32, Vec<u8>), u32>,
}

/// A module whose types are being added.
struct Module<'a> {
    /// Number of its first type, which is also where its kernel's types end.
    first: u32,
    records: Vec<Vec<u32>>,
    /// Where its own strings begin.
    own_strings: u32,
    strings: &'a [u8],
    /// By record: its number among the kernel's types.
    ids: Vec<Option<u32>>,
    /// Records that have a number and are not written yet, in the order of their numbers.
    waiting: Vec<usize>,
    /// By record: its own form is meant, whatever the kernel has of the name.
    is_own: Vec<bool>,
}

/// Puts types of modules behind those of their kernel, as if it had the modules built in: structs, unions and enums of
/// names that the kernel lacks, and what the functions need that are wanted by name. Types of a name that the kernel has
/// are the kernel's, but for structs that these functions take and return and that exist to be told from others
/// (`nf_conn___init`): the kernel does not take a module's for its own.
pub fn with_modules(kernel: &[u8], modules: &[Vec<u8>], wanted: impl Fn(&str) -> bool) -> Result<Vec<u8>, PackError> {
    let base = Sections::of(kernel)?;
    let records = base.records()?;
    let mut named = FxHashMap::default();
    for (at, words) in records.iter().enumerate() {
        if words[0] != 0 {
            let key = (layout::kind(words[1]), string(base.strings, words[0]).to_vec());
            named.entry(key).or_insert(at as u32 + 1);
        }
    }
    let first = records.len() as u32 + 1;
    let (types, strings) = (base.types.to_vec(), base.strings.to_vec());
    let mut merged = Merged { kernel: base.strings, types, strings, next: first, named };
    for module in modules {
        let own = Sections::of(module)?;
        let records = own.records()?;
        let (ids, is_own) = (vec![None; records.len()], vec![false; records.len()]);
        let own_strings = base.strings.len() as u32;
        let mut module = Module { first, records, own_strings, strings: own.strings, ids, waiting: Vec::new(), is_own };
        merged.add(&mut module, &wanted)?;
    }
    let len = merged.types.len() as u32;
    let mut out = kernel[..4].to_vec();
    for word in [HEADER as u32, 0, len, len, merged.strings.len() as u32] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.append(&mut merged.types);
    out.append(&mut merged.strings);
    Ok(out)
}

impl Module<'_> {
    /// The module's structs that a function takes and returns, behind pointers.
    fn arguments(&self, function: usize) -> Vec<usize> {
        let record = |id: u32| {
            let number = id.checked_sub(self.first)? as usize;
            Some((number, self.records.get(number)?))
        };
        let mut structs = Vec::new();
        let Some((_, proto)) = record(self.records[function][2]) else { return structs };
        if layout::kind(proto[1]) != KIND_FUNC_PROTO {
            return structs;
        }
        // The result, then a name and a type for each argument.
        for &id in std::iter::once(&proto[2]).chain(proto[3..].iter().skip(1).step_by(2)) {
            let mut at = record(id);
            while let Some((number, words)) = at {
                at = match layout::kind(words[1]) {
                    KIND_PTR | KIND_CONST => record(words[2]),
                    KIND_STRUCT => {
                        structs.push(number);
                        None
                    }
                    _ => None,
                };
            }
        }
        structs
    }
}

impl Merged<'_> {
    fn add(&mut self, module: &mut Module<'_>, wanted: &impl Fn(&str) -> bool) -> Result<(), PackError> {
        for at in 0..module.records.len() {
            let (name, kind) = (module.records[at][0], layout::kind(module.records[at][1]));
            let name = self.name(module, name);
            let is_wanted = match kind {
                KIND_FUNC => str::from_utf8(name).is_ok_and(wanted),
                KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64 => {
                    !name.is_empty() && !self.named.contains_key(&(kind, name.to_vec()))
                }
                _ => false,
            };
            if is_wanted {
                if kind == KIND_FUNC {
                    for number in module.arguments(at) {
                        module.is_own[number] =
                            memchr::memmem::find(self.name(module, module.records[number][0]), b"___").is_some();
                    }
                }
                self.number(module, at as u32 + module.first)?;
            }
        }
        self.write(module)?;
        // What is said of these types.
        for at in 0..module.records.len() {
            let words = &module.records[at];
            let of =
                words.get(2).and_then(|id| id.checked_sub(module.first)).and_then(|id| module.ids.get(id as usize));
            if layout::kind(words[1]) == KIND_DECL_TAG && of.is_some_and(Option::is_some) {
                self.number(module, at as u32 + module.first)?;
            }
        }
        self.write(module)
    }

    fn name<'b>(&'b self, module: &'b Module<'_>, at: u32) -> &'b [u8] {
        match at.checked_sub(module.own_strings) {
            Some(at) => string(module.strings, at),
            None => string(self.kernel, at),
        }
    }

    /// The number of a module's type among all.
    fn number(&mut self, module: &mut Module<'_>, id: u32) -> Result<u32, PackError> {
        let Some(at) = id.checked_sub(module.first).map(|at| at as usize) else { return Ok(id) };
        let words = module.records.get(at).ok_or(PackError("a type that is missing"))?;
        if let Some(known) = module.ids[at] {
            return Ok(known);
        }
        let key = (layout::kind(words[1]), self.name(module, words[0]).to_vec());
        let is_named = words[0] != 0 && layout::is_known_by_name(words[1]);
        if let Some(&known) = self.named.get(&key).filter(|_| is_named && !module.is_own[at]) {
            module.ids[at] = Some(known);
            return Ok(known);
        }
        let new = self.next;
        self.next += 1;
        module.ids[at] = Some(new);
        module.waiting.push(at);
        if is_named {
            self.named.entry(key).or_insert(new);
        }
        Ok(new)
    }

    /// Writes the types that have been numbered, and those that they need.
    fn write(&mut self, module: &mut Module<'_>) -> Result<(), PackError> {
        let mut done = 0;
        while done < module.waiting.len() {
            let words = module.records[module.waiting[done]].clone();
            let own: Vec<Word> = [Word::Name, Word::Plain].into_iter().chain(kinds(words[1])?).collect();
            for (word, kind) in words.into_iter().zip(own) {
                let word = match kind {
                    Word::Ref => self.number(module, word)?,
                    Word::Name => self.string(module, word),
                    Word::Plain => word,
                };
                self.types.extend_from_slice(&word.to_le_bytes());
            }
            done += 1;
        }
        module.waiting.clear();
        Ok(())
    }

    /// Where a string of a module is among all.
    fn string(&mut self, module: &Module<'_>, at: u32) -> u32 {
        if at < module.own_strings {
            return at;
        }
        let new = self.strings.len() as u32;
        self.strings.extend_from_slice(string(module.strings, at - module.own_strings));
        self.strings.push(0);
        new
    }
}
