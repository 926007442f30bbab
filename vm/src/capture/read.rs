//! Reading captures of either format and byte order.

use super::{CaptureError, Record};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
use std::io::Read;

/// Bytes read at once, and most bytes of one block: no packet comes near it.
const START: usize = 1 << 18;
const MOST: usize = 1 << 26;
/// Interfaces of one pcapng section, at most; more are a broken file.
const MOST_INTERFACES: usize = 1 << 16;

/// An interface of a pcapng section, or the whole of a pcap file.
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
    inner: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    capacity: usize,
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

impl<'r> Reader<'r> {
    /// Starts to read; the format is recognised.
    pub fn new(source: impl Read + Send + 'r) -> Result<Self, CaptureError> {
        let inner = create_reader(START, source).map_err(|e| CaptureError::Malformed { at: 0, found: explain(&e) })?;
        Ok(Self { inner, interfaces: Vec::new(), capacity: START })
    }

    /// The next packet; its bytes replace those in `data`. `None` at the end.
    pub fn next(&mut self, data: &mut Vec<u8>) -> Result<Option<Record>, CaptureError> {
        loop {
            let at = self.inner.consumed() as u64;
            let malformed = |found: String| CaptureError::Malformed { at, found };
            let (used, record) = match self.inner.next() {
                Ok((used, block)) => {
                    (used, packet(&block, &mut self.interfaces, data).map_err(|e| malformed(e.into()))?)
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
        PcapBlockOwned::LegacyHeader(h) => {
            let units = if h.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            interfaces.push(Interface { link_type: h.network.0 as u32, units, offset: 0, snap_len: 0 });
            Ok(None)
        }
        PcapBlockOwned::Legacy(p) => {
            let interface = known(interfaces, 0)?;
            copy(p.data);
            let stamp = u64::from(p.ts_sec) * interface.units as u64 + u64::from(p.ts_usec);
            let time_ns = nanoseconds(stamp, &interface);
            Ok(Some(Record { time_ns, wire_len: p.origlen, link_type: interface.link_type }))
        }
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
            Ok(Some(Record { time_ns, wire_len: p.origlen, link_type: interface.link_type }))
        }
        PcapBlockOwned::NG(Block::SimplePacket(p)) => {
            let interface = known(interfaces, 0)?;
            // The length captured is not in the block; what follows it is padding.
            let kept = match interface.snap_len {
                0 => p.origlen,
                most => p.origlen.min(most),
            };
            copy(p.data.get(..kept as usize).unwrap_or(p.data));
            Ok(Some(Record { time_ns: 0, wire_len: p.origlen, link_type: interface.link_type }))
        }
        PcapBlockOwned::NG(_) => Ok(None),
    }
}
