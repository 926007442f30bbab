//! Longest-prefix-match tries.
//!
//! A binary tree of prefixes, each node more specific than its parent; nodes that only join two branches hold no
//! element. Readers take no lock: the tree has a version that is odd while it is being changed, and a reader starts
//! over when it has moved. Nodes are never given back while the map lives.

use super::check::flag;
use super::commands::Batches;
use super::elements::Elements;
use super::mem::{self, Region};
use super::{Account, Info, value::ValueLayout};
use crate::Errno;
use ebpfkit_object::record::Record;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Head of a node. The prefix's bits follow as words whose highest bit comes first, then the value.
#[repr(C, align(8))]
struct Node {
    child: [AtomicPtr<Node>; 2],
    prefix: AtomicU32,
    /// Joins two branches and holds no element.
    joint: AtomicU32,
}

/// Words of the longest prefix: 256 bytes.
const MAX_WORDS: usize = 32;
/// Nodes of the first slab, and of the largest.
const SLAB: (usize, usize) = (32, 1 << 16);
/// Bytes that a slab does not pass, unless one node does.
const SLAB_BYTES: usize = 16 << 20;

/// A key: prefix length and bits.
struct Key {
    prefix: u32,
    words: [u64; MAX_WORDS],
}

/// `BPF_MAP_TYPE_LPM_TRIE`.
#[derive(Debug)]
pub struct Lpm {
    layout: ValueLayout,
    root: AtomicPtr<Node>,
    version: AtomicU32,
    writer: Mutex<Writer>,
    /// Bits of the longest prefix.
    max_prefix: u32,
    words: usize,
    max_entries: u32,
    account: Account,
}

#[derive(Debug, Default)]
struct Writer {
    slabs: Vec<Region>,
    fresh: usize,
    free: Vec<NonNull<Node>>,
    count: u32,
}

// SAFETY: the free nodes are addresses into the slabs, which the writer owns.
unsafe impl Send for Writer {}

/// The tree is being changed until this is dropped.
struct Change<'a> {
    writer: MutexGuard<'a, Writer>,
    version: &'a AtomicU32,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

fn bit(words: &[u64], i: u32) -> usize {
    (words[i as usize / 64] >> (63 - i % 64) & 1) as usize
}

impl Lpm {
    pub(super) fn new(info: &Info, fields: &Record) -> Result<Self, Errno> {
        let bytes = info.key_size as usize - 4;
        Ok(Self {
            layout: ValueLayout::new(info.value_size as usize, fields),
            root: AtomicPtr::default(),
            version: AtomicU32::new(0),
            writer: Mutex::default(),
            max_prefix: bytes as u32 * 8,
            words: bytes.div_ceil(8),
            max_entries: info.max_entries,
            account: info.account.clone(),
        })
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).slabs.iter().any(|s| s.contains(address, len))
    }

    pub(super) fn value_layout(&self) -> &ValueLayout {
        &self.layout
    }

    /// Elements in the map.
    pub fn len(&self) -> u32 {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(&self, bytes: &[u8]) -> Key {
        let mut key = Key { prefix: super::elements::index(bytes), words: [0; MAX_WORDS] };
        for (word, chunk) in key.words.iter_mut().zip(bytes[4..].chunks(8)) {
            let mut b = [0; 8];
            b[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_be_bytes(b);
        }
        key
    }

    fn change(&self) -> Change<'_> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::Release);
        Change { writer, version: &self.version }
    }

    /// Runs `read` without a lock, again if the tree was changed meanwhile.
    fn read<T>(&self, mut read: impl FnMut() -> T) -> T {
        let mut attempt = 0;
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before & 1 == 0 {
                let value = read();
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return value;
                }
            }
            mem::pause(attempt);
            attempt += 1;
        }
    }

    fn word(&self, node: &Node, i: usize) -> &AtomicU64 {
        debug_assert!(i < self.words);
        // SAFETY: every node has `words` words behind its head and lives as long as the map.
        unsafe { AtomicU64::from_ptr(std::ptr::from_ref(node).add(1).cast::<u64>().add(i).cast_mut()) }
    }

    fn value(&self, node: &Node) -> NonNull<u8> {
        // SAFETY: the value lies behind the words.
        unsafe { NonNull::from(node).add(1).cast::<u64>().add(self.words).cast() }
    }

    fn node<'a>(&'a self, link: &AtomicPtr<Node>) -> Option<&'a Node> {
        // SAFETY: links lead to nodes of this map's slabs, which live as long as the map.
        unsafe { link.load(Ordering::Acquire).as_ref() }
    }

    /// Leading bits that a node's prefix and a key's have in common.
    fn common(&self, node: &Node, key: &Key) -> u32 {
        let limit = node.prefix.load(Ordering::Relaxed).min(key.prefix);
        for i in 0..limit.div_ceil(64) as usize {
            let differ = self.word(node, i).load(Ordering::Relaxed) ^ key.words[i];
            if differ != 0 {
                return limit.min(i as u32 * 64 + differ.leading_zeros());
            }
        }
        limit
    }

    /// Address of the value of the longest prefix that matches a key.
    pub fn lookup(&self, key: &[u8]) -> Option<NonNull<u8>> {
        let key = self.key(key);
        if key.prefix > self.max_prefix {
            return None;
        }
        self.read(|| {
            let mut found = None;
            let mut at = self.node(&self.root);
            // A path has at most one node a bit; a longer one was changed under the walk.
            for _ in 0..=self.max_prefix + 1 {
                let Some(node) = at else { break };
                let common = self.common(node, &key);
                if common == self.max_prefix {
                    return Some(self.value(node));
                }
                let prefix = node.prefix.load(Ordering::Relaxed);
                if common < prefix {
                    break;
                }
                if node.joint.load(Ordering::Relaxed) == 0 {
                    found = Some(self.value(node));
                }
                if prefix >= self.max_prefix {
                    break;
                }
                at = self.node(&node.child[bit(&key.words, prefix)]);
            }
            found
        })
    }

    fn take(&self, writer: &mut Writer) -> Result<&Node, Errno> {
        let node = match writer.free.pop() {
            Some(node) => node,
            None => {
                let stride = size_of::<Node>() + self.words * 8 + self.layout.size().next_multiple_of(8);
                if writer.fresh == 0 {
                    let count = (SLAB.0 << writer.slabs.len().min(16)).min(SLAB.1).min(SLAB_BYTES / stride).max(1);
                    writer.slabs.push(self.account.region(count, stride)?);
                    writer.fresh = count;
                }
                writer.fresh -= 1;
                writer.slabs.last().ok_or(Errno::ENOMEM)?.at(writer.fresh * stride).cast()
            }
        };
        // SAFETY: zeroed memory is a valid node, and slabs live as long as the map.
        let node = unsafe { node.as_ref() };
        node.child.iter().for_each(|c| c.store(std::ptr::null_mut(), Ordering::Relaxed));
        Ok(node)
    }

    fn fill(&self, node: &Node, prefix: u32, word: impl Fn(usize) -> u64, joint: bool) {
        for i in 0..self.words {
            self.word(node, i).store(word(i), Ordering::Relaxed);
        }
        node.prefix.store(prefix, Ordering::Relaxed);
        node.joint.store(joint.into(), Ordering::Relaxed);
    }

    fn count_one(&self, writer: &mut Writer, flags: u64) -> Result<(), Errno> {
        if flags == flag::EXIST {
            return Err(Errno::ENOENT);
        }
        if writer.count == self.max_entries {
            return Err(Errno::ENOSPC);
        }
        writer.count += 1;
        Ok(())
    }

    pub(super) fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let key = self.key(key);
        if flags > flag::EXIST || key.prefix > self.max_prefix {
            return Err(Errno::EINVAL);
        }
        let mut change = self.change();
        let writer = &mut *change.writer;
        let mut link = &self.root;
        let mut common = 0;
        let mut at = None;
        while let Some(node) = self.node(link) {
            let prefix = node.prefix.load(Ordering::Relaxed);
            common = self.common(node, &key);
            if prefix != common || prefix == key.prefix {
                at = Some((node, prefix));
                break;
            }
            link = &node.child[bit(&key.words, prefix)];
        }
        match at {
            Some((node, prefix)) if prefix == common && node.joint.load(Ordering::Relaxed) == 0 => {
                if flags == flag::NOEXIST {
                    return Err(Errno::EEXIST);
                }
            }
            _ => self.count_one(writer, flags)?,
        }
        let new = self.take(writer)?;
        self.fill(new, key.prefix, |i| key.words[i], false);
        // SAFETY: the node has a value of this layout, and `value` has its size.
        unsafe { self.layout.write(self.value(new).as_ptr(), value) };
        let address = std::ptr::from_ref(new).cast_mut();
        match at {
            None => link.store(address, Ordering::Release),
            Some((node, prefix)) if prefix == common => {
                for (to, from) in new.child.iter().zip(&node.child) {
                    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                link.store(address, Ordering::Release);
                self.retire(writer, node);
            }
            Some((node, _)) => {
                let old = std::ptr::from_ref(node).cast_mut();
                if common == key.prefix {
                    let side = self.word(node, common as usize / 64).load(Ordering::Relaxed);
                    let side = (side >> (63 - common % 64) & 1) as usize;
                    new.child[side].store(old, Ordering::Relaxed);
                    link.store(address, Ordering::Release);
                } else {
                    let joint = self.take(writer)?;
                    self.fill(joint, common, |i| key.words[i], true);
                    let side = bit(&key.words, common);
                    joint.child[side].store(address, Ordering::Relaxed);
                    joint.child[1 - side].store(old, Ordering::Relaxed);
                    link.store(std::ptr::from_ref(joint).cast_mut(), Ordering::Release);
                }
            }
        }
        Ok(())
    }

    fn retire(&self, writer: &mut Writer, node: &Node) {
        // SAFETY: the node has a value of this layout.
        unsafe { self.layout.free_fields(self.value(node).as_ptr()) };
        writer.free.push(NonNull::from(node));
    }

    pub(super) fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let key = self.key(key);
        if key.prefix > self.max_prefix {
            return Err(Errno::EINVAL);
        }
        let mut change = self.change();
        let writer = &mut *change.writer;
        let mut link = &self.root;
        let mut above: Option<(&AtomicPtr<Node>, &Node)> = None;
        let node = loop {
            let node = self.node(link).ok_or(Errno::ENOENT)?;
            let prefix = node.prefix.load(Ordering::Relaxed);
            if self.common(node, &key) != prefix {
                return Err(Errno::ENOENT);
            }
            if prefix == key.prefix {
                break node;
            }
            above = Some((link, node));
            link = &node.child[bit(&key.words, prefix)];
        };
        if node.joint.load(Ordering::Relaxed) != 0 {
            return Err(Errno::ENOENT);
        }
        writer.count -= 1;
        let children = [self.node(&node.child[0]), self.node(&node.child[1])];
        match (children, above) {
            ([Some(_), Some(_)], _) => {
                node.joint.store(1, Ordering::Relaxed);
                return Ok(());
            }
            // The joint above loses a branch and gives its place to the other.
            ([None, None], Some((upper, joint))) if joint.joint.load(Ordering::Relaxed) != 0 => {
                let this = std::ptr::from_ref(node).cast_mut();
                let left = joint.child[0].load(Ordering::Relaxed);
                let other = if left == this { joint.child[1].load(Ordering::Relaxed) } else { left };
                upper.store(other, Ordering::Release);
                writer.free.push(NonNull::from(joint));
            }
            ([left, right], _) => {
                let only = left.or(right).map_or(std::ptr::null_mut(), |n| std::ptr::from_ref(n).cast_mut());
                link.store(only, Ordering::Release);
            }
        }
        self.retire(writer, node);
        Ok(())
    }

    /// Keys in the kernel's order: more specific ones before less specific ones.
    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        let _still = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let root = self.node(&self.root).ok_or(Errno::ENOENT)?;
        let mut path = Vec::new();
        let mut at = None;
        if let Some(key) = key.map(|k| self.key(k)).filter(|k| k.prefix <= self.max_prefix) {
            let mut walk = Some(root);
            while let Some(node) = walk {
                let prefix = node.prefix.load(Ordering::Relaxed);
                if self.common(node, &key) != prefix {
                    break;
                }
                if prefix == key.prefix {
                    at = Some(node).filter(|n| n.joint.load(Ordering::Relaxed) == 0);
                    break;
                }
                path.push(node);
                walk = self.node(&node.child[bit(&key.words, prefix)]);
            }
        }
        let Some(mut node) = at else {
            self.put(self.first(root), next);
            return Ok(());
        };
        while let Some(parent) = path.pop() {
            let left = parent.child[0].load(Ordering::Relaxed);
            if std::ptr::eq(left, node)
                && let Some(right) = self.node(&parent.child[1])
            {
                self.put(self.first(right), next);
                return Ok(());
            }
            if parent.joint.load(Ordering::Relaxed) == 0 {
                self.put(parent, next);
                return Ok(());
            }
            node = parent;
        }
        Err(Errno::ENOENT)
    }

    /// The first element under a node.
    fn first<'a>(&'a self, mut node: &'a Node) -> &'a Node {
        while let Some(child) = self.node(&node.child[0]).or_else(|| self.node(&node.child[1])) {
            node = child;
        }
        node
    }

    fn put(&self, node: &Node, key: &mut [u8]) {
        key[..4].copy_from_slice(&node.prefix.load(Ordering::Relaxed).to_ne_bytes());
        for (i, chunk) in key[4..].chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&self.word(node, i).load(Ordering::Relaxed).to_be_bytes()[..chunk.len()]);
        }
    }
}

impl Elements for Lpm {
    fn batches(&self) -> Batches {
        Batches::LOOKUP | Batches::UPDATE | Batches::DELETE
    }

    fn lookup(&self, key: &[u8], _cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(key)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, _cpu: u32) -> Result<(), Errno> {
        self.update(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.next_key(key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        let value = self.lookup(key).ok_or(Errno::ENOENT)?.as_ptr();
        // SAFETY: the address is a value of this map, and `out` has its size.
        unsafe { self.value_layout().read(value, out) };
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.update(key, value, flags)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}
