//! What the kinds of maps have in common: the operations of programs and of user space on elements.

use super::commands::{Batches, Descriptor};
use super::{ArrayLayout, ValueLayout, Visit};
use crate::Errno;
use std::ptr::NonNull;

/// The operations of one kind. What a kind does not have it answers as the kernel does, which is what the defaults say;
/// where the kernel answers otherwise, the kind says so.
///
/// Keys have the map's key size and values its value size; [`super::Map`] has seen to that, and to the flags and
/// restrictions that all kinds share.
pub(super) trait Elements {
    /// The elements that these are kept as, whose answers are the defaults of what finds, changes and visits by key.
    fn inner(&self) -> Option<&dyn Elements> {
        None
    }

    /// Address of the value of a key, for programs.
    fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        self.inner()?.lookup(key, cpu)
    }

    /// Sets a value, from a program.
    fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        self.inner().ok_or(Errno::EINVAL)?.update(key, value, flags, cpu)
    }

    /// Removes an element.
    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.inner().ok_or(Errno::EINVAL)?.delete(key)
    }

    /// Adds a value that has no key.
    fn push(&self, _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    /// Takes the next value out.
    fn pop(&self, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    /// Copies the next value out.
    fn peek(&self, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    /// Visits the elements; how many were visited.
    fn for_each(&self, _cpu: u32, _visit: &mut Visit<'_>) -> Result<u64, Errno> {
        Err(Errno::EINVAL)
    }

    /// The key after a key, or the first.
    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.inner().ok_or(Errno::ENOTSUPP)?.next_key(key, next)
    }

    /// Copies a value out, for user space.
    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.inner().ok_or(Errno::ENOTSUPP)?.user_lookup(key, out, flags)
    }

    /// Sets a value, from user space.
    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.inner().ok_or(Errno::ENOTSUPP)?.user_update(key, value, flags)
    }

    /// Copies a value out and removes it.
    fn user_take(&self, _key: &[u8], _out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    /// The same for one of many elements.
    fn take_of_batch(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.user_take(key, out, flags)
    }

    /// Puts in what a descriptor of user space stands for.
    fn put(&self, _key: &[u8], _descriptor: Descriptor<'_>, _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Sets a value behind whose first four bytes a descriptor names a program; `None` where it names nothing.
    fn put_program(&self, key: &[u8], value: &[u8], _program: Option<Descriptor<'_>>, flags: u64) -> Result<(), Errno> {
        self.user_update(key, value, flags)
    }

    /// Which operations user space has on many elements at once.
    fn batches(&self) -> Batches {
        Batches::empty()
    }

    /// Layout of the values, where they are the map's own memory.
    fn value_layout(&self) -> Option<&ValueLayout> {
        None
    }

    /// Base and stride, where the values lie in one block and keys are indices.
    fn array(&self) -> Option<ArrayLayout> {
        None
    }

    /// Whether bytes lie inside the map's own memory.
    fn contains(&self, address: u64, len: u64) -> bool {
        self.inner().is_some_and(|inner| inner.contains(address, len))
    }
}

/// The index that a four-byte key holds.
pub(super) fn index(key: &[u8]) -> u32 {
    key.first_chunk().map_or(u32::MAX, |k| u32::from_ne_bytes(*k))
}
