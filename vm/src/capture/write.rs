//! Writing captures: pcap with nanoseconds, or pcapng with one interface. Both in little-endian order.

use super::{CaptureError, Record};
use std::io::Write;

/// Most bytes of a packet that readers expect.
const SNAP_LEN: u32 = 262_144;

/// File format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// pcap with timestamps in nanoseconds.
    #[default]
    Pcap,
    /// pcapng.
    Pcapng,
}

impl Format {
    /// The format that a file name asks for: pcapng by its extension, otherwise pcap.
    pub fn of(path: &std::path::Path) -> Self {
        if path.extension().is_some_and(|e| e == "pcapng") { Self::Pcapng } else { Self::Pcap }
    }
}

/// A capture being written. Give it a buffered writer.
pub struct Writer<W> {
    out: W,
    format: Format,
    block: Vec<u8>,
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|w| w.to_le_bytes()));
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    pub fn new(mut out: W, format: Format, link_type: u32) -> Result<Self, CaptureError> {
        let mut head = Vec::new();
        match format {
            Format::Pcap => words(&mut head, &[0xa1b2_3c4d, 2 | 4 << 16, 0, 0, SNAP_LEN, link_type]),
            Format::Pcapng => {
                // Section: order mark, version 1.0, unknown length.
                words(&mut head, &[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
                // Interface with the option if_tsresol (9): 10^-9 seconds.
                words(&mut head, &[1, 32, link_type, SNAP_LEN, 9 | 1 << 16, 9, 0, 32]);
            }
        }
        out.write_all(&head)?;
        Ok(Self { out, format, block: Vec::new() })
    }

    /// Appends a packet.
    pub fn write(&mut self, record: &Record, data: &[u8]) -> Result<(), CaptureError> {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let wire_len = record.wire_len.max(len);
        self.block.clear();
        match self.format {
            Format::Pcap => {
                let (seconds, rest) = (record.time_ns / 1_000_000_000, record.time_ns % 1_000_000_000);
                words(&mut self.block, &[seconds as u32, rest as u32, len, wire_len]);
                self.block.extend_from_slice(data);
            }
            Format::Pcapng => {
                let total = 32 + len.next_multiple_of(4);
                let (high, low) = ((record.time_ns >> 32) as u32, record.time_ns as u32);
                words(&mut self.block, &[6, total, 0, high, low, len, wire_len]);
                self.block.extend_from_slice(data);
                self.block.resize(total as usize - 4, 0);
                words(&mut self.block, &[total]);
            }
        }
        Ok(self.out.write_all(&self.block)?)
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> Result<(), CaptureError> {
        Ok(self.out.flush()?)
    }
}
