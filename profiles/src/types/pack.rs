//! Types of kernels to one pack.

use super::PackError;
use super::columns::Column;
use super::layout::{self, Word};
use super::unpack::Pack;
use ebpfkit_object::Btf;
use rustc_hash::FxHashMap;

/// Deepest nesting of types without a name.
const MAX_DEPTH: u32 = 64;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The type of this kind and name; of several in one kernel, the one of this number.
    Named { kind: u32, name: u32, number: u32 },
    /// The type with these contents.
    Contents(Record),
}

/// A type whose references are keys and whose names are numbers of strings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub info: u32,
    pub name: u32,
    /// The header's last word and what follows.
    pub words: Box<[u32]>,
}

/// Puts types of several kernels together.
#[derive(Debug, Default)]
pub struct Packer {
    /// The pack that is continued, as it is in memory: its records need not be written again.
    base_records: FxHashMap<(u32, Record), u32>,
    base: [u32; 3],
    strings: FxHashMap<Vec<u8>, u32>,
    new_strings: Vec<Vec<u8>>,
    keys: FxHashMap<Key, u32>,
    records: FxHashMap<(u32, Record), usize>,
    rows: Vec<(u32, Record, u64)>,
    kernels: u32,
    from_base: Vec<u32>,
}

/// A pack as bytes.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// The pack.
    pub bytes: Vec<u8>,
    /// Which records of the pack that it continues its kernel has.
    pub from_base: Vec<u32>,
}

/// One kernel's types with their keys.
struct Source<'a> {
    btf: &'a Btf,
    /// By type number, once known.
    keys: Vec<Option<u32>>,
    /// For each type with a name: its number among those of the name.
    numbers: Vec<u32>,
}

impl Packer {
    /// Begins an empty pack.
    pub fn new() -> Self {
        let mut packer = Self { base: [1, 1, 0], ..Self::default() };
        // The empty name is string 0 and `void` is key 0.
        packer.strings.insert(Vec::new(), 0);
        packer
    }

    /// Continues a pack, so that what it has is not written again.
    pub fn continuing(base: &Pack) -> Result<Self, PackError> {
        let mut packer = Self::new();
        for at in 1..base.string_count() {
            packer.strings.insert(base.string(at).to_vec(), at);
        }
        let mut numbers = FxHashMap::default();
        for (at, key, record) in base.records()? {
            let is_new = key as usize == packer.keys.len() + 1;
            if is_new {
                let what = match record.name != 0 && layout::is_known_by_name(record.info) {
                    true => {
                        let kind = layout::kind(record.info);
                        let number: &mut u32 = numbers.entry((kind, record.name)).or_default();
                        *number += 1;
                        Key::Named { kind, name: record.name, number: *number - 1 }
                    }
                    false => Key::Contents(record.clone()),
                };
                packer.keys.insert(what, key);
            }
            packer.base_records.insert((key, record), at);
        }
        packer.base = [base.string_count(), packer.keys.len() as u32 + 1, base.record_count()];
        Ok(packer)
    }

    fn string(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&number) = self.strings.get(bytes) {
            return number;
        }
        let number = self.strings.len() as u32;
        self.strings.insert(bytes.to_vec(), number);
        self.new_strings.push(bytes.to_vec());
        number
    }

    fn key(&mut self, key: Key) -> u32 {
        let next = self.keys.len() as u32 + 1;
        *self.keys.entry(key).or_insert(next)
    }

    /// Adds a kernel; kernels are numbered in the order in which they are added.
    pub fn add(&mut self, btf: &Btf) -> Result<u32, PackError> {
        if self.kernels == 64 {
            return Err(PackError("too many kernels"));
        }
        let mut source =
            Source { btf, keys: vec![None; btf.len() as usize + 1], numbers: vec![0; btf.len() as usize + 1] };
        let mut seen: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        for id in 1..btf.len() {
            let raw = raw(btf, id)?;
            let name = self.string(btf.str_at(raw[0]).as_bytes());
            let number = seen.entry((layout::kind(raw[1]), name)).or_default();
            source.numbers[id as usize] = *number;
            *number += 1;
        }
        let kernel = self.kernels;
        self.kernels += 1;
        for id in 1..btf.len() {
            let key = self.key_of(&mut source, id, 0)?;
            let record = self.record(&mut source, id, 0)?;
            let entry = (key, record);
            if let Some(&at) = self.base_records.get(&entry) {
                self.from_base.push(at);
                continue;
            }
            let at = *self.records.entry(entry.clone()).or_insert_with(|| {
                self.rows.push((entry.0, entry.1, 0));
                self.rows.len() - 1
            });
            self.rows[at].2 |= 1 << kernel;
        }
        Ok(kernel)
    }

    fn key_of(&mut self, source: &mut Source<'_>, id: u32, depth: u32) -> Result<u32, PackError> {
        if id == 0 {
            return Ok(0);
        }
        if let Some(key) = source.keys.get(id as usize).ok_or(PackError("a type that is missing"))? {
            return Ok(*key);
        }
        if depth > MAX_DEPTH {
            return Err(PackError("types are nested too deep"));
        }
        let raw = raw(source.btf, id)?;
        let key = match raw[0] != 0 && layout::is_known_by_name(raw[1]) {
            true => {
                let name = self.string(source.btf.str_at(raw[0]).as_bytes());
                Key::Named { kind: layout::kind(raw[1]), name, number: source.numbers[id as usize] }
            }
            false => Key::Contents(self.record(source, id, depth)?),
        };
        let key = self.key(key);
        source.keys[id as usize] = Some(key);
        Ok(key)
    }

    fn record(&mut self, source: &mut Source<'_>, id: u32, depth: u32) -> Result<Record, PackError> {
        let mut words = raw(source.btf, id)?;
        let (name, info) = (words[0], words[1]);
        let layout = layout::of(info).ok_or(PackError("a type of an unknown kind"))?;
        let kinds: Vec<Word> = std::iter::once(layout.size).chain(layout::words(layout, info)).collect();
        let rest = words.get_mut(2..).filter(|w| w.len() == kinds.len()).ok_or(PackError("a type of another size"))?;
        for (word, kind) in rest.iter_mut().zip(kinds) {
            *word = match kind {
                Word::Ref => self.key_of(source, *word, depth + 1)?,
                Word::Name => self.string(source.btf.str_at(*word).as_bytes()),
                Word::Plain => *word,
            };
        }
        Ok(Record { info, name: self.string(source.btf.str_at(name).as_bytes()), words: words[2..].into() })
    }

    /// The pack.
    pub fn finish(mut self) -> Result<Packed, PackError> {
        // Records of one key stand side by side; keys are numbered as they were met, so that neighbours stay neighbours.
        self.rows.sort_by_key(|row| row.0);
        let mut columns: [Column; 8] = Default::default();
        let [keys, kernels, infos, names, refs, plains, strings, members] = &mut columns;
        let (mut last_key, mut next_name) = (i64::from(self.base[1]) - 1, i64::from(self.base[0]));
        let mut push_name = |column: &mut Column, name: u32| {
            // The strings are in the order in which they are first met, so that mostly the next one is meant.
            column.push(match name {
                0 => 0,
                name if i64::from(name) == next_name => 1,
                name => 2 + ((next_name - i64::from(name)) << 1 ^ (next_name - i64::from(name)) >> 63) as u64,
            });
            if name != 0 {
                next_name = i64::from(name) + 1;
            }
        };
        for (key, record, mask) in &self.rows {
            keys.push_signed(i64::from(*key) - last_key);
            last_key = i64::from(*key);
            kernels.push(*mask);
            infos.push(u64::from(record.info.rotate_left(8)));
            push_name(names, record.name);
            let layout = layout::of(record.info).ok_or(PackError("a type of an unknown kind"))?;
            let mut before = [0i64; 3];
            let kinds = std::iter::once(layout.size).chain(layout::words(layout, record.info));
            let (head, step) = (1 + layout.once.len(), layout.entry.len().max(1));
            for (at, (word, kind)) in record.words.iter().zip(kinds).enumerate() {
                match kind {
                    // Zero is `void`.
                    Word::Ref if *word == 0 => refs.push(0),
                    Word::Ref => {
                        let distance = i64::from(*key) - i64::from(*word);
                        refs.push(1 + (distance << 1 ^ distance >> 63) as u64);
                    }
                    Word::Name => push_name(members, *word),
                    Word::Plain if at < head => plains.push(u64::from(*word)),
                    Word::Plain => {
                        let before = &mut before[(at - head) % step % 3];
                        plains.push_signed(i64::from(*word) - *before);
                        *before = i64::from(*word);
                    }
                }
            }
        }
        for string in &self.new_strings {
            strings.push_bytes(string);
            strings.push_bytes(&[0]);
        }
        let mut bytes = Vec::new();
        for number in [self.base[0], self.base[1], self.base[2], self.rows.len() as u32] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for column in columns {
            column.finish(&mut bytes)?;
        }
        self.from_base.sort_unstable();
        self.from_base.dedup();
        Ok(Packed { bytes, from_base: self.from_base })
    }
}

/// The words of a type: header and what follows.
fn raw(btf: &Btf, id: u32) -> Result<Vec<u32>, PackError> {
    Some(btf.type_words(id)).filter(|w| w.len() > 2).ok_or(PackError("a type that is missing"))
}
