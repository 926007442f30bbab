//! Operations, and what they answer here and in the kernel.

use super::objects::Objects;
use super::shape::Shape;
use ebpfkit_abi::MapType;
use ebpfkit_kernel::{KernelError, KernelMap};
use ebpfkit_vm::Errno;
use ebpfkit_vm::maps::Map;
use proptest::prelude::*;

/// One operation of user space. Keys and values are made from numbers.
#[derive(Clone, Debug)]
pub enum Op {
    /// Key, value, flags.
    Update(u32, u64, u64),
    /// Key, flags.
    Lookup(u32, u64),
    /// Key.
    Delete(u32),
    /// Key, flags.
    Take(u32, u64),
    /// The key after this one, or the first.
    Next(Option<u32>),
    /// No more writes.
    Freeze,
    /// Batches of so many elements until the end, with flags; they are deleted.
    ReadBatches(u32, u64, bool),
    /// First key, how many, value, flags.
    UpdateBatch(u32, u32, u64, u64),
    /// First key, how many, flags.
    DeleteBatch(u32, u32, u64),
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An error number.
    Error(i32),
    /// It was done.
    Done,
    /// A key or value.
    Bytes(Vec<u8>),
    /// One of the objects that descriptors stand for.
    Object(Option<usize>),
    /// Elements, in order where that is foreseen, and the error number that ended them.
    Elements(Vec<(Vec<u8>, Vec<u8>)>, i32),
    /// How many elements were written, and the error number or zero.
    Written(u32, i32),
}

/// A random operation.
pub fn any_op(keys: u32) -> impl Strategy<Value = Op> {
    let read = prop::sample::select(vec![0u64, 0, 0, 0, 0, 0, 4, 1, 8]);
    let write = prop::sample::select(vec![0u64, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8]);
    let key = 0..keys;
    let many = 1u32..9;
    prop_oneof![
        300 => (key.clone(), any::<u64>(), write.clone()).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        150 => (key.clone(), read.clone()).prop_map(|(k, f)| Op::Lookup(k, f)),
        100 => key.clone().prop_map(Op::Delete),
        60 => (key.clone(), read.clone()).prop_map(|(k, f)| Op::Take(k, f)),
        60 => prop::option::of(key.clone()).prop_map(Op::Next),
        2 => Just(Op::Freeze),
        20 => (0u32..40, read.clone(), prop::bool::weighted(0.3)).prop_map(|(n, f, t)| Op::ReadBatches(n, f, t)),
        20 => (key.clone(), many.clone(), any::<u64>(), write).prop_map(|(k, n, v, f)| Op::UpdateBatch(k, n, v, f)),
        20 => (key, many, read).prop_map(|(k, n, f)| Op::DeleteBatch(k, n, f)),
    ]
}

/// A map in both worlds.
pub struct Pair<'a> {
    /// What it is.
    pub shape: &'a Shape,
    /// The kernel's.
    pub theirs: KernelMap,
    /// Ours.
    pub ours: Map,
    /// What descriptors stand for.
    pub objects: &'a Objects,
}

fn number(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    let n = bytes.len().min(8);
    all[..n].copy_from_slice(&bytes[..n]);
    u64::from_ne_bytes(all)
}

fn errno(e: &KernelError) -> i32 {
    e.errno().unwrap_or(0)
}

fn done(result: Result<(), Errno>) -> Answer {
    result.map_or_else(|e| Answer::Error(e.0), |()| Answer::Done)
}

impl Pair<'_> {
    fn which_of_ours(&self, id: u64) -> Option<usize> {
        self.objects.which_of_ours(self.shape.def.map_type, id)
    }

    fn which_of_theirs(&self, id: u64) -> Option<usize> {
        self.objects.which_of_theirs(self.shape.def.map_type, id)
    }

    /// Tries an operation on both; what is different.
    pub fn differs(&self, op: &Op) -> Option<(Answer, Answer)> {
        let foreseen = self.foreseen(op);
        let (theirs, ours) = (self.theirs(op), self.ours(op));
        let (theirs, ours) = (self.normal(op, foreseen, theirs), self.normal(op, foreseen, ours));
        (ours != theirs).then_some((ours, theirs))
    }

    /// Whether the answer does not hang on an order that only the kernel knows.
    fn foreseen(&self, op: &Op) -> bool {
        match op {
            Op::Next(_) | Op::ReadBatches(..) => self.shape.is_ordered(),
            Op::Lookup(..) => !self.shape.finds_anything(),
            _ => true,
        }
    }

    /// What can be compared of an answer.
    fn normal(&self, op: &Op, foreseen: bool, answer: Answer) -> Answer {
        match (op, answer) {
            (_, answer) if foreseen => answer,
            // After a key that is there, there is another, or none.
            (Op::Next(Some(_)), Answer::Error(e)) if e == Errno::ENOENT.0 && self.shape.def.key_size != 0 => {
                Answer::Done
            }
            (Op::Next(_), Answer::Bytes(_)) => Answer::Done,
            (Op::Lookup(..), Answer::Error(e)) if e == Errno::ENOENT.0 => Answer::Done,
            (_, Answer::Elements(mut all, e)) => {
                all.sort();
                Answer::Elements(all, e)
            }
            (_, answer) => answer,
        }
    }

    /// The bytes of a key, in the kernel and here; nothing where this machine has no such owner.
    fn keys(&self, n: u32) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.shape.has_owners() {
            let fd = self.objects.owner(self.shape.def.map_type, n)?;
            return Some((fd.to_ne_bytes().to_vec(), i64::from(fd).to_ne_bytes().to_vec()));
        }
        let key = self.shape.key(n);
        Some((key.clone(), key))
    }

    fn many_keys(&self, first: u32, count: u32) -> Vec<u8> {
        (0..count).flat_map(|i| self.shape.key(first.wrapping_add(i * 3) % self.shape.keys())).collect()
    }

    fn many_values(&self, count: u32, value: u64) -> Vec<u8> {
        let size = self.theirs.value_bytes;
        (0..count).flat_map(|i| self.shape.value(value.rotate_left(i), size)).collect()
    }

    fn theirs(&self, op: &Op) -> Answer {
        let (shape, map) = (self.shape, &self.theirs);
        let found = |v: Result<Option<Vec<u8>>, KernelError>| match v {
            Ok(Some(bytes)) if shape.has_descriptors() => Answer::Object(self.which_of_theirs(number(&bytes))),
            Ok(Some(bytes)) => Answer::Bytes(self.shown(bytes, |n| self.which_of_theirs(n))),
            Ok(None) => Answer::Error(Errno::ENOENT.0),
            Err(e) => Answer::Error(errno(&e)),
        };
        let key = |n| self.keys(n).map(|k| k.0);
        let gone = Answer::Done;
        match *op {
            Op::Update(k, v, flags) => {
                let Some(key) = key(k).filter(|key| !shape.registers(key, flags)) else { return gone };
                let value = if shape.has_descriptors() {
                    let mut value = self.objects.descriptor(v, shape.takes_sockets()).1.to_ne_bytes().to_vec();
                    value.resize(map.value_bytes, 0);
                    value
                } else if shape.has_programs() {
                    let fd = self.objects.program(v >> 2).1;
                    [&shape.value(v, 4)[..], &fd.to_ne_bytes()].concat()
                } else {
                    shape.value(v, map.value_bytes)
                };
                map.update(&key, &value, flags).map_or_else(|e| Answer::Error(errno(&e)), |()| Answer::Done)
            }
            Op::Lookup(k, flags) if shape.def.map_type == MapType::BloomFilter => {
                match map.has(&shape.value(k.into(), map.value_bytes), flags) {
                    Ok(true) => Answer::Done,
                    Ok(false) => Answer::Error(Errno::ENOENT.0),
                    Err(e) => Answer::Error(errno(&e)),
                }
            }
            Op::Lookup(k, flags) => key(k).map_or(gone, |key| found(map.lookup_with(&key, flags))),
            Op::Take(k, flags) => key(k).map_or(gone, |key| found(map.take_with(&key, flags))),
            Op::Delete(k) => {
                let Some(key) = key(k) else { return gone };
                match map.delete(&key) {
                    Ok(true) => Answer::Done,
                    Ok(false) => Answer::Error(Errno::ENOENT.0),
                    Err(e) => Answer::Error(errno(&e)),
                }
            }
            Op::Next(k) => {
                let key = match k.map(key) {
                    Some(None) => return gone,
                    other => other.flatten(),
                };
                match map.next_key(key.as_deref()) {
                    Ok(Some(key)) => Answer::Bytes(key),
                    Ok(None) => Answer::Error(Errno::ENOENT.0),
                    Err(e) => Answer::Error(errno(&e)),
                }
            }
            Op::Freeze => map.freeze().map_or_else(|e| Answer::Error(errno(&e)), |()| Answer::Done),
            Op::ReadBatches(count, flags, take) => self.their_batches(count, flags, take),
            Op::UpdateBatch(k, count, v, flags) => {
                if shape.has_descriptors() || shape.def.key_size == 0 {
                    return gone;
                }
                match map.update_batch(&self.many_keys(k, count), &self.many_values(count, v), flags) {
                    Ok((count, errno)) => Answer::Written(count, errno),
                    Err(e) => Answer::Error(errno(&e)),
                }
            }
            Op::DeleteBatch(k, count, flags) => {
                if shape.def.key_size == 0 {
                    return gone;
                }
                let (count, errno) = map.delete_batch(&self.many_keys(k, count), flags);
                Answer::Written(count, errno)
            }
        }
    }

    fn their_batches(&self, mut count: u32, flags: u64, take: bool) -> Answer {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let batch = match self.theirs.read_batch(take, from.as_deref(), count, flags) {
                Ok(batch) => batch,
                Err(e) => return Answer::Error(errno(&e)),
            };
            self.add(&mut all, &batch.keys, &batch.values, |n| self.which_of_theirs(n));
            match batch.errno {
                0 if count == 0 => return Answer::Elements(all, 0),
                0 => from = Some(batch.next),
                // Elements of one bucket come together.
                libc::ENOSPC => count += 8,
                errno => return Answer::Elements(all, errno),
            }
        }
    }

    fn our_batches(&self, count: u32, flags: u64, take: bool) -> Answer {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let batch = match take {
                true => self.ours.user_take_batch(from.as_deref(), count, flags),
                false => self.ours.user_lookup_batch(from.as_deref(), count, flags),
            };
            self.add(&mut all, &batch.keys, &batch.values, |n| self.which_of_ours(n));
            match batch.result {
                Ok(()) if count == 0 => return Answer::Elements(all, 0),
                Ok(()) => from = batch.next,
                Err(errno) => return Answer::Elements(all, errno.0),
            }
        }
    }

    fn add(&self, all: &mut Vec<(Vec<u8>, Vec<u8>)>, keys: &[u8], values: &[u8], which: impl Fn(u64) -> Option<usize>) {
        let (key, value) = (self.theirs.key_size.max(1), self.theirs.value_bytes.max(1));
        for (key, value) in keys.chunks_exact(key).zip(values.chunks_exact(value)) {
            all.push((key.to_vec(), self.shown(value.to_vec(), &which)));
        }
    }

    fn ours(&self, op: &Op) -> Answer {
        let (shape, map) = (self.shape, &self.ours);
        let mut out = vec![0; map.user_value_size()];
        let key = |n| self.keys(n).map(|k| k.1);
        let found = |result: Result<(), Errno>, out: Vec<u8>| match result {
            Ok(()) if shape.has_descriptors() => Answer::Object(self.which_of_ours(number(&out))),
            Ok(()) => Answer::Bytes(self.shown(out, |n| self.which_of_ours(n))),
            Err(e) => Answer::Error(e.0),
        };
        let gone = Answer::Done;
        match *op {
            Op::Update(k, v, flags) => {
                let Some(key) = key(k).filter(|key| !shape.registers(key, flags)) else { return gone };
                done(if shape.has_descriptors() {
                    map.user_put(&key, self.objects.descriptor(v, shape.takes_sockets()).0, flags)
                } else if shape.has_programs() {
                    map.user_put_program(&key, &shape.value(v, 8), self.objects.program(v >> 2).0, flags)
                } else {
                    map.user_update(&key, &shape.value(v, out.len()), flags)
                })
            }
            Op::Lookup(k, flags) if shape.def.map_type == MapType::BloomFilter => {
                out = shape.value(k.into(), out.len());
                done(map.user_lookup(&[], &mut out, flags))
            }
            Op::Lookup(k, flags) => {
                let Some(key) = key(k) else { return gone };
                let result = map.user_lookup(&key, &mut out, flags);
                found(result, out)
            }
            Op::Take(k, flags) => {
                let Some(key) = key(k) else { return gone };
                let result = map.user_take(&key, &mut out, flags);
                found(result, out)
            }
            Op::Delete(k) => key(k).map_or(gone, |key| done(map.user_delete(&key))),
            Op::Next(k) => {
                let key = match k.map(key) {
                    Some(None) => return gone,
                    other => other.flatten(),
                };
                let mut next = vec![0; map.key_size()];
                match map.next_key(key.as_deref(), &mut next) {
                    Ok(()) => Answer::Bytes(next),
                    Err(e) => Answer::Error(e.0),
                }
            }
            Op::Freeze => done(map.freeze()),
            Op::ReadBatches(count, flags, take) => self.our_batches(count, flags, take),
            Op::UpdateBatch(k, count, v, flags) => {
                if shape.has_descriptors() || shape.def.key_size == 0 {
                    return gone;
                }
                let (count, result) =
                    map.user_update_batch(&self.many_keys(k, count), &self.many_values(count, v), flags);
                Answer::Written(count, result.err().map_or(0, |e| e.0))
            }
            Op::DeleteBatch(k, count, flags) => {
                if shape.def.key_size == 0 {
                    return gone;
                }
                let (count, result) = map.user_delete_batch(&self.many_keys(k, count), flags);
                Answer::Written(count, result.err().map_or(0, |e| e.0))
            }
        }
    }

    /// Whole contents: of a map with keys by its keys, of a queue what is in it.
    pub fn contents_differ(&self) -> Option<(Answer, Answer)> {
        let keyed = self.shape.def.key_size != 0 && !self.shape.has_owners();
        let most = self.shape.def.max_entries as usize + 64;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut at, mut last) = (None, None);
        while keyed && theirs.len() < most {
            match self.theirs.next_key(at.as_deref()) {
                Ok(Some(key)) => at = Some(key),
                Ok(None) => break,
                Err(e) => {
                    last = Some(errno(&e));
                    break;
                }
            }
            let key = at.clone().unwrap_or_default();
            let value = match self.theirs.lookup(&key) {
                Ok(v) => v.map_or(Vec::new(), |v| self.shown(v, |n| self.which_of_theirs(n))),
                Err(e) => errno(&e).to_ne_bytes().to_vec(),
            };
            theirs.push((key, value));
        }
        let (mut at, mut our_last, mut next) = (None::<Vec<u8>>, None, vec![0; self.ours.key_size()]);
        while keyed && ours.len() < most {
            match self.ours.next_key(at.as_deref(), &mut next) {
                Ok(()) => at = Some(next.clone()),
                Err(Errno::ENOENT) => break,
                Err(e) => {
                    our_last = Some(e.0);
                    break;
                }
            }
            let mut out = vec![0; self.ours.user_value_size()];
            let value = match self.ours.user_lookup(&next, &mut out, 0) {
                Ok(()) => self.shown(out, |n| self.which_of_ours(n)),
                Err(Errno::ENOENT) => Vec::new(),
                Err(e) => e.0.to_ne_bytes().to_vec(),
            };
            ours.push((next.clone(), value));
        }
        if !self.shape.is_ordered() {
            ours.sort();
            theirs.sort();
        }
        let ours = Answer::Elements(ours, our_last.unwrap_or(0));
        let theirs = Answer::Elements(theirs, last.unwrap_or(0));
        (ours != theirs).then_some((ours, theirs))
    }

    /// A value in which objects have the same numbers on both sides.
    fn shown(&self, value: Vec<u8>, which: impl Fn(u64) -> Option<usize>) -> Vec<u8> {
        if self.shape.has_descriptors() {
            return format!("{:?}", which(number(&value))).into_bytes();
        }
        match value.split_at_checked(4) {
            Some((first, id)) if self.shape.has_programs() && number(id) != 0 => {
                format!("{first:?} {:?}", which(number(id))).into_bytes()
            }
            _ => value,
        }
    }

    /// What a queue holds, by emptying it.
    pub fn rest(&self) -> Vec<Op> {
        if self.shape.def.key_size != 0 {
            return Vec::new();
        }
        vec![Op::Take(0, 0); self.shape.def.max_entries.min(200) as usize + 1]
    }
}
