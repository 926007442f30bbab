//! Reading captures of either format and byte order.

use super::pcap::{Magic, Pcap};
use super::{CaptureError, Record, compressed};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
use std::io::{Cursor, Read};

/// Bytes of a pcapng file read at once, and most bytes of one block: no packet comes near it.
const START: usize = 1 << 18;
const MOST: usize = 1 << 26;
/// Interfaces of one pcapng section, at most; more are a broken file.
const MOST_INTERFACES: usize = 1 << 16;

/// An interface of a pcapng section.
#[derive(Clone, Copy)]
struct Interface {
    link_type: u32,
    /// Timestamp units of a second.
    units: u128,
    /// Seconds that are added to timestamps.
    offset: i64,
    /// Bytes kept of a packet; zero for all.
    snap_len: u32,
}

/// A capture being read.
pub struct Reader<'r> {
    kind: Kind<'r>,
    packets: u64,
    cut: u64,
    skips_cut: bool,
}

enum Kind<'r> {
    Pcap(Pcap<Box<dyn Read + Send + 'r>>),
    Pcapng(Pcapng<'r>),
}

/// A pcapng file being read.
struct Pcapng<'r> {
    inner: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    capacity: usize,
    /// The packet that is lent.
    data: Vec<u8>,
}

/// Timestamp units of a second: a power of two or of ten, as the option says. Finer ones than any clock has are cut,
/// which makes their timestamps zero.
fn units(resolution: u8) -> u128 {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 != 0 { 1 << exponent } else { 10u128.checked_pow(exponent).unwrap_or(u128::MAX) }
}

fn nanoseconds(stamp: u64, interface: &Interface) -> u64 {
    let ns = u128::from(stamp) * 1_000_000_000 / interface.units;
    let ns = i128::try_from(ns).unwrap_or(i128::MAX).saturating_add(i128::from(interface.offset) * 1_000_000_000);
    u64::try_from(ns).unwrap_or(0)
}

fn explain(e: &PcapError<&[u8]>) -> String {
    match e {
        PcapError::Eof => "an empty file".into(),
        PcapError::HeaderNotRecognized => "neither pcap nor pcapng".into(),
        PcapError::UnexpectedEof | PcapError::Incomplete(_) => "the file ends inside a packet".into(),
        PcapError::BufferTooSmall => format!("a block of more than {MOST} bytes"),
        PcapError::ReadError => "it cannot be read".into(),
        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => format!("a broken block ({kind:?})"),
    }
}

/// Reads the rest of a pcapng file's first block, which the parser wants to see whole at its first look.
fn section_header(source: &mut impl Read, first: &mut Vec<u8>) -> std::io::Result<()> {
    source.by_ref().take(8).read_to_end(first)?;
    let word = |at: usize| first.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    let len = match word(8) {
        0x1a2b_3c4d => word(4),
        _ => word(4).swap_bytes(),
    };
    source.take(u64::from(len).clamp(12, START as u64) - 12).read_to_end(first)?;
    Ok(())
}

impl<'r> Reader<'r> {
    /// Starts to read; the format is recognised, behind gzip or zstd too.
    pub fn new(source: impl Read + Send + 'r) -> Result<Self, CaptureError> {
        let mut source = compressed::unpacked(Box::new(source))?;
        let mut first = Vec::new();
        source.by_ref().take(4).read_to_end(&mut first)?;
        let magic = first.first_chunk().and_then(|first| Magic::of(*first));
        if magic.is_none() {
            section_header(&mut source, &mut first)?;
        }
        let source = Cursor::new(first).chain(source);
        if let Some(magic) = magic {
            let source: Box<dyn Read + Send + 'r> = Box::new(source);
            return Ok(Self::of(Kind::Pcap(Pcap::new(source, magic)?)));
        }
        let inner = create_reader(START, source).map_err(|e| CaptureError::Malformed { at: 0, found: explain(&e) })?;
        Ok(Self::of(Kind::Pcapng(Pcapng { inner, interfaces: Vec::new(), capacity: START, data: Vec::new() })))
    }

    fn of(kind: Kind<'r>) -> Self {
        Self { kind, packets: 0, cut: 0, skips_cut: false }
    }

    /// Leaves out the packets that were cut when they were captured.
    pub fn skip_cut(&mut self) {
        self.skips_cut = true;
    }

    /// How many packets so far were cut when they were captured: more bytes were on the wire than are in the file.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The next packet and its bytes; `None` at the end.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "what it lends ends with the next call")]
    pub fn next(&mut self) -> Result<Option<(Record, &[u8])>, CaptureError> {
        loop {
            let record = match &mut self.kind {
                Kind::Pcap(pcap) => pcap.next()?,
                Kind::Pcapng(pcapng) => pcapng.next()?,
            };
            let Some(mut record) = record else { return Ok(None) };
            self.packets += 1;
            record.number = self.packets;
            let len = match &self.kind {
                Kind::Pcap(pcap) => pcap.data().len(),
                Kind::Pcapng(pcapng) => pcapng.data.len(),
            };
            if record.wire_len as usize > len {
                self.cut += 1;
                if self.skips_cut {
                    continue;
                }
            }
            let data = match &self.kind {
                Kind::Pcap(pcap) => pcap.data(),
                Kind::Pcapng(pcapng) => &pcapng.data,
            };
            return Ok(Some((record, data)));
        }
    }
}

impl Pcapng<'_> {
    /// The next packet, whose bytes are then in `data`.
    fn next(&mut self) -> Result<Option<Record>, CaptureError> {
        loop {
            let at = self.inner.consumed() as u64;
            let malformed = |found: String| CaptureError::Malformed { at, found };
            let (used, record) = match self.inner.next() {
                Ok((used, block)) => {
                    (used, packet(&block, &mut self.interfaces, &mut self.data).map_err(|e| malformed(e.into()))?)
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => {
                    self.inner.refill().map_err(|e| malformed(explain(&e)))?;
                    continue;
                }
                Err(PcapError::BufferTooSmall) if self.capacity < MOST => {
                    self.capacity *= 4;
                    self.inner.grow(self.capacity);
                    self.inner.refill().map_err(|e| malformed(explain(&e)))?;
                    continue;
                }
                Err(e) => return Err(malformed(explain(&e))),
            };
            self.inner.consume(used);
            if record.is_some() {
                return Ok(record);
            }
        }
    }
}

/// Copies the packet of a block, if it is one; remembers interfaces.
fn packet(
    block: &PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    data: &mut Vec<u8>,
) -> Result<Option<Record>, &'static str> {
    let known =
        |interfaces: &[Interface], n: usize| interfaces.get(n).copied().ok_or("a packet of an unknown interface");
    let mut copy = |bytes: &[u8]| {
        data.clear();
        data.extend_from_slice(bytes);
    };
    match block {
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            Ok(None)
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(i)) => {
            if interfaces.len() >= MOST_INTERFACES {
                return Err("too many interfaces");
            }
            interfaces.push(Interface {
                link_type: i.linktype.0 as u32,
                units: units(i.if_tsresol),
                offset: i.if_tsoffset,
                snap_len: i.snaplen,
            });
            Ok(None)
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(p)) => {
            let interface = known(interfaces, p.if_id as usize)?;
            copy(p.packet_data());
            let time_ns = nanoseconds(u64::from(p.ts_high) << 32 | u64::from(p.ts_low), &interface);
            Ok(Some(Record { number: 0, time_ns, wire_len: p.origlen, link_type: interface.link_type }))
        }
        PcapBlockOwned::NG(Block::SimplePacket(p)) => {
            let interface = known(interfaces, 0)?;
            // The length captured is not in the block; what follows it is padding.
            let kept = match interface.snap_len {
                0 => p.origlen,
                most => p.origlen.min(most),
            };
            copy(p.data.get(..kept as usize).unwrap_or(p.data));
            Ok(Some(Record { number: 0, time_ns: 0, wire_len: p.origlen, link_type: interface.link_type }))
        }
        _ => Ok(None),
    }
}
