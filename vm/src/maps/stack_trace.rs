//! Stack traces by number.

use super::elements::{Elements, index};
use super::queue::jhash;
use super::{Account, Info};
use crate::Errno;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Flags of `bpf_get_stackid` and `bpf_get_stack`.
pub mod stack_flag {
    #![allow(missing_docs)]
    pub const SKIP_FIELD: u64 = 0xff;
    pub const USER_STACK: u64 = 1 << 8;
    pub const FAST_STACK_CMP: u64 = 1 << 9;
    pub const REUSE_STACKID: u64 = 1 << 10;
    pub const USER_BUILD_ID: u64 = 1 << 11;
}

/// Bytes that a trace takes beside its frames.
const OVERHEAD: u64 = 64;

/// A stack with the hash it is kept under.
type Trace = (u32, Vec<u64>);

/// `BPF_MAP_TYPE_STACK_TRACE`.
#[derive(Debug)]
pub struct StackTrace {
    traces: Mutex<BTreeMap<u32, Trace>>,
    buckets: u32,
    frames: usize,
    max_entries: u32,
    account: Account,
}

impl StackTrace {
    pub(super) fn new(info: &Info) -> Self {
        Self {
            traces: Mutex::default(),
            buckets: info.max_entries.next_power_of_two(),
            frames: info.value_size as usize / 8,
            max_entries: info.max_entries,
            account: info.account.clone(),
        }
    }

    /// Keeps a stack and gives its number. `frames` are return addresses, innermost first.
    pub fn put(&self, frames: &[u64], flags: u64) -> Result<u32, Errno> {
        let known =
            stack_flag::SKIP_FIELD | stack_flag::USER_STACK | stack_flag::FAST_STACK_CMP | stack_flag::REUSE_STACKID;
        if flags & !known != 0 {
            return Err(Errno::EINVAL);
        }
        let skip = (flags & stack_flag::SKIP_FIELD) as usize;
        // A stack that is skipped whole has nothing to keep.
        let frames = frames.get(skip..).filter(|f| !f.is_empty()).ok_or(Errno::EFAULT)?;
        let frames = &frames[..frames.len().min(self.frames)];
        let bytes: Vec<u8> = frames.iter().flat_map(|f| f.to_le_bytes()).collect();
        let hash = jhash(&bytes, 0);
        let id = hash & (self.buckets - 1);
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((old_hash, old)) = traces.get(&id) {
            let same_hash = *old_hash == hash;
            if same_hash && (flags & stack_flag::FAST_STACK_CMP != 0 || old == frames) {
                return Ok(id);
            }
            if flags & stack_flag::REUSE_STACKID == 0 {
                return Err(Errno::EEXIST);
            }
        } else if traces.len() >= self.max_entries as usize {
            return Err(Errno::ENOMEM);
        } else {
            self.account.charge(OVERHEAD + self.frames as u64 * 8)?;
        }
        traces.insert(id, (hash, frames.to_vec()));
        Ok(id)
    }

    pub(super) fn user_lookup(&self, id: u32, out: &mut [u8]) -> Result<(), Errno> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, frames) = traces.get(&id).ok_or(Errno::ENOENT)?;
        out.fill(0);
        for (out, frame) in out.chunks_exact_mut(8).zip(frames) {
            out.copy_from_slice(&frame.to_ne_bytes());
        }
        Ok(())
    }

    pub(super) fn delete(&self, id: u32) -> Result<(), Errno> {
        if id >= self.buckets {
            return Err(Errno::E2BIG);
        }
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.remove(&id).map(drop).ok_or(Errno::ENOENT)
    }

    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let after = key.map(index).filter(|id| traces.contains_key(id)).map_or(0, |id| id.saturating_add(1));
        let (id, _) = traces.range(after..).next().ok_or(Errno::ENOENT)?;
        next.copy_from_slice(&id.to_ne_bytes());
        Ok(())
    }
}

impl Elements for StackTrace {
    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.delete(index(key))
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.next_key(key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.user_lookup(index(key), out)
    }

    fn user_take(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        self.user_lookup(index(key), out)?;
        self.delete(index(key))
    }

    fn user_update(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }
}
