//! A pack back to types.

use super::PackError;
use super::columns::{self, Reader, take, take_u32};
use super::layout::{self, Word};
use super::pack::Record;
use std::sync::OnceLock;

/// The columns, in the order of the file.
const COLUMNS: usize = 8;
const STRINGS: usize = 6;
/// Words of BTF's header.
const HEADER: u32 = 24;
const MAGIC: u32 = 0x0001_eb9f;
/// Most records of a pack that are believed.
const MAX_RECORDS: u32 = 1 << 22;

/// Types of kernels, decompressed.
#[derive(Clone, Debug)]
pub struct Pack {
    /// First string, first key and first record of this pack: those before belong to the pack that it continues.
    first: [u32; 3],
    rows: u32,
    columns: [Vec<u8>; COLUMNS],
    /// Where each string begins in the column of strings; filled when it is first needed.
    offsets: OnceLock<Vec<u32>>,
}

/// Walks the records of a pack: all columns side by side.
struct Walk<'a> {
    columns: [Reader<'a>; COLUMNS],
    last_key: i64,
    next_name: i64,
}

impl<'a> Walk<'a> {
    fn new(pack: &'a Pack) -> Self {
        Self {
            columns: std::array::from_fn(|n| Reader::new(&pack.columns[n])),
            last_key: i64::from(pack.first[1]) - 1,
            next_name: i64::from(pack.first[0]),
        }
    }

    fn key_and_kernels(&mut self) -> Result<(u32, u64), PackError> {
        let key = self.last_key.wrapping_add(self.columns[0].next_signed()?);
        self.last_key = key;
        Ok((number(key)?, self.columns[1].next()?))
    }

    fn info(&mut self) -> Result<u32, PackError> {
        Ok(number(self.columns[2].next()? as i64)?.rotate_right(8))
    }

    #[inline]
    fn name(&mut self, column: usize) -> Result<u32, PackError> {
        let name = match self.columns[column].next()? {
            0 => return Ok(0),
            1 => self.next_name,
            n => {
                let n = n - 2;
                self.next_name.wrapping_sub((n >> 1) as i64 ^ -((n & 1) as i64))
            }
        };
        self.next_name = name.wrapping_add(1);
        number(name)
    }

    #[inline]
    fn reference(&mut self, key: u32) -> Result<u32, PackError> {
        match self.columns[4].next()? {
            0 => Ok(0),
            n => {
                let n = n - 1;
                number(i64::from(key).wrapping_sub((n >> 1) as i64 ^ -((n & 1) as i64)))
            }
        }
    }

    /// The rest of a record, word by word: those of its header first, without the second.
    fn record(&mut self, key: u32, info: u32, mut each: impl FnMut(Word, u32)) -> Result<(), PackError> {
        let layout = layout::of(info).ok_or(PackError("a type of an unknown kind"))?;
        let name = self.name(3)?;
        each(Word::Name, name);
        for kind in std::iter::once(layout.size).chain(layout.once.iter().copied()) {
            let word = match kind {
                Word::Ref => self.reference(key)?,
                Word::Name => self.name(7)?,
                Word::Plain => number(self.columns[5].next()? as i64)?,
            };
            each(kind, word);
        }
        let mut before = [0i64; 3];
        for _ in 0..layout::entries(info) {
            for (at, &kind) in layout.entry.iter().enumerate() {
                let word = match kind {
                    Word::Ref => self.reference(key)?,
                    Word::Name => self.name(7)?,
                    Word::Plain => {
                        before[at % 3] = before[at % 3].wrapping_add(self.columns[5].next_signed()?);
                        number(before[at % 3])?
                    }
                };
                each(kind, word);
            }
        }
        Ok(())
    }
}

fn number(value: i64) -> Result<u32, PackError> {
    u32::try_from(value).map_err(|_| PackError("a number is too large"))
}

impl Pack {
    /// Decompresses a pack.
    pub fn open(mut bytes: &[u8]) -> Result<Self, PackError> {
        let first = [take_u32(&mut bytes)?, take_u32(&mut bytes)?, take_u32(&mut bytes)?];
        let rows = take_u32(&mut bytes)?;
        if first.iter().chain([&rows]).any(|n| *n > MAX_RECORDS) {
            return Err(PackError("too many records"));
        }
        let mut packed = [(0, &[][..]); COLUMNS];
        for column in &mut packed {
            *column = take(&mut bytes)?;
        }
        let mut opened: [Vec<u8>; COLUMNS] = Default::default();
        for (to, from) in opened.iter_mut().zip(packed) {
            *to = columns::open(from)?;
        }
        Ok(Self { first, rows, columns: opened, offsets: OnceLock::new() })
    }

    /// Records of this pack and of the one that it continues.
    pub fn record_count(&self) -> u32 {
        self.first[2] + self.rows
    }

    /// Strings of this pack and of the one that it continues, the empty one included.
    pub fn string_count(&self) -> u32 {
        self.first[0] + self.offsets().len() as u32
    }

    fn offsets(&self) -> &[u32] {
        self.offsets.get_or_init(|| {
            let strings = &self.columns[STRINGS];
            let mut offsets = Vec::with_capacity(strings.len() / 16);
            let mut at = 0;
            for end in memchr::memchr_iter(0, strings) {
                offsets.push(at);
                at = end as u32 + 1;
            }
            offsets
        })
    }

    /// A string by number, of this pack alone.
    pub(super) fn string(&self, number: u32) -> &[u8] {
        let own = number.checked_sub(self.first[0]).and_then(|n| self.offsets().get(n as usize));
        let Some(&start) = own else { return &[] };
        let bytes = &self.columns[STRINGS][start as usize..];
        &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
    }

    /// The records with their numbers and keys.
    pub(super) fn records(&self) -> Result<Vec<(u32, u32, Record)>, PackError> {
        let (mut walk, mut out) = (Walk::new(self), Vec::with_capacity(self.rows as usize));
        for at in 0..self.rows {
            let ((key, _), info) = (walk.key_and_kernels()?, walk.info()?);
            let (mut name, mut words, mut is_name) = (0, Vec::new(), true);
            walk.record(
                key,
                info,
                |_, word| {
                    if std::mem::take(&mut is_name) { name = word } else { words.push(word) }
                },
            )?;
            out.push((self.first[2] + at, key, Record { info, name, words: words.into() }));
        }
        Ok(out)
    }

    /// A kernel's types as BTF.
    pub fn types(&self, kernel: u32) -> Result<Vec<u8>, PackError> {
        put_together(&[(self, Chosen::Kernel(kernel))])
    }

    /// The types of the kernel that continues another pack, of which it has the given records, in order.
    pub fn types_over(&self, base: &Self, from_base: &[u32]) -> Result<Vec<u8>, PackError> {
        if self.first[2] != base.record_count() || self.first[0] != base.string_count() {
            return Err(PackError("it continues another pack"));
        }
        put_together(&[(base, Chosen::Records(from_base)), (self, Chosen::Kernel(0))])
    }
}

/// Which records of a pack a kernel has.
#[derive(Clone, Copy)]
enum Chosen<'a> {
    /// Those that say so.
    Kernel(u32),
    /// These, in order.
    Records(&'a [u32]),
}

impl Chosen<'_> {
    /// Whether the next record, of which the pack says which kernels have it, is one of them.
    fn has(&mut self, at: u32, kernels: u64) -> bool {
        match self {
            Self::Kernel(kernel) => kernels.checked_shr(*kernel).unwrap_or(0) & 1 != 0,
            Self::Records(list) => match list.split_first() {
                Some((first, rest)) if *first == at => {
                    *list = rest;
                    true
                }
                _ => false,
            },
        }
    }
}

fn put_together(parts: &[(&Pack, Chosen<'_>)]) -> Result<Vec<u8>, PackError> {
    // First the numbers of all types that the kernel has, by key.
    let keys = parts.last().map_or(0, |(pack, _)| pack.first[1] as usize + pack.rows as usize + 1);
    let (mut ids, mut next) = (vec![0u32; keys], 1u32);
    for &(pack, mut chosen) in parts {
        let mut walk = Walk::new(pack);
        for at in 0..pack.rows {
            let (key, kernels) = walk.key_and_kernels()?;
            if chosen.has(pack.first[2] + at, kernels) {
                let id = ids.get_mut(key as usize).ok_or(PackError("a key is too large"))?;
                if *id == 0 {
                    *id = next;
                    next += 1;
                } else {
                    return Err(PackError("a kernel has a type in two forms"));
                }
            }
        }
    }
    // The strings of all parts, one after the other; a name is an offset into them.
    let mut strings = vec![0u8];
    let mut bases = Vec::new();
    for (pack, _) in parts {
        bases.push((pack.first[0], strings.len() as u32, pack.offsets()));
        strings.extend_from_slice(&pack.columns[STRINGS]);
    }
    let offset = |name: u32| {
        let part = bases.iter().rev().find(|(first, ..)| name >= *first);
        part.and_then(|(first, start, offsets)| Some(start + offsets.get((name - first) as usize)?)).unwrap_or(0)
    };
    // Types of a whole kernel take some 3 MB; what is reserved and not used is never touched.
    let mut out = Vec::with_capacity((4 << 20) + strings.len());
    out.resize(HEADER as usize, 0);
    for &(pack, mut chosen) in parts {
        let mut walk = Walk::new(pack);
        for at in 0..pack.rows {
            let ((key, kernels), info) = (walk.key_and_kernels()?, walk.info()?);
            if !chosen.has(pack.first[2] + at, kernels) {
                walk.record(key, info, |_, _| {})?;
                continue;
            }
            let mut is_first = true;
            walk.record(key, info, |kind, word| {
                let word = match kind {
                    Word::Ref => ids.get(word as usize).copied().unwrap_or(0),
                    Word::Name => offset(word),
                    Word::Plain => word,
                };
                out.extend_from_slice(&word.to_le_bytes());
                if std::mem::take(&mut is_first) {
                    out.extend_from_slice(&info.to_le_bytes());
                }
            })?;
        }
    }
    let types = out.len() as u32 - HEADER;
    let header = [MAGIC, HEADER, 0, types, types, strings.len() as u32];
    for (to, word) in out.chunks_exact_mut(4).zip(header) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    out.append(&mut strings);
    Ok(out)
}
