//! pcap files: a header, then packets in a row. They are read in the buffer that the file is read into.

use super::{CaptureError, Record};
use std::io::{ErrorKind, Read};

/// Bytes of the file's header.
pub(super) const HEADER: usize = 24;
/// Bytes of the buffer at the start: large enough that reads are rare, small enough for a cache.
const BUFFER: usize = 1 << 16;
/// Most bytes of one packet: none comes near it.
const MOST: usize = 1 << 26;

/// What the header's first four bytes say.
#[derive(Clone, Copy)]
pub(super) struct Magic {
    big_endian: bool,
    /// Nanoseconds of a timestamp's fraction.
    unit: u64,
    /// Bytes before each packet.
    head: usize,
}

impl Magic {
    /// `None` for what is no pcap file.
    pub(super) fn of(bytes: [u8; 4]) -> Option<Self> {
        let little = u32::from_le_bytes(bytes);
        let big_endian = matches!(little, 0xd4c3_b2a1 | 0x4d3c_b2a1);
        let (unit, head) = match if big_endian { little.swap_bytes() } else { little } {
            0xa1b2_c3d4 => (1000, 16),
            0xa1b2_3c4d => (1, 16),
            // Kuznetzov's: an interface and a protocol follow the lengths.
            0xa1b2_cd34 => (1000, 24),
            _ => return None,
        };
        Some(Self { big_endian, unit, head })
    }

    #[inline]
    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let word = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if self.big_endian { word.swap_bytes() } else { word }
    }
}

/// A pcap file being read.
pub(super) struct Pcap<R> {
    source: R,
    magic: Magic,
    link_type: u32,
    buffer: Vec<u8>,
    /// What of the buffer is filled and not yet lent.
    start: usize,
    end: usize,
    /// Bytes of the packet that is lent, which end at `start`.
    len: usize,
    /// Offset in the file of the buffer's first byte.
    offset: u64,
}

impl<R: Read> Pcap<R> {
    /// Starts to read; `source` begins with the header.
    pub(super) fn new(source: R, magic: Magic) -> Result<Self, CaptureError> {
        let buffer = vec![0; BUFFER];
        let mut this = Self { source, magic, link_type: 0, buffer, start: 0, end: 0, len: 0, offset: 0 };
        if !this.fill(HEADER)? {
            return Err(this.malformed("the file ends inside its header".into()));
        }
        this.link_type = magic.word(&this.buffer, 20);
        this.start = HEADER;
        Ok(this)
    }

    fn malformed(&self, found: String) -> CaptureError {
        CaptureError::Malformed { at: self.offset + self.start as u64, found }
    }

    /// Makes sure that so many bytes wait in the buffer; false when the file ends before.
    #[cold]
    fn fill(&mut self, needed: usize) -> Result<bool, CaptureError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.offset += self.start as u64;
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < needed {
            if self.end == self.buffer.len() {
                // As much again, so that a length alone does not take memory.
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(true)
    }

    /// The bytes of the packet that was read last.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        &self.buffer[self.start - self.len..self.start]
    }

    /// The next packet, whose bytes are then in [`Self::data`]; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Record>, CaptureError> {
        let magic = self.magic;
        if self.end - self.start < magic.head && !self.fill(magic.head)? {
            return match self.end {
                0 => Ok(None),
                _ => Err(self.malformed("the file ends inside a packet".into())),
            };
        }
        let len = magic.word(&self.buffer, self.start + 8) as usize;
        if len > MOST {
            return Err(self.malformed(format!("a packet of {len} bytes; expected at most {MOST}")));
        }
        let whole = magic.head + len;
        if self.end - self.start < whole && !self.fill(whole)? {
            return Err(self.malformed("the file ends inside a packet".into()));
        }
        let head = &self.buffer[self.start..self.start + magic.head];
        let time_ns = u64::from(magic.word(head, 0)) * 1_000_000_000 + u64::from(magic.word(head, 4)) * magic.unit;
        let record = Record { number: 0, time_ns, wire_len: magic.word(head, 12), link_type: self.link_type };
        (self.start, self.len) = (self.start + whole, len);
        Ok(Some(record))
    }
}
