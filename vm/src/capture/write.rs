//! Writing captures: pcap with nanoseconds, or pcapng with one interface. Both in little-endian order.

use super::{CaptureError, Record};
use std::io::Write;

/// Most bytes of a packet that readers expect.
const SNAP_LEN: u32 = 262_144;

/// Longest comment on a packet: the option has its length in 16 bits.
const MAX_COMMENT: usize = u16::MAX as usize;
/// The option of pcapng that is a comment.
const OPT_COMMENT: u32 = 1;

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
}

/// Words as little-endian bytes.
fn words<W: Write>(out: &mut W, words: &[u32]) -> std::io::Result<()> {
    let mut bytes = [[0; 4]; 8];
    for chunk in words.chunks(bytes.len()) {
        for (to, word) in bytes.iter_mut().zip(chunk) {
            *to = word.to_le_bytes();
        }
        out.write_all(bytes[..chunk.len()].as_flattened())?;
    }
    Ok(())
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    pub fn new(mut out: W, format: Format, link_type: u32) -> Result<Self, CaptureError> {
        match format {
            Format::Pcap => words(&mut out, &[0xa1b2_3c4d, 2 | 4 << 16, 0, 0, SNAP_LEN, link_type])?,
            Format::Pcapng => {
                // Section: order mark, version 1.0, unknown length.
                words(&mut out, &[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28])?;
                // Interface with the option if_tsresol (9): 10^-9 seconds.
                words(&mut out, &[1, 32, link_type, SNAP_LEN, 9 | 1 << 16, 9, 0, 32])?;
            }
        }
        Ok(Self { out, format })
    }

    /// Whether comments on packets can be written.
    pub fn takes_comments(&self) -> bool {
        self.format == Format::Pcapng
    }

    /// Appends a packet.
    pub fn write(&mut self, record: &Record, data: &[u8]) -> Result<(), CaptureError> {
        self.write_with(record, data, "")
    }

    /// Appends a packet with a comment, which only pcapng has place for; an empty one is none.
    pub fn write_with(&mut self, record: &Record, data: &[u8], comment: &str) -> Result<(), CaptureError> {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let wire_len = record.wire_len.max(len);
        match self.format {
            Format::Pcap => {
                let (seconds, rest) = (record.time_ns / 1_000_000_000, record.time_ns % 1_000_000_000);
                words(&mut self.out, &[seconds as u32, rest as u32, len, wire_len])?;
                self.out.write_all(data)?;
            }
            Format::Pcapng => {
                let padding = len.next_multiple_of(4) - len;
                let comment = &comment.as_bytes()[..comment.len().min(MAX_COMMENT)];
                let comment_len = comment.len() as u32;
                let comment_padding = comment_len.next_multiple_of(4) - comment_len;
                // The option, and the one that ends them.
                let options = if comment.is_empty() { 0 } else { 8 + comment_len + comment_padding };
                let total = 32 + len + padding + options;
                let (high, low) = ((record.time_ns >> 32) as u32, record.time_ns as u32);
                words(&mut self.out, &[6, total, 0, high, low, len, wire_len])?;
                self.out.write_all(data)?;
                self.out.write_all(&[0; 3][..padding as usize])?;
                if options != 0 {
                    words(&mut self.out, &[OPT_COMMENT | comment_len << 16])?;
                    self.out.write_all(comment)?;
                    self.out.write_all(&[0; 3][..comment_padding as usize])?;
                    words(&mut self.out, &[0])?;
                }
                words(&mut self.out, &[total])?;
            }
        }
        Ok(())
    }

    /// Writes out what is buffered, and gives back what was written to.
    pub fn finish(mut self) -> Result<W, CaptureError> {
        self.out.flush()?;
        Ok(self.out)
    }
}
