//! Maps of the kernel.

use crate::attr::{MapBatch, MapCreate, MapElem, object_name};
use crate::error::KernelError;
use crate::{Kernel, raw, sys};
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_object::Map;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a map is created with (`BPF_MAP_CREATE`).
#[derive(Clone, Debug, Default)]
pub struct MapParams<'a> {
    /// Kind.
    pub map_type: MapType,
    /// Key bytes.
    pub key_size: u32,
    /// Value bytes.
    pub value_size: u32,
    /// Entries.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// `map_extra`.
    pub extra: u64,
    /// Name; cut to 15 bytes.
    pub name: &'a str,
    /// NUMA node, with `BPF_F_NUMA_NODE`.
    pub numa_node: u32,
    /// Template of inner maps.
    pub inner: Option<BorrowedFd<'a>>,
    /// The types, and those of key and value.
    pub btf: Option<(BorrowedFd<'a>, u32, u32)>,
    /// Kernel struct of a struct_ops map.
    pub kernel_value_type: u32,
}

impl<'a> MapParams<'a> {
    /// What an object says of a map, without types and inner maps.
    pub fn of(map: &'a Map) -> Self {
        Self {
            map_type: map.map_type,
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            flags: map.flags,
            extra: map.extra,
            name: &map.name,
            numa_node: map.numa_node,
            ..Self::default()
        }
    }
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A map that the kernel holds.
#[derive(Debug)]
pub struct KernelMap {
    fd: OwnedFd,
    /// Name.
    pub name: String,
    /// Kind.
    pub map_type: MapType,
    /// Key bytes.
    pub key_size: usize,
    /// Bytes that one lookup returns: those of the value, for per-CPU maps of one rounded to eight for each CPU.
    pub value_bytes: usize,
    /// Entries.
    pub max_entries: u32,
}

/// Elements that were read at once.
#[derive(Clone, Debug)]
pub struct KernelBatch {
    /// Keys, one after the other.
    pub keys: Vec<u8>,
    /// Values, one after the other.
    pub values: Vec<u8>,
    /// Where the next batch starts.
    pub next: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// `ENOENT` when these were the last; zero for no error.
    pub errno: i32,
}

impl Kernel {
    /// Creates a map.
    pub fn create_map(&self, p: &MapParams<'_>) -> Result<KernelMap, KernelError> {
        let mut attr = MapCreate {
            map_type: p.map_type.0,
            key_size: p.key_size,
            value_size: p.value_size,
            max_entries: p.max_entries,
            map_flags: p.flags,
            inner_map_fd: p.inner.map_or(0, |fd| raw(fd) as u32),
            numa_node: p.numa_node,
            map_name: object_name(p.name),
            map_extra: p.extra,
            btf_vmlinux_value_type_id: p.kernel_value_type,
            ..MapCreate::default()
        };
        if let Some((fd, key, value)) = p.btf {
            (attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id) = (raw(fd) as u32, key, value);
        }
        let fd = sys::call_fd(sys::MAP_CREATE, &mut attr)
            .map_err(|e| KernelError::call(format!("BPF_MAP_CREATE {} ({})", p.name, p.map_type), e))?;
        let value_size = p.value_size as usize;
        let per_cpu = p.map_type.is(MapTraits::PER_CPU);
        let value_bytes = if per_cpu { value_size.next_multiple_of(8) * self.possible_cpus() } else { value_size };
        Ok(KernelMap {
            fd,
            name: p.name.to_owned(),
            map_type: p.map_type,
            key_size: p.key_size as usize,
            value_bytes,
            max_entries: p.max_entries,
        })
    }
}

impl AsFd for KernelMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl KernelMap {
    fn elem(&self) -> MapElem {
        MapElem { map_fd: raw(&self.fd) as u32, ..MapElem::default() }
    }

    fn sized(what: &'static str, bytes: &[u8], expected: usize) -> Result<u64, KernelError> {
        if bytes.len() != expected {
            return Err(KernelError::Size { what, found: bytes.len(), expected });
        }
        // Maps without keys want no address at all.
        Ok(if bytes.is_empty() { 0 } else { bytes.as_ptr() as u64 })
    }

    fn run(&self, command: i32, name: &str, attr: &mut MapElem) -> Result<(), KernelError> {
        sys::call(command, attr).map(drop).map_err(|e| KernelError::call(format!("{name} {}", self.name), e))
    }

    /// The value of a key; `None` when there is none. `key` is empty for queues and stacks.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KernelError> {
        self.lookup_with(key, 0)
    }

    /// [`KernelMap::lookup`] with flags (`BPF_F_LOCK` 4).
    pub fn lookup_with(&self, key: &[u8], flags: u64) -> Result<Option<Vec<u8>>, KernelError> {
        self.read(sys::MAP_LOOKUP_ELEM, "BPF_MAP_LOOKUP_ELEM", key, vec![0; self.value_bytes], flags)
    }

    /// Whether a map without keys, such as a bloom filter, has a value.
    pub fn has(&self, value: &[u8], flags: u64) -> Result<bool, KernelError> {
        Self::sized("a value", value, self.value_bytes)?;
        let found = self.read(sys::MAP_LOOKUP_ELEM, "BPF_MAP_LOOKUP_ELEM", &[], value.to_vec(), flags)?;
        Ok(found.is_some())
    }

    /// The value of a key, which is removed; `None` when there is none.
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KernelError> {
        self.take_with(key, 0)
    }

    /// [`KernelMap::take`] with flags (`BPF_F_LOCK` 4).
    pub fn take_with(&self, key: &[u8], flags: u64) -> Result<Option<Vec<u8>>, KernelError> {
        let (command, name) = (sys::MAP_LOOKUP_AND_DELETE_ELEM, "BPF_MAP_LOOKUP_AND_DELETE_ELEM");
        self.read(command, name, key, vec![0; self.value_bytes], flags)
    }

    fn read(
        &self,
        command: i32,
        name: &str,
        key: &[u8],
        mut value: Vec<u8>,
        flags: u64,
    ) -> Result<Option<Vec<u8>>, KernelError> {
        let key = Self::sized("a key", key, self.key_size)?;
        let mut attr = MapElem { key, value: value.as_mut_ptr() as u64, flags, ..self.elem() };
        match self.run(command, name, &mut attr) {
            Ok(()) => Ok(Some(value)),
            Err(e) if e.errno() == Some(libc::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sets the value of a key (`flags`: `BPF_ANY` 0, `BPF_NOEXIST` 1, `BPF_EXIST` 2, `BPF_F_LOCK` 4).
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), KernelError> {
        let mut attr = MapElem {
            key: Self::sized("a key", key, self.key_size)?,
            value: Self::sized("a value", value, self.value_bytes)?,
            flags,
            ..self.elem()
        };
        self.run(sys::MAP_UPDATE_ELEM, "BPF_MAP_UPDATE_ELEM", &mut attr)
    }

    /// Removes a key; false when it was not there.
    pub fn delete(&self, key: &[u8]) -> Result<bool, KernelError> {
        let mut attr = MapElem { key: Self::sized("a key", key, self.key_size)?, ..self.elem() };
        match self.run(sys::MAP_DELETE_ELEM, "BPF_MAP_DELETE_ELEM", &mut attr) {
            Ok(()) => Ok(true),
            Err(e) if e.errno() == Some(libc::ENOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The key after `key`, or the first; `None` at the end.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, KernelError> {
        let mut next = vec![0; self.key_size];
        let key = key.map_or(Ok(0), |k| Self::sized("a key", k, self.key_size))?;
        let mut attr = MapElem { key, value: next.as_mut_ptr() as u64, ..self.elem() };
        match self.run(sys::MAP_GET_NEXT_KEY, "BPF_MAP_GET_NEXT_KEY", &mut attr) {
            Ok(()) => Ok(Some(next)),
            Err(e) if e.errno() == Some(libc::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Every key with its value, at most `max_entries` of them.
    pub fn entries(&self) -> Result<Vec<Entry>, KernelError> {
        let mut out = Vec::new();
        let mut key = self.next_key(None)?;
        while let Some(k) = key {
            if let Some(v) = self.lookup(&k)? {
                out.push((k.clone(), v));
            }
            if out.len() > self.max_entries as usize {
                break;
            }
            key = self.next_key(Some(&k))?;
        }
        Ok(out)
    }

    /// Puts a descriptor into a slot: a program into a prog array, a map into a map of maps.
    pub fn set_fd(&self, key: &[u8], fd: BorrowedFd<'_>) -> Result<(), KernelError> {
        let value = (raw(fd) as u32).to_ne_bytes();
        let mut attr =
            MapElem { key: Self::sized("a key", key, self.key_size)?, value: value.as_ptr() as u64, ..self.elem() };
        self.run(sys::MAP_UPDATE_ELEM, "BPF_MAP_UPDATE_ELEM", &mut attr)
    }

    /// Elements behind those of an earlier batch, whose `next` is `from`; with `take` they are deleted
    /// (`BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH`).
    pub fn read_batch(
        &self,
        take: bool,
        from: Option<&[u8]>,
        count: u32,
        flags: u64,
    ) -> Result<KernelBatch, KernelError> {
        let token = self.key_size.max(size_of::<u32>());
        let from = from.map_or(Ok(0), |from| Self::sized("the start of a batch", from, token))?;
        let bytes = |one: usize| one.checked_mul(count as usize).ok_or(KernelError::TooLarge { what: "a batch" });
        let mut batch = KernelBatch {
            keys: vec![0; bytes(self.key_size)?],
            values: vec![0; bytes(self.value_bytes)?],
            next: vec![0; token],
            count: 0,
            errno: 0,
        };
        let mut attr = MapBatch {
            in_batch: from,
            out_batch: batch.next.as_mut_ptr() as u64,
            keys: batch.keys.as_mut_ptr() as u64,
            values: batch.values.as_mut_ptr() as u64,
            count,
            map_fd: raw(&self.fd) as u32,
            elem_flags: flags,
            flags: 0,
        };
        let command = if take { sys::MAP_LOOKUP_AND_DELETE_BATCH } else { sys::MAP_LOOKUP_BATCH };
        (batch.count, batch.errno) = Self::batch(command, &mut attr);
        batch.keys.truncate(batch.count as usize * self.key_size);
        batch.values.truncate(batch.count as usize * self.value_bytes);
        Ok(batch)
    }

    /// Sets the values of many keys; how many were set before an error, and its number or zero.
    pub fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> Result<(u32, i32), KernelError> {
        let count = keys.len().checked_div(self.key_size).unwrap_or(0);
        Self::sized("values", values, count * self.value_bytes)?;
        Ok(self.write_batch(sys::MAP_UPDATE_BATCH, keys, values, count, flags))
    }

    /// Deletes many keys; how many were deleted before an error, and its number or zero.
    pub fn delete_batch(&self, keys: &[u8], flags: u64) -> (u32, i32) {
        let count = keys.len().checked_div(self.key_size).unwrap_or(0);
        self.write_batch(sys::MAP_DELETE_BATCH, keys, &[], count, flags)
    }

    fn write_batch(&self, command: i32, keys: &[u8], values: &[u8], count: usize, elem_flags: u64) -> (u32, i32) {
        let mut attr = MapBatch {
            keys: keys.as_ptr() as u64,
            values: if values.is_empty() { 0 } else { values.as_ptr() as u64 },
            count: count as u32,
            map_fd: raw(&self.fd) as u32,
            elem_flags,
            ..MapBatch::default()
        };
        Self::batch(command, &mut attr)
    }

    /// Elements that the kernel got through, and the error number or zero. It leaves the count alone when it refuses all.
    fn batch(command: i32, attr: &mut MapBatch) -> (u32, i32) {
        let asked = attr.count;
        match sys::call(command, attr) {
            Ok(_) => (attr.count, 0),
            Err(errno) if attr.count == asked && errno != libc::ENOENT => (0, errno),
            Err(errno) => (attr.count, errno),
        }
    }

    /// No user may write from now on (`BPF_MAP_FREEZE`).
    pub fn freeze(&self) -> Result<(), KernelError> {
        self.run(sys::MAP_FREEZE, "BPF_MAP_FREEZE", &mut self.elem())
    }
}
