//! Captures that were compressed with gzip or zstd: they are unpacked while they are read.

use super::CaptureError;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};

/// A source of which the first bytes have been looked at.
type Begun<'r> = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send + 'r>>;

/// First bytes of a gzip file (RFC 1952) and of a zstd frame (RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The capture's bytes: what `source` gives, unpacked if it is compressed, and never more than one layer.
pub(super) fn unpacked<'r>(mut source: Box<dyn Read + Send + 'r>) -> Result<Box<dyn Read + Send + 'r>, CaptureError> {
    let mut first = Vec::new();
    source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
    let (gzip, zstd) = (first.starts_with(&GZIP), first == ZSTD);
    let source: Begun<'r> = Cursor::new(first).chain(source);
    if gzip {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::new(source))));
    }
    if zstd {
        return Ok(Box::new(Frames { source: Some(BufReader::new(source)), frame: None }));
    }
    Ok(Box::new(source))
}

/// The frames of a zstd file, one after the other.
struct Frames<'r> {
    /// Where the next frame starts, between two frames.
    source: Option<BufReader<Begun<'r>>>,
    /// The frame that is being read.
    frame: Option<Box<StreamingDecoder<BufReader<Begun<'r>>, ruzstd::decoding::FrameDecoder>>>,
}

impl Read for Frames<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let n = frame.read(out)?;
                if n > 0 || out.is_empty() {
                    return Ok(n);
                }
                self.source = self.frame.take().map(|frame| frame.into_inner());
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let broken = |e: ruzstd::decoding::errors::FrameDecoderError| std::io::Error::other(format!("zstd: {e}"));
            self.frame = Some(Box::new(StreamingDecoder::new(source).map_err(broken)?));
        }
    }
}
