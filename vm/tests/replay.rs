//! Packets of captures as programs get them: in one piece or in several, with what comes before them.

use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Program as Source, ProgramFlags};
use ebpfkit_vm::capture::{ETHERNET, Format, Reader, Record, Writer};
use ebpfkit_vm::replay::{Feed, framed};
use ebpfkit_vm::{Interpreter, Loader, Run, World};

/// How many bytes of its packet an XDP program sees: `data_end - data`.
fn visible(flags: u32) -> Source {
    let insns = vec![
        // r2 = ctx->data, r0 = ctx->data_end, r0 -= r2
        Insn::new(0x61, 2, 1, 0, 0),
        Insn::new(0x61, 0, 1, 4, 0),
        Insn::new(0x1f, 0, 2, 0, 0),
        Insn::new(0x95, 0, 0, 0, 0),
    ];
    Source {
        name: "visible".into(),
        section: "xdp".into(),
        prog_type: ProgType::Xdp,
        attach_type: AttachType::Xdp,
        flags: ProgramFlags(flags),
        insns,
        ..Source::default()
    }
}

fn record(frame: &[u8]) -> Record {
    Record { number: 1, time_ns: 5, wire_len: frame.len() as u32, link_type: ETHERNET }
}

#[test]
fn large_packets_come_in_pieces_where_the_program_takes_such() {
    let frame: Vec<u8> = (0..9000u32).map(|n| n as u8).collect();
    for (flags, seen) in [(0, 9000), (ProgramFlags::XDP_HAS_FRAGS, 3520)] {
        let program = Loader::program(&visible(flags)).load().expect("a program");
        let mut run = Run::new(&program, World::default());
        let mut feed = Feed::new(&mut run, &Interpreter);
        let replayed = feed.packet(record(&frame), &frame).expect("it runs");
        assert_eq!(replayed.retval, seen);
        let mut buffer = Vec::new();
        assert!(replayed.after(&mut buffer) == frame, "nothing is lost of a packet that nobody changes");
        // The next one has nothing left of it.
        let replayed = feed.packet(record(&frame[..60]), &frame[..60]).expect("it runs");
        assert_eq!((replayed.retval, replayed.after(&mut buffer).len()), (60, 60));
        assert_eq!(feed.packets(), 2);
    }
}

#[test]
fn comments_are_written_where_there_is_a_place_for_them() {
    for (format, takes) in [(Format::Pcap, false), (Format::Pcapng, true)] {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, format, ETHERNET).expect("memory");
        assert_eq!(writer.takes_comments(), takes);
        writer.write_with(&record(&[1; 61]), &[1; 61], "metadata 01020304").expect("memory");
        writer.write(&record(&[2; 60]), &[2; 60]).expect("memory");
        writer.finish().expect("memory");
        let found = bytes.windows(17).any(|w| w == b"metadata 01020304");
        assert_eq!(found, takes);
        let mut reader = Reader::new(&bytes[..]).expect("a capture");
        for expected in [[1; 61].as_slice(), &[2; 60]] {
            let (record, data) = reader.next().expect("a capture").expect("a packet");
            assert_eq!(framed(record, data, &mut Vec::new()).expect("a frame"), expected);
        }
        assert!(reader.next().expect("a capture").is_none());
    }
}
