//! Captures of packets: pcap and pcapng, read and written as streams in constant memory.

mod read;
mod write;

pub use read::Reader;
pub use write::{Format, Writer};

/// `LINKTYPE_ETHERNET`: packets start with an Ethernet header.
pub const ETHERNET: u32 = 1;
/// `LINKTYPE_RAW`: packets start with an IP header.
pub const RAW_IP: u32 = 101;

/// What a capture says of one packet besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since 1970; zero when the capture does not say.
    pub time_ns: u64,
    /// Bytes that the packet had on the wire; more than were captured when it was cut.
    pub wire_len: u32,
    /// `LINKTYPE_*` of the interface.
    pub link_type: u32,
}

/// Why a capture cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The bytes are not a capture, or a broken one.
    #[error("capture at byte {at}: {found}")]
    Malformed {
        /// Offset in the file.
        at: u64,
        /// What stands there.
        found: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<(Record, Vec<u8>)>, CaptureError> {
        let mut reader = Reader::new(bytes)?;
        let (mut out, mut data) = (Vec::new(), Vec::new());
        while let Some(record) = reader.next(&mut data)? {
            out.push((record, data.clone()));
        }
        Ok(out)
    }

    fn written(format: Format, packets: &[(Record, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, format, ETHERNET).expect("memory");
        for (record, data) in packets {
            writer.write(record, data).expect("memory");
        }
        writer.finish().expect("memory");
        out
    }

    fn packets() -> Vec<(Record, Vec<u8>)> {
        let record = |n: u32| Record {
            time_ns: 1_700_000_000_000_000_000 + u64::from(n),
            wire_len: n + 60,
            link_type: ETHERNET,
        };
        (0..5).map(|n| (record(n), vec![n as u8; 60 + n as usize - n as usize % 2])).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for format in [Format::Pcap, Format::Pcapng] {
            assert_eq!(read_all(&written(format, &packets())).expect("own capture"), packets());
        }
    }

    #[test]
    fn microseconds_in_the_other_byte_order() {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4u32, 2 << 16 | 4, 0, 0, 65535, 1, 7, 5, 4, 9] {
            file.extend(word.to_be_bytes());
        }
        file.extend([1, 2, 3, 4]);
        let record = Record { time_ns: 7_000_005_000, wire_len: 9, link_type: ETHERNET };
        assert_eq!(read_all(&file).expect("big-endian capture"), [(record, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn broken_files_say_where() {
        let whole = written(Format::Pcap, &packets());
        let cut = read_all(&whole[..whole.len() - 3]).expect_err("cut");
        assert_eq!(cut.to_string(), format!("capture at byte {}: the file ends inside a packet", whole.len() - 80));
        let text = read_all(b"no capture at all, only text").expect_err("text");
        assert_eq!(text.to_string(), "capture at byte 0: neither pcap nor pcapng");
        assert_eq!(read_all(b"").expect_err("empty").to_string(), "capture at byte 0: an empty file");
    }

    proptest! {
        #[test]
        fn mutated_captures_are_harmless(ng: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10), cut: prop::sample::Index) {
            let mut bytes = written(if ng { Format::Pcapng } else { Format::Pcap }, &packets());
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let keep = cut.index(bytes.len() * 2);
            bytes.truncate(keep);
            let _ = read_all(&bytes);
        }
    }
}
