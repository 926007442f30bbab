//! Arrays, plain and per CPU.

use super::check::flag;
use super::commands::Batches;
use super::elements::{Elements, index};
use super::mem::Region;
use super::value::ValueLayout;
use super::{Info, Visit};
use crate::Errno;
use ebpfkit_object::record::Record;
use std::ptr::NonNull;

/// Where the values of an array lie: value `i` of CPU `c` at `base + c * cpu_stride + i * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayLayout {
    /// Address of the first value.
    pub base: u64,
    /// Bytes from one value to the next.
    pub stride: u64,
    /// Bytes from one CPU's values to the next CPU's; zero for an array that all CPUs share.
    pub cpu_stride: u64,
    /// Entries; an index has to be below.
    pub max_entries: u32,
    /// CPUs that have values of their own; zero for an array that all CPUs share.
    pub cpus: u32,
}

/// `BPF_MAP_TYPE_ARRAY`.
#[derive(Debug)]
pub struct Array {
    layout: ValueLayout,
    values: Region,
    stride: usize,
    max_entries: u32,
}

/// Refusals of an update, in the kernel's order.
fn check_update(index: u32, max_entries: u32, flags: u64, known: u64) -> Result<(), Errno> {
    if flags & !known > flag::EXIST {
        Err(Errno::EINVAL)
    } else if index >= max_entries {
        Err(Errno::E2BIG)
    } else if flags & flag::NOEXIST != 0 {
        Err(Errno::EEXIST)
    } else {
        Ok(())
    }
}

/// Array keys are all indices.
pub(super) fn next_key(max_entries: u32, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
    let index = match key.map_or(u32::MAX, super::elements::index) {
        index if index >= max_entries => 0,
        index if index == max_entries - 1 => return Err(Errno::ENOENT),
        index => index + 1,
    };
    next.copy_from_slice(&index.to_ne_bytes());
    Ok(())
}

impl Array {
    pub(super) fn new(info: &Info, fields: &Record) -> Result<Self, Errno> {
        let size = info.value_size as usize;
        let stride = size.next_multiple_of(8);
        Ok(Self {
            layout: ValueLayout::new(size, fields),
            values: info.account.region(info.max_entries as usize, stride)?,
            stride,
            max_entries: info.max_entries,
        })
    }

    pub(super) fn layout(&self) -> ArrayLayout {
        ArrayLayout {
            base: self.values.base().as_ptr() as u64,
            stride: self.stride as u64,
            cpu_stride: 0,
            max_entries: self.max_entries,
            cpus: 0,
        }
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.values.contains(address, len)
    }

    pub(super) fn value_layout(&self) -> &ValueLayout {
        &self.layout
    }

    /// Address of a value.
    pub fn lookup(&self, index: u32) -> Option<NonNull<u8>> {
        (index < self.max_entries).then(|| self.values.at(index as usize * self.stride))
    }

    pub(super) fn update(&self, index: u32, value: &[u8], flags: u64) -> Result<(), Errno> {
        check_update(index, self.max_entries, flags, flag::LOCK)?;
        if flags & flag::LOCK != 0 && self.layout.spin_lock().is_none() {
            return Err(Errno::EINVAL);
        }
        let dst = self.lookup(index).ok_or(Errno::E2BIG)?.as_ptr();
        // SAFETY: `dst` is a value of this map, and `value` has its size.
        unsafe {
            if flags & flag::LOCK != 0 {
                self.layout.write_locked(dst, value)?;
            } else {
                self.layout.write(dst, value);
            }
            self.layout.free_fields(dst);
        }
        Ok(())
    }

    pub(super) fn user_lookup(&self, index: u32, out: &mut [u8], flags: u64) -> Result<(), Errno> {
        let src = self.lookup(index).ok_or(Errno::ENOENT)?.as_ptr();
        // SAFETY: `src` is a value of this map, and `out` has its size.
        unsafe {
            if flags & flag::LOCK != 0 {
                self.layout.read_locked(src, out)?;
            } else {
                self.layout.read(src, out);
            }
        }
        Ok(())
    }

    pub(super) fn for_each(&self, visit: &mut Visit<'_>) -> u64 {
        each(self.max_entries, |i| self.values.at(i as usize * self.stride), visit)
    }
}

fn each(max_entries: u32, value: impl Fn(u32) -> NonNull<u8>, visit: &mut Visit<'_>) -> u64 {
    for i in 0..max_entries {
        let mut key = i;
        if visit(NonNull::from(&mut key).cast(), value(i)).is_break() {
            return u64::from(i) + 1;
        }
    }
    u64::from(max_entries)
}

/// `BPF_MAP_TYPE_PERCPU_ARRAY`.
#[derive(Debug)]
pub struct PercpuArray {
    layout: ValueLayout,
    /// Layout of the user's copies: padding goes along where there are no special fields.
    padded: ValueLayout,
    values: Region,
    stride: usize,
    cpu_stride: usize,
    max_entries: u32,
    cpus: u32,
}

impl PercpuArray {
    pub(super) fn new(info: &Info, fields: &Record) -> Result<Self, Errno> {
        let size = info.value_size as usize;
        let stride = size.next_multiple_of(8);
        // CPUs do not share cache lines.
        let cpu_stride = stride.checked_mul(info.max_entries as usize).ok_or(Errno::ENOMEM)?.next_multiple_of(64);
        Ok(Self {
            layout: ValueLayout::new(size, fields),
            padded: ValueLayout::new(if fields.fields.is_empty() { stride } else { size }, fields),
            values: info.account.region(info.cpus as usize, cpu_stride)?,
            stride,
            cpu_stride,
            max_entries: info.max_entries,
            cpus: info.cpus,
        })
    }

    pub(super) fn layout(&self) -> ArrayLayout {
        ArrayLayout {
            base: self.values.base().as_ptr() as u64,
            stride: self.stride as u64,
            cpu_stride: self.cpu_stride as u64,
            max_entries: self.max_entries,
            cpus: self.cpus,
        }
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.values.contains(address, len)
    }

    pub(super) fn value_layout(&self) -> &ValueLayout {
        &self.layout
    }

    fn at(&self, index: u32, cpu: u32) -> NonNull<u8> {
        self.values.at(cpu as usize * self.cpu_stride + index as usize * self.stride)
    }

    /// Address of a CPU's value.
    pub fn lookup(&self, index: u32, cpu: u32) -> Option<NonNull<u8>> {
        (index < self.max_entries && cpu < self.cpus).then(|| self.at(index, cpu))
    }

    pub(super) fn update(&self, index: u32, value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        check_update(index, self.max_entries, flags, flag::LOCK)?;
        if flags & flag::LOCK != 0 && self.layout.spin_lock().is_none() {
            return Err(Errno::EINVAL);
        }
        let dst = self.lookup(index, cpu).ok_or(Errno::EINVAL)?.as_ptr();
        // SAFETY: `dst` is a value of this map, and `value` has its size.
        unsafe {
            self.layout.write(dst, value);
            self.layout.free_fields(dst);
        }
        Ok(())
    }

    pub(super) fn user_update(&self, index: u32, value: &[u8], flags: u64) -> Result<(), Errno> {
        check_update(index, self.max_entries, flags, 0)?;
        for (cpu, value) in (0..self.cpus).zip(value.chunks_exact(self.stride)) {
            let dst = self.at(index, cpu).as_ptr();
            // SAFETY: `dst` is a value of this map with its padding, and the chunk is as long.
            unsafe {
                self.padded.write(dst, value);
                self.layout.free_fields(dst);
            }
        }
        Ok(())
    }

    pub(super) fn user_lookup(&self, index: u32, out: &mut [u8]) -> Result<(), Errno> {
        if index >= self.max_entries {
            return Err(Errno::ENOENT);
        }
        for (cpu, out) in (0..self.cpus).zip(out.chunks_exact_mut(self.stride)) {
            // SAFETY: the source is a value of this map with its padding, and the chunk is as long.
            unsafe { self.padded.read(self.at(index, cpu).as_ptr(), out) };
        }
        Ok(())
    }

    pub(super) fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> u64 {
        let cpu = cpu.min(self.cpus - 1);
        each(self.max_entries, |i| self.at(i, cpu), visit)
    }
}

impl Elements for Array {
    fn batches(&self) -> Batches {
        Batches::LOOKUP | Batches::UPDATE
    }

    fn lookup(&self, key: &[u8], _cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(index(key))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, _cpu: u32) -> Result<(), Errno> {
        self.update(index(key), value, flags)
    }

    fn for_each(&self, _cpu: u32, visit: &mut Visit<'_>) -> Result<u64, Errno> {
        Ok(self.for_each(visit))
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        next_key(self.max_entries, key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.user_lookup(index(key), out, flags)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.update(index(key), value, flags)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn array(&self) -> Option<ArrayLayout> {
        Some(self.layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}

impl Elements for PercpuArray {
    fn batches(&self) -> Batches {
        Batches::LOOKUP | Batches::UPDATE
    }

    fn lookup(&self, key: &[u8], cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(index(key), cpu)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<(), Errno> {
        self.update(index(key), value, flags, cpu)
    }

    fn for_each(&self, cpu: u32, visit: &mut Visit<'_>) -> Result<u64, Errno> {
        Ok(self.for_each(cpu, visit))
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        next_key(self.max_entries, key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.user_lookup(index(key), out)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.user_update(index(key), value, flags)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.value_layout())
    }

    fn array(&self) -> Option<ArrayLayout> {
        Some(self.layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}

/// The bytes of a kernel struct, with functions as numbers: the one element belongs to user space.
#[derive(Debug)]
pub struct StructOps {
    array: Array,
    /// Something else than the map's element registers the functions (`BPF_F_LINK`).
    linked: bool,
}

impl StructOps {
    pub(super) fn new(info: &Info, fields: &Record) -> Result<Self, Errno> {
        Ok(Self { array: Array::new(info, fields)?, linked: info.flags & flag::LINK != 0 })
    }
}

impl Elements for StructOps {
    /// Nothing is ever registered here, so that nothing can be taken back.
    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(if self.linked { Errno::EOPNOTSUPP } else { Errno::ENOENT })
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        if key.is_some_and(|key| index(key) == 0) {
            return Err(Errno::ENOENT);
        }
        next.fill(0);
        Ok(())
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        self.array.user_lookup(index(key), out, flags)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags != flag::ANY {
            return Err(Errno::EINVAL);
        }
        if index(key) != 0 {
            return Err(Errno::E2BIG);
        }
        self.array.update(0, value, flags)
    }

    fn value_layout(&self) -> Option<&ValueLayout> {
        Some(self.array.value_layout())
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.array.contains(address, len)
    }
}
