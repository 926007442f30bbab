//! Dynptrs: 16 bytes on the stack that describe memory.

use super::Row;
use super::cx::{self, Ret};
use crate::{Errno, Fault, Run};

pub(super) const ROWS: &[Row] =
    &[("dynptr_from_mem", from_mem), ("dynptr_read", read), ("dynptr_write", write), ("dynptr_data", data)];

/// Bytes of a dynptr.
pub(crate) const BYTES: u64 = 16;
/// Largest memory behind one (`DYNPTR_MAX_SIZE`).
pub(crate) const MAX_SIZE: u64 = (1 << 24) - 1;
const SIZE_MASK: u32 = MAX_SIZE as u32;
const KIND_SHIFT: u32 = 28;
const READ_ONLY: u32 = 1 << 31;

/// What a dynptr describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Local,
    Ringbuf,
    Skb,
    Xdp,
}

/// A dynptr as it stands in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynptr {
    /// Address of the memory; for packets, any number but zero.
    pub data: u64,
    word: u32,
    pub offset: u32,
}

impl Dynptr {
    pub const NULL: Self = Self { data: 0, word: 0, offset: 0 };

    pub fn new(data: u64, kind: Kind, size: u32) -> Self {
        Self { data, word: (kind as u32) << KIND_SHIFT | size & SIZE_MASK, offset: 0 }
    }

    pub fn load(run: &mut Run, at: u64) -> Result<Self, Fault> {
        let mut bytes = [0; BYTES as usize];
        run.read(at, &mut bytes)?;
        let half = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let data = u64::from_ne_bytes(bytes[..8].try_into().unwrap_or_default());
        Ok(Self { data, word: half(8), offset: half(12) })
    }

    /// What a call gives that makes none: the error, and a dynptr of nothing.
    pub fn refuse(run: &mut Run, at: u64, errno: Errno) -> Ret {
        Self::NULL.store(run, at)?;
        cx::fail(errno)
    }

    /// One whose bytes in a range may be written. The inner error is the kernel's answer.
    pub fn writable(run: &mut Run, at: u64, offset: u32, len: u32) -> Result<Result<Self, Errno>, Fault> {
        let ptr = Self::load(run, at)?;
        Ok(if ptr.data == 0 || ptr.is_read_only() { Err(Errno::EINVAL) } else { ptr.check(offset, len).map(|()| ptr) })
    }

    pub fn store(self, run: &mut Run, at: u64) -> Result<(), Fault> {
        let mut bytes = [0; BYTES as usize];
        bytes[..8].copy_from_slice(&self.data.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.word.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_ne_bytes());
        // Memory of the run itself, such as the dynptr that a callback gets, is not the program's to write.
        if at == run.state.scratch() {
            run.state.set_scratch(&bytes);
            return Ok(());
        }
        run.write(at, &bytes)
    }

    pub fn kind(self) -> Kind {
        match self.word >> KIND_SHIFT & 7 {
            1 => Kind::Local,
            2 => Kind::Ringbuf,
            3 => Kind::Skb,
            4 => Kind::Xdp,
            _ => Kind::None,
        }
    }

    pub fn size(self) -> u32 {
        self.word & SIZE_MASK
    }

    pub fn set_size(&mut self, size: u32) {
        self.word = self.word & !SIZE_MASK | size & SIZE_MASK;
    }

    pub fn is_read_only(self) -> bool {
        self.word & READ_ONLY != 0
    }

    pub fn make_read_only(&mut self) {
        self.word |= READ_ONLY;
    }

    /// Whether a range lies inside; [`Errno::E2BIG`] otherwise.
    pub fn check(self, offset: u32, len: u32) -> Result<(), Errno> {
        let size = self.size();
        if len > size || offset > size - len { Err(Errno::E2BIG) } else { Ok(()) }
    }

    /// Bytes at an offset, which [`Dynptr::check`] has allowed. The inner error is the kernel's answer.
    pub fn get(self, run: &mut Run, offset: u32, len: u32) -> Result<Result<Vec<u8>, Errno>, Fault> {
        let at = u64::from(self.offset) + u64::from(offset);
        Ok(match self.kind() {
            Kind::Skb | Kind::Xdp => {
                let mut bytes = vec![0; (len as usize).min(run.packet.full_len())];
                let whole = bytes.len() == len as usize && run.packet.read_at(at as usize, &mut bytes);
                whole.then_some(bytes).ok_or(Errno::EFAULT)
            }
            _ => Ok(cx::copy(run, self.data.wrapping_add(at), len as usize)?.to_vec()),
        })
    }

    /// Writes bytes at an offset that was checked.
    pub fn put(self, run: &mut Run, offset: u32, bytes: &[u8]) -> Result<Result<(), Errno>, Fault> {
        let at = u64::from(self.offset) + u64::from(offset);
        match self.kind() {
            Kind::Skb | Kind::Xdp => Ok(run.packet.write_at(at as usize, bytes).then_some(()).ok_or(Errno::EFAULT)),
            _ => {
                cx::write(run, self.data.wrapping_add(at), bytes)?;
                Ok(Ok(()))
            }
        }
    }

    /// Sets bytes at an offset that was checked.
    pub fn fill(self, run: &mut Run, offset: u32, len: u32, value: u8) -> Result<Result<(), Errno>, Fault> {
        let at = u64::from(self.offset) + u64::from(offset);
        match self.kind() {
            Kind::Skb | Kind::Xdp => {
                let fits = at + u64::from(len) <= run.packet.full_len() as u64;
                Ok((fits && run.packet.write_at(at as usize, &vec![value; len as usize]))
                    .then_some(())
                    .ok_or(Errno::EFAULT))
            }
            _ => {
                cx::fill(run, self.data.wrapping_add(at), len.into(), value)?;
                Ok(Ok(()))
            }
        }
    }

    /// Address of a range that was checked; `None` when it does not lie in one piece, or the packet has become shorter.
    pub fn address(self, run: &mut Run, offset: u32, len: u32) -> Option<u64> {
        let at = u64::from(self.offset) + u64::from(offset);
        match self.kind() {
            Kind::Skb | Kind::Xdp => {
                let (address, in_page) = run.packet.piece(at as usize, len as usize)?;
                if in_page {
                    cx::add_region(run, address, len.into(), "a page of the packet", true);
                }
                Some(address)
            }
            _ => Some(self.data.wrapping_add(at)),
        }
    }
}

fn from_mem(run: &mut Run, [address, size, flags, to, _]: [u64; 5]) -> Ret {
    let size = u64::from(size as u32);
    if size > MAX_SIZE {
        return Dynptr::refuse(run, to, Errno::E2BIG);
    }
    if flags != 0 {
        return Dynptr::refuse(run, to, Errno::EINVAL);
    }
    Dynptr::new(address, Kind::Local, size as u32).store(run, to)?;
    Ok(0)
}

fn read(run: &mut Run, [to, len, from, offset, flags]: [u64; 5]) -> Ret {
    let (len, offset) = (len as u32, offset as u32);
    let ptr = Dynptr::load(run, from)?;
    if ptr.data == 0 || flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if let Err(errno) = ptr.check(offset, len) {
        return cx::fail(errno);
    }
    match ptr.get(run, offset, len)? {
        Ok(bytes) => {
            cx::write(run, to, &bytes)?;
            Ok(0)
        }
        Err(errno) => {
            cx::clear(run, to, len.into())?;
            cx::fail(errno)
        }
    }
}

fn write(run: &mut Run, [to, offset, from, len, flags]: [u64; 5]) -> Ret {
    let (len, offset) = (len as u32, offset as u32);
    let ptr = match Dynptr::writable(run, to, offset, len)? {
        Ok(ptr) => ptr,
        Err(errno) => return cx::fail(errno),
    };
    match ptr.kind() {
        Kind::Skb => super::skb::store(run, ptr.offset.wrapping_add(offset), from, len, flags),
        _ if flags != 0 => cx::fail(Errno::EINVAL),
        _ => {
            let bytes = cx::copy(run, from, len as usize)?.to_vec();
            let done = ptr.put(run, offset, &bytes)?;
            cx::status(done)
        }
    }
}

fn data(run: &mut Run, [at, offset, len, ..]: [u64; 5]) -> Ret {
    let (len, offset) = (len as u32, offset as u32);
    let ptr = Dynptr::load(run, at)?;
    if ptr.data == 0 || ptr.check(offset, len).is_err() || ptr.is_read_only() {
        return Ok(0);
    }
    // Packets are reached with slices, since they may not be in one piece.
    if matches!(ptr.kind(), Kind::Skb | Kind::Xdp) {
        return Ok(0);
    }
    Ok(ptr.address(run, offset, len).unwrap_or(0))
}
