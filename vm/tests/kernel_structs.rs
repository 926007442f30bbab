//! What programs see of maps, connections and packets that are structs of the kernel, laid out by its types, and fields of
//! contexts that take not every value.

use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::{Endian, Insn};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::IntEncoding;
use ebpfkit_object::record::Record;
use ebpfkit_object::write::{BtfBuilder, NewMember};
use ebpfkit_vm::{Connection, Errno, Loader, Run, World, input, interp, maps};
use std::sync::Arc;

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(code, dst, src, off, imm)
}

const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

/// A kernel's types, as far as they are needed: members of four bytes.
fn types() -> Arc<Btf> {
    let mut b = BtfBuilder::new(Endian::Little);
    let int = |bits| IntEncoding { signed: false, char: false, bool: false, bit_offset: 0, bits };
    let byte = b.int("unsigned char", 1, int(8));
    let word = b.int("unsigned int", 4, int(32));
    let bytes = b.ptr(byte);
    let member = |name: &str, ty, at: u32| NewMember { name: name.into(), ty, bit_offset: 8 * at };
    b.composite(
        false,
        "bpf_map",
        16,
        &[
            member("map_type", word, 0),
            member("key_size", word, 4),
            member("value_size", word, 8),
            member("max_entries", word, 12),
        ],
    );
    b.composite(
        false,
        "nf_conn",
        12,
        &[member("timeout", word, 0), member("mark", word, 4), member("status", word, 8)],
    );
    b.composite(false, "nf_hook_state", 16, &[member("hook", byte, 0), member("pf", byte, 1), member("out", bytes, 8)]);
    b.composite(false, "net_device", 8, &[member("ifindex", word, 0), member("mtu", word, 4)]);
    b.composite(false, "sk_buff", 16, &[member("len", word, 0), member("protocol", word, 4), member("data", bytes, 8)]);
    Arc::new(Btf::parse(b.finish()).expect("types"))
}

fn loader(code: &[Insn]) -> Loader {
    Loader::new(code).kernel_types(|| Some(types()))
}

#[test]
fn a_map_reads_as_the_kernels_struct() {
    let def = ebpfkit_object::Map {
        map_type: MapType::Hash,
        key_size: 4,
        value_size: 24,
        max_entries: 77,
        ..ebpfkit_object::Map::default()
    };
    for (offset, expected) in [(0, 1), (4, 4), (8, 24), (12, 77)] {
        let map = Arc::new(maps::create(&def, &Record::default(), 1).expect("a map"));
        // Through a copy of the pointer, which nothing but the address says is a map.
        let code =
            [insn(0x18, 1, 1, 0, 0), insn(0, 0, 0, 0, 0), insn(0xbf, 6, 1, 0, 0), insn(0x61, 0, 6, offset, 0), EXIT];
        let program = loader(&code).map(map).load().expect("loads");
        let mut run = Run::new(&program, World::default());
        assert_eq!(interp::run(&mut run), Ok(expected), "byte {offset}");
    }
    let map = Arc::new(maps::create(&def, &Record::default(), 1).expect("a map"));
    let code = [insn(0x18, 1, 1, 0, 0), insn(0, 0, 0, 0, 0), insn(0x7a, 1, 0, 0, 7), insn(0xb7, 0, 0, 0, 0), EXIT];
    let program = loader(&code).map(map).load().expect("loads");
    assert!(interp::run(&mut Run::new(&program, World::default())).is_err(), "nothing is written there");
}

/// Calls of kernel functions by number.
const CONNECTION_CALLS: [&str; 7] = [
    "bpf_skb_ct_alloc",
    "bpf_ct_insert_entry",
    "bpf_ct_release",
    "bpf_skb_ct_lookup",
    "bpf_ct_change_timeout",
    "bpf_ct_set_status",
    "bpf_ct_change_status",
];

/// Code that stands at the start: a tuple of IPv4 at -56 and the options at -16.
fn tuple() -> Vec<Insn> {
    let words: [u64; 7] = [0x0200_000a_0100_000a, 0x0000_0000_5000_3500, 0, 0, 0, 0xffff_ffff, 6];
    let mut code = Vec::new();
    for (i, word) in words.iter().enumerate() {
        code.push(insn(0x18, 1, 0, 0, *word as i32));
        code.push(insn(0, 0, 0, 0, (*word >> 32) as i32));
        code.push(insn(0x7b, 10, 1, i as i16 * 8 - 56, 0));
    }
    code
}

/// `r0 = function(ctx, tuple, 12, options, 16)`
fn ask(function: i32) -> Vec<Insn> {
    vec![
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -56),
        insn(0xb7, 3, 0, 0, 12),
        insn(0xbf, 4, 10, 0, 0),
        insn(0x07, 4, 0, 0, -16),
        insn(0xb7, 5, 0, 0, 16),
        insn(0x85, 0, 2, 0, function),
    ]
}

/// `r8 = r0`, and `r0 = function(r8, number)`
fn with(function: i32, number: i32) -> Vec<Insn> {
    vec![insn(0xbf, 1, 8, 0, 0), insn(0xb7, 2, 0, 0, number), insn(0x85, 0, 2, 0, function)]
}

fn run_calls(parts: &[Vec<Insn>], world: World) -> Result<u64, ebpfkit_vm::Fault> {
    let mut code = tuple();
    parts.iter().for_each(|part| code.extend(part));
    code.push(EXIT);
    let name = |id: u32, _| CONNECTION_CALLS.get(id as usize).map(|n| (*n).to_owned());
    let program = loader(&code).prog_type(ProgType::SchedCls).load_with(&name).expect("loads");
    interp::run(&mut Run::new(&program, world))
}

fn int(r0: Result<u64, ebpfkit_vm::Fault>) -> i32 {
    r0.expect("no fault") as i32
}

#[test]
fn a_connection_is_found_when_it_is_there() {
    let keep = || vec![insn(0xbf, 8, 0, 0, 0)];
    let made = || [ask(0), keep(), with(5, 4), with(1, 0), keep(), with(2, 0)].concat();
    // Its status says that it is confirmed, and what was set before.
    let status = vec![insn(0x61, 0, 0, 8, 0)];
    assert_eq!(int(run_calls(&[made(), ask(3), status], World::default())), 8 | 4);
    assert!(
        run_calls(&[made(), made()], World::default()).is_err(),
        "a second one is refused, and nothing is to be released"
    );
    let over = [ask(3), keep(), with(4, 0), with(2, 0), ask(3)].concat();
    assert_eq!(int(run_calls(&[made(), over], World::default())), 0, "its time is over");
    let confirmed = [ask(3), keep(), with(6, 0)].concat();
    assert_eq!(int(run_calls(&[made(), confirmed], World::default())), -Errno::EBUSY.0);
    // What the world has is found too, with its mark.
    let connection = Connection {
        from: "10.0.0.1:53".parse().expect("an end"),
        to: "10.0.0.2:80".parse().expect("an end"),
        tcp: true,
        zone: 0,
        status: 0,
        seconds: 9,
        mark: 5,
    };
    let world = World { connections: vec![connection], ..World::default() };
    assert_eq!(int(run_calls(&[ask(3), vec![insn(0x61, 0, 0, 4, 0)]], world)), 5);
}

#[test]
fn connections_are_no_other_memory() {
    let stray = [vec![insn(0xbf, 8, 10, 0, 0)], with(1, 0)].concat();
    assert!(run_calls(&[stray], World::default()).is_err());
    let gone = [ask(0), vec![insn(0xbf, 8, 0, 0, 0)], with(2, 0), with(2, 0)].concat();
    assert!(run_calls(&[gone], World::default()).is_err(), "it was released");
    let status = [ask(0), vec![insn(0x62, 0, 0, 8, 1)]].concat();
    assert!(run_calls(&[status], World::default()).is_err(), "only the mark is written");
    let mark = [ask(0), vec![insn(0x62, 0, 0, 4, 1), insn(0x61, 0, 0, 4, 0)]].concat();
    assert_eq!(int(run_calls(&[mark], World::default())), 1);
}

#[test]
fn netfilter_programs_see_their_packet() {
    let code = [insn(0x79, 1, 1, 8, 0), insn(0x61, 0, 1, 0, 0), EXIT];
    let program = loader(&code).prog_type(ProgType::Netfilter).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    let packet = |len| vec![0x45; len];
    input::set_input(&mut run, Some(&packet(30)), &[]).expect("a packet that leaves");
    assert_eq!(interp::run(&mut run), Ok(30));
    let errno =
        |run: &mut Run, packet: &[u8], ctx: &[u8]| input::set_input(run, Some(packet), ctx).map_err(|e| e.errno());
    assert_eq!(errno(&mut run, &packet(19), &[]), Err(Errno::EINVAL));
    assert_eq!(errno(&mut run, &packet(60), &[0, 2]), Err(Errno::EPROTO), "an unknown type of packet");
    assert_eq!(errno(&mut run, &packet(60), &[0, 7]), Err(Errno::EINVAL), "an unknown family");
    let mut frame = packet(60);
    frame[12..14].copy_from_slice(&[8, 0]);
    assert_eq!(errno(&mut run, &frame, &[0, 10]), Err(Errno::EINVAL), "the other family");
    assert_eq!(errno(&mut run, &frame, &[0, 2]), Ok(()));
    assert_eq!(interp::run(&mut run), Ok(46), "without its link header");
}

#[test]
fn a_negative_constant_is_a_queue() {
    // queue_mapping
    const AT: i16 = 12;
    let run = |set: &[Insn]| {
        let code = [set, &[insn(0x61, 0, 1, AT, 0), EXIT]].concat();
        let program = Loader::new(&code).prog_type(ProgType::SchedCls).load().expect("loads");
        let mut run = Run::new(&program, World::default());
        input::set_input(&mut run, Some(&[0; 64]), &[]).expect("a packet");
        interp::run(&mut run)
    };
    assert_eq!(run(&[insn(0x62, 1, 0, AT, -2)]), Ok(0xfffe));
    assert_eq!(run(&[insn(0x62, 1, 0, AT, 0xffff)]), Ok(0));
    assert_eq!(run(&[insn(0xb7, 2, 0, 0, -2), insn(0x63, 1, 2, AT, 0)]), Ok(0), "a register has 64 bits");
    assert_eq!(run(&[insn(0xb7, 2, 0, 0, 5), insn(0x63, 1, 2, AT, 0)]), Ok(5));
}
