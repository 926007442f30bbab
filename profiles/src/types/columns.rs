//! Numbers of one sort side by side, which compress better than records; each column is compressed for itself.

use super::PackError;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read, Write};

/// Most bytes of one column that are believed.
const MAX_COLUMN: u64 = 16 << 20;

/// What is written to a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Column(Vec<u8>);

impl Column {
    pub(super) fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 & 0x7f | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Numbers near zero, of either sign.
    pub(super) fn push_signed(&mut self, value: i64) {
        self.push((value << 1 ^ value >> 63) as u64);
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends the column, compressed, with its size.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<(), PackError> {
        let failed = |_| PackError("a column cannot be compressed");
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&self.0).map_err(failed)?;
        let packed = encoder.finish().map_err(failed)?;
        for size in [self.0.len(), packed.len()] {
            out.extend_from_slice(&u32::try_from(size).map_err(|_| PackError("a column is too large"))?.to_le_bytes());
        }
        out.extend_from_slice(&packed);
        Ok(())
    }
}

/// Takes a 32-bit number from the front of bytes.
pub(super) fn take_u32(bytes: &mut &[u8]) -> Result<u32, PackError> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(PackError("it ends too early"))?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*head))
}

/// A column that is still compressed, taken from the front of bytes.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Result<(usize, &'a [u8]), PackError> {
    let (size, packed) = (take_u32(bytes)?, take_u32(bytes)? as usize);
    if packed > bytes.len() || u64::from(size) > MAX_COLUMN {
        return Err(PackError("a column is too large"));
    }
    let (column, rest) = bytes.split_at(packed);
    *bytes = rest;
    Ok((size as usize, column))
}

/// Decompresses a column.
pub(super) fn open((size, packed): (usize, &[u8])) -> Result<Vec<u8>, PackError> {
    let mut out = Vec::with_capacity(size);
    DeflateDecoder::new(packed)
        .take(size as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| PackError("a column cannot be decompressed"))?;
    if out.len() == size { Ok(out) } else { Err(PackError("a column has another size than it says")) }
}

/// Reads a column's numbers in turn.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u64, PackError> {
        // Most numbers have one byte.
        if let [first @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*first));
        }
        self.long()
    }

    fn long(&mut self) -> Result<u64, PackError> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (&byte, rest) = self.0.split_first().ok_or(PackError("a column ends too early"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > 63 {
                return Err(PackError("a number is too long"));
            }
        }
    }

    #[inline]
    pub(super) fn next_signed(&mut self) -> Result<i64, PackError> {
        let value = self.next()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
