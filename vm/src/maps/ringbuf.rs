//! Ring buffers: from programs to user space, and from user space to programs.
//!
//! The kernel maps the data twice in a row, so that a record which passes the end is contiguous. Here the memory is
//! twice as long instead: a record starts in the first half and may run into the second, which nothing else uses.

use super::Info;
use super::elements::Elements;
use super::mem::{self, Region};
use crate::Errno;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A record is still being written.
const BUSY: u32 = 1 << 31;
/// A record was given up.
const DISCARD: u32 = 1 << 30;
/// Bytes before each record.
const HEADER: u64 = 8;
/// Longest record.
const MAX_RECORD: u64 = (u32::MAX / 4) as u64;
/// Longest memory behind a dynptr.
const MAX_DYNPTR: u32 = (1 << 24) - 1;

/// Arguments of `bpf_ringbuf_query`.
pub mod query {
    #![allow(missing_docs)]
    pub const AVAIL_DATA: u64 = 0;
    pub const RING_SIZE: u64 = 1;
    pub const CONS_POS: u64 = 2;
    pub const PROD_POS: u64 = 3;
}

#[derive(Debug)]
struct Ring {
    data: Region,
    mask: u64,
    producer: AtomicU64,
    consumer: AtomicU64,
}

/// Bytes that a record of so many payload bytes takes.
fn whole(len: u64) -> u64 {
    (len + HEADER).next_multiple_of(8)
}

impl Ring {
    fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self {
            data: info.account.region(info.max_entries as usize, 2)?,
            mask: u64::from(info.max_entries) - 1,
            producer: AtomicU64::new(0),
            consumer: AtomicU64::new(0),
        })
    }

    /// The length word of the record at a position.
    fn length(&self, position: u64) -> &AtomicU32 {
        // SAFETY: positions are multiples of 8 and masked into the first half; the region lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.data.at((position & self.mask) as usize).as_ptr().cast()) }
    }

    fn payload(&self, position: u64) -> NonNull<u8> {
        self.data.at(((position & self.mask) + HEADER) as usize)
    }

    fn available(&self) -> u64 {
        let consumer = self.consumer.load(Ordering::Acquire);
        self.producer.load(Ordering::Acquire).wrapping_sub(consumer)
    }
}

/// `BPF_MAP_TYPE_RINGBUF`.
#[derive(Debug)]
pub struct Ringbuf {
    ring: Ring,
    /// Position of the oldest record that is not committed; held by who reserves.
    pending: Mutex<u64>,
    consuming: Mutex<()>,
}

impl Ringbuf {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self { ring: Ring::new(info)?, pending: Mutex::default(), consuming: Mutex::default() })
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.ring.data.contains(address, len)
    }

    /// A record of `len` bytes to write to, at an address aligned to 8; nothing when there is no room.
    pub fn reserve(&self, len: u64) -> Option<NonNull<u8>> {
        if len > MAX_RECORD || whole(len) > self.ring.mask + 1 {
            return None;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let consumer = self.ring.consumer.load(Ordering::Acquire);
        let start = self.ring.producer.load(Ordering::Relaxed);
        while *pending < start {
            let word = self.ring.length(*pending).load(Ordering::Acquire);
            if word & BUSY != 0 {
                break;
            }
            *pending += whole(u64::from(word & !DISCARD));
        }
        let end = start + whole(len);
        if end - consumer > self.ring.mask || end - *pending > self.ring.mask {
            return None;
        }
        self.ring.length(start).store(len as u32 | BUSY, Ordering::Relaxed);
        self.ring.producer.store(end, Ordering::Release);
        Some(self.ring.payload(start))
    }

    /// Whether an address is that of a record that waits to be submitted; its length.
    pub fn reserved(&self, record: u64) -> Option<u32> {
        let offset = record.wrapping_sub(self.ring.data.base().as_ptr() as u64).wrapping_sub(HEADER);
        if offset > self.ring.mask || !offset.is_multiple_of(8) {
            return None;
        }
        let word = self.ring.length(offset).load(Ordering::Acquire);
        (word & BUSY != 0).then_some(word & !BUSY)
    }

    /// Submits or discards a reserved record; [`Errno::EFAULT`] when the address is none.
    pub fn commit(&self, record: u64, discard: bool) -> Result<(), Errno> {
        let len = self.reserved(record).ok_or(Errno::EFAULT)?;
        let offset = record - self.ring.data.base().as_ptr() as u64 - HEADER;
        let word = len | if discard { DISCARD } else { 0 };
        self.ring.length(offset).store(word, Ordering::Release);
        Ok(())
    }

    /// `bpf_ringbuf_output`: a whole record at once; [`Errno::EAGAIN`] when there is no room.
    pub fn output(&self, bytes: &[u8]) -> Result<(), Errno> {
        let record = self.reserve(bytes.len() as u64).ok_or(Errno::EAGAIN)?;
        // SAFETY: the record has as many bytes.
        unsafe { mem::store(record.as_ptr(), bytes) };
        self.commit(record.as_ptr() as u64, false)
    }

    /// `bpf_ringbuf_query`.
    pub fn query(&self, what: u64) -> u64 {
        match what {
            query::AVAIL_DATA => self.ring.available(),
            query::RING_SIZE => self.ring.mask + 1,
            query::CONS_POS => self.ring.consumer.load(Ordering::Acquire),
            query::PROD_POS => self.ring.producer.load(Ordering::Acquire),
            _ => 0,
        }
    }

    /// What user space would read: hands each submitted record to `each`, oldest first, up to the first that is still
    /// being written. The number of records.
    pub fn consume(&self, mut each: impl FnMut(&[u8])) -> usize {
        let _one = self.consuming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        let mut buffer = Vec::new();
        loop {
            let at = self.ring.consumer.load(Ordering::Relaxed);
            if at == self.ring.producer.load(Ordering::Acquire) {
                return count;
            }
            let word = self.ring.length(at).load(Ordering::Acquire);
            if word & BUSY != 0 {
                return count;
            }
            let len = word & !DISCARD;
            if word & DISCARD == 0 {
                buffer.resize(len as usize, 0);
                // SAFETY: the record has as many bytes.
                unsafe { mem::load(self.ring.payload(at).as_ptr(), &mut buffer) };
                each(&buffer);
                count += 1;
            }
            self.ring.consumer.store(at + whole(u64::from(len)), Ordering::Release);
        }
    }
}

/// `BPF_MAP_TYPE_USER_RINGBUF`.
#[derive(Debug)]
pub struct UserRingbuf {
    ring: Ring,
    producing: Mutex<()>,
    draining: AtomicBool,
}

impl UserRingbuf {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self { ring: Ring::new(info)?, producing: Mutex::default(), draining: AtomicBool::new(false) })
    }

    pub(super) fn contains(&self, address: u64, len: u64) -> bool {
        self.ring.data.contains(address, len)
    }

    /// Puts a record in, as user space does; [`Errno::ENOSPC`] when there is no room, [`Errno::E2BIG`] when there
    /// never will be.
    pub fn produce(&self, bytes: &[u8]) -> Result<(), Errno> {
        let _one = self.producing.lock().unwrap_or_else(PoisonError::into_inner);
        let len = bytes.len() as u64;
        if len > MAX_RECORD || whole(len) > self.ring.mask + 1 {
            return Err(Errno::E2BIG);
        }
        let start = self.ring.producer.load(Ordering::Relaxed);
        if self.ring.available() + whole(len) > self.ring.mask + 1 {
            return Err(Errno::ENOSPC);
        }
        // SAFETY: the record has as many bytes.
        unsafe { mem::store(self.ring.payload(start).as_ptr(), bytes) };
        self.ring.length(start).store(len as u32, Ordering::Relaxed);
        self.ring.producer.store(start + whole(len), Ordering::Release);
        Ok(())
    }

    /// Starts a drain; [`Errno::EBUSY`] while another one goes on. End it with [`UserRingbuf::end`].
    pub fn begin(&self) -> Result<(), Errno> {
        let free = self.draining.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        free.map(drop).map_err(|_| Errno::EBUSY)
    }

    /// Ends a drain.
    pub fn end(&self) {
        self.draining.store(false, Ordering::Release);
    }

    /// Address and length of the oldest record; [`Errno::ENODATA`] when there is none.
    pub fn front(&self) -> Result<(NonNull<u8>, u32), Errno> {
        if self.ring.available() == 0 {
            return Err(Errno::ENODATA);
        }
        let at = self.ring.consumer.load(Ordering::Relaxed);
        let len = self.ring.length(at).load(Ordering::Acquire);
        if len > MAX_DYNPTR { Err(Errno::E2BIG) } else { Ok((self.ring.payload(at), len)) }
    }

    /// Takes the oldest record out, whose length [`UserRingbuf::front`] gave.
    pub fn release(&self, len: u32) {
        self.ring.consumer.fetch_add(whole(u64::from(len)), Ordering::Release);
    }

    /// Bytes inside, headers included.
    pub fn available(&self) -> u64 {
        self.ring.available()
    }
}

impl Elements for Ringbuf {
    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}

impl Elements for UserRingbuf {
    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        self.contains(address, len)
    }
}
