//! The packet of a run: one buffer with room before and after the bytes.

pub(crate) mod csum;
mod skb;

pub use csum::Sum;
pub(crate) use skb::protocol;
pub use skb::{Checksum, Skb, TunnelKey};

use crate::Errno;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::net::ETH_HLEN;

/// Bytes before the packet for headers and metadata (kernel: `XDP_PACKET_HEADROOM`).
pub const HEADROOM: usize = 256;
/// Bytes after the packet that it can grow by.
pub const TAILROOM: usize = 512;
/// Bytes of a driver's buffer that headroom, packet and tailroom share: a page less what the kernel keeps at its end.
pub const FRAME: usize = 4096 - 320;
/// Bytes of a page.
const PAGE: usize = ebpfkit_abi::limits::PAGE_SIZE as usize;
/// Longest metadata.
const MAX_META: usize = 255;
/// Bytes at the start of the headroom that stay the kernel's (`struct xdp_frame`).
pub const FRAME_HEAD: usize = 40;

/// Where packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As `BPF_PROG_TEST_RUN` hands them over: socket filters see what follows the Ethernet header.
    TestRun,
    /// As a network interface would: socket filters see the whole frame, like those of packet sockets.
    Wire,
}

/// Whether the packet that programs see starts with the Ethernet header.
#[inline]
pub(crate) fn starts_at_link(kind: ProgType, origin: Origin) -> bool {
    use ProgType as P;
    match kind {
        P::Xdp | P::SchedCls | P::SchedAct | P::FlowDissector | P::Unspec => true,
        P::SocketFilter => origin == Origin::Wire,
        _ => false,
    }
}

/// A packet in its buffer: headroom, metadata, data, tailroom.
#[derive(Debug, Default)]
pub struct Packet {
    buffer: Vec<u64>,
    capacity: usize,
    meta: usize,
    data: usize,
    end: usize,
    /// How far the end may move when the buffer is a driver's.
    limit: usize,
    /// Bytes behind the end that lie in pages of their own, which programs reach through helpers alone.
    frags: Vec<u8>,
    /// Edges have moved since the run last looked.
    pub(crate) moved: bool,
}

impl Packet {
    /// Puts a new packet in, with no metadata. The buffer is kept where it is large enough.
    #[inline]
    pub fn set(&mut self, bytes: &[u8]) {
        self.limit = FRAME.max(HEADROOM + bytes.len());
        let needed = self.limit.max(HEADROOM + bytes.len() + TAILROOM);
        if self.capacity < needed {
            self.grow(needed);
        }
        self.moved = true;
        self.frags.clear();
        (self.meta, self.data, self.end) = (HEADROOM, HEADROOM, HEADROOM + bytes.len());
        self.all_mut()[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.buffer = vec![0; needed.div_ceil(8)];
        self.capacity = self.buffer.len() * 8;
    }

    #[inline]
    fn all(&self) -> &[u8] {
        // SAFETY: the words are initialised, and any bytes are valid `u8`.
        unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast(), self.capacity) }
    }

    #[inline]
    fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `all`; any bytes are valid `u64`.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.as_mut_ptr().cast(), self.capacity) }
    }

    /// The packet's bytes, without metadata.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.all()[self.data..self.end]
    }

    /// The packet's bytes, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (data, end) = (self.data, self.end);
        &mut self.all_mut()[data..end]
    }

    /// The memory before the metadata and behind the packet's end, which programs may not use.
    pub fn surroundings(&self) -> (&[u8], &[u8]) {
        (&self.all()[..self.meta], &self.all()[self.end..])
    }

    /// Bytes at a distance from the packet's first one, which may lie before it.
    pub fn around(&self, first: i64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(self.data as i64 + first).ok()?;
        let end = start.checked_add(len).filter(|e| *e <= self.end)?;
        Some(&self.all()[start..end])
    }

    /// The metadata before the packet.
    pub fn meta(&self) -> &[u8] {
        &self.all()[self.meta..self.data]
    }

    /// Puts metadata before the packet, at most the headroom.
    pub(crate) fn set_meta(&mut self, bytes: &[u8]) {
        let data = self.data;
        self.meta = data - bytes.len();
        let meta = self.meta;
        self.all_mut()[meta..data].copy_from_slice(bytes);
        self.moved = true;
    }

    /// Bytes free before the metadata.
    pub fn headroom(&self) -> usize {
        self.meta
    }

    /// Bytes free after the packet.
    pub fn tailroom(&self) -> usize {
        self.capacity - self.end
    }

    /// Puts bytes behind those that programs see, as a driver does whose pages are smaller than a packet.
    pub(crate) fn set_frags(&mut self, bytes: &[u8]) {
        self.frags.clear();
        self.frags.extend_from_slice(bytes);
    }

    /// Bytes behind those that programs see.
    pub fn frags(&self) -> &[u8] {
        &self.frags
    }

    /// Bytes of the packet with those that programs do not see.
    pub fn full_len(&self) -> usize {
        self.len() + self.frags.len()
    }

    /// Address of bytes that lie in one piece, and whether that is a page behind those that programs see.
    pub(crate) fn piece(&self, offset: usize, len: usize) -> Option<(u64, bool)> {
        let end = offset.checked_add(len).filter(|end| *end <= self.full_len())?;
        let Some(behind) = offset.checked_sub(self.len()).filter(|_| !self.frags.is_empty()) else {
            return (end <= self.len()).then(|| (self.addresses().1 + offset as u64, false));
        };
        let one = behind % PAGE + len <= PAGE;
        one.then(|| (self.frags.as_ptr() as u64 + behind as u64, true))
    }

    /// Copies out of the packet, [`Packet::frags`] included; false when it has not so many bytes.
    pub(crate) fn read_at(&self, offset: usize, out: &mut [u8]) -> bool {
        if offset.checked_add(out.len()).is_none_or(|end| end > self.full_len()) {
            return false;
        }
        let linear = self.bytes().get(offset..).unwrap_or_default();
        let (first, rest) = out.split_at_mut(linear.len().min(out.len()));
        first.copy_from_slice(&linear[..first.len()]);
        let from = offset.saturating_sub(self.len());
        rest.copy_from_slice(&self.frags[from..from + rest.len()]);
        true
    }

    /// Copies into the packet, [`Packet::frags`] included; false when it has not so many bytes.
    pub(crate) fn write_at(&mut self, offset: usize, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.full_len()) {
            return false;
        }
        let len = self.len();
        let linear = self.bytes_mut().get_mut(offset..).unwrap_or_default();
        let (first, rest) = bytes.split_at(linear.len().min(bytes.len()));
        linear[..first.len()].copy_from_slice(first);
        let from = offset.saturating_sub(len);
        self.frags[from..from + rest.len()].copy_from_slice(rest);
        true
    }

    /// Bytes of the packet.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.data
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.end == self.data
    }

    /// Moves the edges: metadata start, data start and end, as signed distances. False, and nothing changed, when an
    /// edge would leave the buffer or pass another.
    pub fn adjust(&mut self, meta: i64, data: i64, end: i64) -> bool {
        let moved = |edge: usize, by: i64| usize::try_from(edge as i64 + by).ok();
        let (Some(m), Some(d), Some(e)) = (moved(self.meta, meta), moved(self.data, data), moved(self.end, end)) else {
            return false;
        };
        if m > d || d > e || e > self.capacity {
            return false;
        }
        self.moved = true;
        (self.meta, self.data, self.end) = (m, d, e);
        true
    }

    /// Moves the start of the data by a distance, as `bpf_xdp_adjust_head` does: the metadata moves along. False, and
    /// nothing changed, when less than an Ethernet header would be left or the headroom ends.
    pub fn xdp_head(&mut self, by: i64) -> bool {
        let meta_len = self.data - self.meta;
        let Ok(data) = usize::try_from(self.data as i64 + by) else { return false };
        if data < FRAME_HEAD + meta_len || data + ETH_HLEN > self.end {
            return false;
        }
        let (from, to) = (self.meta, data - meta_len);
        self.all_mut().copy_within(from..from + meta_len, to);
        self.moved = true;
        (self.meta, self.data) = (to, data);
        true
    }

    /// Moves the end by a distance, as `bpf_xdp_adjust_tail` does: new bytes are zeros.
    pub fn xdp_tail(&mut self, by: i64) -> bool {
        if !self.frags.is_empty() {
            return self.frags_tail(by);
        }
        let Ok(end) = usize::try_from(self.end as i64 + by) else { return false };
        if end > self.limit || end < self.data + ETH_HLEN {
            return false;
        }
        if end > self.end {
            let old = self.end;
            self.all_mut()[old..end].fill(0);
        }
        self.moved = true;
        self.end = end;
        true
    }

    /// Moves the end of the last page behind the packet: it grows up to the page's end. What is cut may leave pages, and
    /// the packet itself, shorter.
    fn frags_tail(&mut self, by: i64) -> bool {
        let used = (self.frags.len() - 1) % PAGE + 1;
        let new = self.full_len() as i64 + by;
        if by > (PAGE - used) as i64 || new < ETH_HLEN as i64 {
            return false;
        }
        self.moved = true;
        let behind = new - self.len() as i64;
        self.frags.resize(usize::try_from(behind).unwrap_or(0), 0);
        self.end = (self.end as i64 + behind.min(0)) as usize;
        true
    }

    /// Moves the start of the metadata by a distance, as `bpf_xdp_adjust_meta` does.
    pub fn xdp_meta(&mut self, by: i64) -> Result<(), Errno> {
        let meta = usize::try_from(self.meta as i64 + by).map_err(|_| Errno::EINVAL)?;
        if meta < FRAME_HEAD || meta > self.data {
            return Err(Errno::EINVAL);
        }
        let len = self.data - meta;
        if !len.is_multiple_of(4) || len > MAX_META {
            return Err(Errno::EACCES);
        }
        self.moved = true;
        self.meta = meta;
        Ok(())
    }

    /// Puts zeros before the packet; metadata is lost.
    pub fn push_front(&mut self, len: usize) {
        self.moved = true;
        self.meta = self.data;
        self.reserve(len, 0);
        let data = self.data - len;
        self.all_mut()[data..data + len].fill(0);
        self.moved = true;
        (self.meta, self.data) = (data, data);
    }

    /// Moves the `offset` bytes that follow the first `len` ones to the front and zeroes what they leave. As in the
    /// kernel, the packet's end does not matter: bytes behind it move along.
    pub fn open_gap(&mut self, offset: usize, len: usize) {
        let (data, capacity) = (self.data, self.capacity);
        let all = self.all_mut();
        all.copy_within((data + len).min(capacity)..(data + len + offset).min(capacity), data);
        all[(data + offset).min(capacity)..(data + offset + len).min(capacity)].fill(0);
    }

    /// Takes bytes from the front, at most all of them; metadata is lost.
    pub fn pull_front(&mut self, len: usize) {
        self.data = self.end.min(self.data + len);
        self.moved = true;
        self.meta = self.data;
    }

    /// Sets the length: cut at the end, or grown with zeros.
    pub fn set_len(&mut self, len: usize) {
        let old = self.len();
        if len > old {
            self.reserve(0, len - old);
            let end = self.end;
            self.all_mut()[end..end + len - old].fill(0);
        }
        self.moved = true;
        self.end = self.data + len;
    }

    /// Makes sure that there is room before and after; the bytes may move.
    pub fn reserve(&mut self, before: usize, after: usize) {
        if before <= self.headroom() && after <= self.tailroom() {
            return;
        }
        let used = self.all()[self.meta..self.end].to_vec();
        let meta_len = self.data - self.meta;
        let headroom = before.max(HEADROOM);
        let needed = headroom + used.len() + after.max(TAILROOM);
        self.buffer = vec![0; needed.div_ceil(8)];
        self.capacity = self.buffer.len() * 8;
        self.limit = (self.limit + headroom + used.len()).saturating_sub(self.end);
        self.moved = true;
        (self.meta, self.data, self.end) = (headroom, headroom + meta_len, headroom + used.len());
        self.all_mut()[headroom..headroom + used.len()].copy_from_slice(&used);
    }

    /// Addresses of metadata, data and end.
    #[inline]
    pub fn addresses(&self) -> (u64, u64, u64) {
        let base = self.buffer.as_ptr() as u64;
        (base + self.meta as u64, base + self.data as u64, base + self.end as u64)
    }
}
