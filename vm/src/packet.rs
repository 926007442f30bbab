//! The packet of a run: one buffer with room before and after the bytes.

/// Bytes before the packet for headers and metadata (kernel: `XDP_PACKET_HEADROOM`).
pub const HEADROOM: usize = 256;
/// Bytes after the packet that it can grow by.
pub const TAILROOM: usize = 512;

/// A packet in its buffer: headroom, metadata, data, tailroom.
#[derive(Debug, Default)]
pub struct Packet {
    buffer: Vec<u64>,
    capacity: usize,
    meta: usize,
    data: usize,
    end: usize,
}

impl Packet {
    /// Puts a new packet in, with no metadata. The buffer is kept where it is large enough.
    pub fn set(&mut self, bytes: &[u8]) {
        let needed = HEADROOM + bytes.len() + TAILROOM;
        if self.capacity < needed {
            self.buffer = vec![0; needed.div_ceil(8)];
            self.capacity = self.buffer.len() * 8;
        }
        (self.meta, self.data, self.end) = (HEADROOM, HEADROOM, HEADROOM + bytes.len());
        self.all_mut()[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
    }

    fn all(&self) -> &[u8] {
        // SAFETY: the words are initialised, and any bytes are valid `u8`.
        unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast(), self.capacity) }
    }

    fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `all`; any bytes are valid `u64`.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.as_mut_ptr().cast(), self.capacity) }
    }

    /// The packet's bytes, without metadata.
    pub fn bytes(&self) -> &[u8] {
        &self.all()[self.data..self.end]
    }

    /// The packet's bytes, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (data, end) = (self.data, self.end);
        &mut self.all_mut()[data..end]
    }

    /// The metadata before the packet.
    pub fn meta(&self) -> &[u8] {
        &self.all()[self.meta..self.data]
    }

    /// Bytes free before the metadata.
    pub fn headroom(&self) -> usize {
        self.meta
    }

    /// Bytes free after the packet.
    pub fn tailroom(&self) -> usize {
        self.capacity - self.end
    }

    /// Bytes of the packet.
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
        (self.meta, self.data, self.end) = (m, d, e);
        true
    }

    /// Makes sure that there is room before and after; the bytes may move.
    pub fn reserve(&mut self, before: usize, after: usize) {
        if before <= self.headroom() && after <= self.tailroom() {
            return;
        }
        let used = self.all()[self.meta..self.end].to_vec();
        let meta_len = self.data - self.meta;
        let front = before.max(HEADROOM);
        let needed = front + used.len() + after.max(TAILROOM);
        self.buffer = vec![0; needed.div_ceil(8)];
        self.capacity = self.buffer.len() * 8;
        (self.meta, self.data, self.end) = (front, front + meta_len, front + used.len());
        self.all_mut()[front..front + used.len()].copy_from_slice(&used);
    }

    /// Addresses of metadata, data and end.
    #[inline]
    pub fn addresses(&self) -> (u64, u64, u64) {
        let base = self.buffer.as_ptr() as u64;
        (base + self.meta as u64, base + self.data as u64, base + self.end as u64)
    }
}
