//! Captures of packets: pcap and pcapng, read and written as streams in constant memory. Compressed ones are unpacked
//! while they are read.

mod compressed;
mod link;
mod pcap;
mod read;
mod write;

pub use link::{ETHERNET, LinkError, ethernet_frame};
pub use read::Reader;
pub use write::{Format, Writer};

/// What a capture says of one packet besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its number in the capture, from 1; nothing to a writer.
    pub number: u64,
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
        let mut out = Vec::new();
        while let Some((record, data)) = reader.next()? {
            out.push((record, data.to_vec()));
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
            number: u64::from(n) + 1,
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
    fn compressed_captures_are_unpacked() {
        use std::io::Write;
        let plain = written(Format::Pcapng, &packets());
        let (head, tail) = plain.split_at(100);
        let gzip = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(bytes).expect("memory");
            gzip.finish().expect("memory")
        };
        let zstd = |bytes: &[u8]| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
        for packed in [gzip(&plain), [gzip(head), gzip(tail)].concat(), zstd(&plain), [zstd(head), zstd(tail)].concat()]
        {
            assert_eq!(read_all(&packed).expect("compressed capture"), packets());
            // A file that ends early gives an error, not fewer packets.
            read_all(&packed[..packed.len() - 9]).expect_err("cut");
        }
        let text = read_all(&gzip(b"no capture, but compressed")).expect_err("text");
        assert_eq!(text.to_string(), "capture at byte 0: neither pcap nor pcapng");
    }

    #[test]
    fn microseconds_in_the_other_byte_order() {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4u32, 2 << 16 | 4, 0, 0, 65535, 1, 7, 5, 4, 9] {
            file.extend(word.to_be_bytes());
        }
        file.extend([1, 2, 3, 4]);
        let record = Record { number: 1, time_ns: 7_000_005_000, wire_len: 9, link_type: ETHERNET };
        assert_eq!(read_all(&file).expect("big-endian capture"), [(record, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn packets_larger_than_the_buffer_and_sources_that_give_little() {
        let record = Record { number: 0, time_ns: 5, wire_len: 1_000_000, link_type: ETHERNET };
        let large: Vec<(Record, Vec<u8>)> = (1..)
            .zip([700_000, 0, 1_000_000, 3])
            .map(|(number, len)| (Record { number, ..record }, (0..len).map(|n| n as u8).collect()))
            .collect();
        for format in [Format::Pcap, Format::Pcapng] {
            assert_eq!(read_all(&written(format, &large)).expect("own capture"), large);
        }
        struct Drops<'a>(&'a [u8]);
        impl std::io::Read for Drops<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let n = out.len().min(3);
                std::io::Read::read(&mut self.0, &mut out[..n])
            }
        }
        for format in [Format::Pcap, Format::Pcapng] {
            let file = written(format, &packets());
            let mut reader = Reader::new(Drops(&file)).expect("a header");
            let mut count = 0;
            while let Some((record, data)) = reader.next().expect("a packet") {
                assert_eq!((record, data.to_vec()), packets()[count]);
                count += 1;
            }
            assert_eq!(count, packets().len());
        }
    }

    #[test]
    fn cut_packets_are_counted_and_left_out() {
        let record = |number, wire_len| Record { number, wire_len, ..Record::default() };
        let mixed = [(record(1, 4), vec![1; 4]), (record(2, 90), vec![2; 4]), (record(3, 4), vec![3; 4])];
        let file = written(Format::Pcap, &mixed);
        let mut reader = Reader::new(&file[..]).expect("a header");
        reader.skip_cut();
        let mut numbers = Vec::new();
        while let Some((record, _)) = reader.next().expect("a packet") {
            numbers.push(record.number);
        }
        assert_eq!((numbers, reader.cut()), (vec![1, 3], 1));
    }

    #[test]
    fn broken_files_say_where() {
        let whole = written(Format::Pcap, &packets());
        let cut = read_all(&whole[..whole.len() - 3]).expect_err("cut");
        assert_eq!(cut.to_string(), format!("capture at byte {}: the file ends inside a packet", whole.len() - 80));
        let text = read_all(b"no capture at all, only text").expect_err("text");
        assert_eq!(text.to_string(), "capture at byte 0: neither pcap nor pcapng");
        let header = read_all(&whole[..20]).expect_err("half a header");
        assert_eq!(header.to_string(), "capture at byte 0: the file ends inside its header");
        let mut long = whole[..40].to_vec();
        long[32..36].fill(0xff);
        let long = read_all(&long).expect_err("a length that no packet has");
        assert_eq!(long.to_string(), "capture at byte 24: a packet of 4294967295 bytes; expected at most 67108864");
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
