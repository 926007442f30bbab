//! Packets and contexts: whole ones of many protocols, cut ones, garbage.

use crate::generate::Source;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, context_of};
use ebpfkit_vm::input;

/// What a test-run is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The packet, where the type takes one.
    pub packet: Option<Vec<u8>>,
    /// The context; empty for none.
    pub ctx: Vec<u8>,
    /// What the first argument of a method leads to, whose address takes the place of that argument.
    pub state: Option<u32>,
    /// How often the program runs, on what the run before has left.
    pub repeat: u32,
}

fn bytes(source: &mut impl Source, len: usize) -> Vec<u8> {
    (0..len).map(|_| source.below(256) as u8).collect()
}

/// A length: mostly small, some at limits.
fn length(source: &mut impl Source) -> usize {
    match source.below(20) {
        0 => source.pick(&[0, 1, 13, 14, 15, 20, 33, 34, 53, 54, 60]),
        1 => source.pick(&[1500, 1514, 3000, 3392, 3393, 3440, 3456, 3520, 3521, 3712, 3713, 4096, 5000, 9000]),
        2..=5 => source.below(600) as usize,
        _ => 14 + source.below(140) as usize,
    }
}

fn put(to: &mut Vec<u8>, words: &[u16]) {
    to.extend(words.iter().flat_map(|w| w.to_be_bytes()));
}

/// A transport header, its number and what follows it.
fn transport(source: &mut impl Source, depth: u32) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    let ports = [source.pick(&[1u16, 80, 1000, 40000]), source.pick(&[53u16, 80, 443, 4789, 6081])];
    let payload = source.below(64) as usize;
    let payload = bytes(source, payload);
    let number = match source.below(if depth < 2 { 7 } else { 4 }) {
        0 | 1 => {
            put(&mut out, &[ports[0], ports[1], 8 + payload.len() as u16, source.below(3) as u16]);
            17
        }
        2 => {
            put(&mut out, &ports);
            out.extend(bytes(source, 8));
            let options = source.below(4) as usize * 4;
            out.extend([(5 + options as u8 / 4) << 4, source.below(256) as u8]);
            out.extend(bytes(source, 6 + options));
            6
        }
        3 => {
            out.extend([source.pick(&[8u8, 0, 128, 135]), 0]);
            out.extend(bytes(source, 6));
            source.pick(&[1u8, 58])
        }
        4 => {
            out.extend(ip(source, depth + 1, false));
            4
        }
        5 => {
            out.extend(ip(source, depth + 1, true));
            41
        }
        _ => {
            let (kind, inner) = network(source, depth + 1);
            put(&mut out, &[source.pick(&[0u16, 0x2000, 0x1000, 0x8000, 0xb000]), kind]);
            let options = source.below(3) as usize * 4;
            out.extend(bytes(source, options));
            out.extend(inner);
            47
        }
    };
    out.extend(payload);
    (number, out)
}

fn ip(source: &mut impl Source, depth: u32, v6: bool) -> Vec<u8> {
    let (mut number, mut body) = transport(source, depth);
    let mut out = Vec::new();
    if v6 {
        while source.chance(150) {
            // Hop-by-hop options, a fragment, a destination's options.
            let kind = source.pick(&[0u8, 44, 60]);
            let len = if kind == 44 { 0 } else { source.below(2) as u8 };
            let mut header = vec![number, len];
            header.extend(bytes(source, 6 + 8 * usize::from(len)));
            header.extend(body);
            (number, body) = (kind, header);
        }
        let label = source.pick(&[0u32, 0, 0x12345]);
        out.extend((0x6000_0000 | source.pick(&[0u32, 0x0010_0000, 0x0030_0000]) | label).to_be_bytes());
        put(&mut out, &[body.len() as u16]);
        out.extend([number, source.pick(&[0u8, 1, 64])]);
        out.extend(bytes(source, 32));
    } else {
        let options = if source.chance(150) { source.below(4) as usize * 4 } else { 0 };
        let fragment = source.pick(&[0u16, 0, 0, 0x4000, 0x2000, 0x2010, 0x0010]);
        out.extend([0x45 + options as u8 / 4, source.pick(&[0u8, 1, 2, 3, 0x10])]);
        put(&mut out, &[20 + options as u16 + body.len() as u16, 7, fragment]);
        out.extend([source.pick(&[0u8, 1, 64]), number, 0, 0]);
        out.extend(bytes(source, 8 + options));
    }
    out.extend(body);
    out
}

/// A packet of the network layer, with its Ethernet type.
fn network(source: &mut impl Source, depth: u32) -> (u16, Vec<u8>) {
    match source.below(10) {
        0..=4 => (0x0800, ip(source, depth, false)),
        5..=7 => (0x86dd, ip(source, depth, true)),
        8 => (0x0806, bytes(source, 28)),
        _ => {
            let kind = source.pick(&[0x8847u16, 0x88cc, 0x0100, 0x05dc, 0x0600, 0xffff]);
            let len = source.below(80) as usize;
            (kind, bytes(source, len))
        }
    }
}

/// A frame.
pub fn frame(source: &mut impl Source) -> Vec<u8> {
    if source.chance(120) {
        let len = length(source);
        return bytes(source, len);
    }
    let mut out = match source.below(5) {
        0 => vec![0xff; 6],
        1 => vec![0; 6],
        2 => vec![1, 0, 0x5e, 0, 0, 1],
        _ => vec![2, 0, 0, 0, 0, 1],
    };
    out.extend([2, 0, 0, 0, 0, 9]);
    while source.chance(120) {
        put(&mut out, &[source.pick(&[0x8100u16, 0x8100, 0x88a8]), source.bits() as u16]);
    }
    let (kind, body) = network(source, 0);
    put(&mut out, &[kind]);
    out.extend(body);
    match source.below(10) {
        0 => {
            let len = source.below(out.len() as u32 + 1) as usize;
            out.truncate(len);
        }
        1 => {
            let len = length(source);
            out.resize(len.max(out.len()), 0x5a);
        }
        _ => {}
    }
    out
}

/// A context for packets, mostly one that is taken.
fn packet_context(source: &mut impl Source, kind: ProgType, packet: usize) -> Vec<u8> {
    let Some(Context::Fields { layout, .. }) = context_of(kind) else { return Vec::new() };
    let size = usize::from(layout.size);
    if source.chance(500) {
        return Vec::new();
    }
    let mut values: Vec<(&str, u64)> = Vec::new();
    if kind == ProgType::Xdp {
        let meta = match source.below(4) {
            0 => source.below(240),
            1 => source.below(55) * 4,
            _ => 0,
        };
        let end = if source.chance(200) { source.below(packet as u32 + 2) } else { packet as u32 };
        values.extend([("data", meta.into()), ("data_end", end.into())]);
        values.push(("ingress_ifindex", source.pick(&[0, 0, 1, 1, 99])));
        values.push(("rx_queue_index", source.pick(&[0, 0, 0, 0, 1])));
    } else {
        for name in ["mark", "priority", "cb", "tstamp"] {
            values.push((name, source.number()));
        }
        let packet = packet as u64;
        for (name, of) in [
            ("ifindex", [0, 0, 1, 1, 1, 99]),
            ("ingress_ifindex", [0, 0, 0, 0, 1, 77]),
            ("gso_size", [0, 0, 0, 0, 100, 70000]),
            ("gso_segs", [0, 0, 0, 2, 65535, 65536]),
            ("hwtstamp", [0, 0, 0, 0, 0, 5]),
            ("wire_len", [0, 0, 0, packet, packet + 9, 65537]),
        ] {
            values.push((name, source.pick(&of)));
        }
    }
    let mut ctx = vec![0; size];
    for (name, value) in values {
        if let Some(f) = layout.fields.iter().find(|f| f.name == name) {
            let (at, len) = (usize::from(f.offset), usize::from(f.size));
            ctx[at..at + len].copy_from_slice(&value.to_ne_bytes()[..len]);
        }
    }
    match source.below(24) {
        0 => ctx[source.below(size as u32) as usize] = 1,
        1 => ctx.truncate(source.below(size as u32 + 1) as usize),
        2 => ctx.resize(size + 1 + source.below(40) as usize, 0),
        3 => ctx.push(1),
        _ => {}
    }
    ctx
}

/// The context of a socket lookup: address family, protocol, addresses and ports, and what cannot be given.
fn lookup_context(source: &mut impl Source) -> Vec<u8> {
    const SIZE: usize = 72;
    let mut ctx = vec![0; SIZE];
    let mut put = |at: usize, value: &[u8]| ctx[at..at + value.len()].copy_from_slice(value);
    put(8, &source.pick(&[2u32, 2, 2, 10, 10, 0, 7, 0x10002]).to_ne_bytes());
    put(12, &source.pick(&[6u32, 17, 0, 255, 256]).to_ne_bytes());
    put(16, &bytes(source, 4));
    put(20, &bytes(source, 16));
    put(36, &source.pick(&[0u32, 80, 0x5000, 0xffff, 0x1_0050]).to_ne_bytes());
    put(40, &bytes(source, 4));
    put(44, &bytes(source, 16));
    put(60, &source.pick(&[0u32, 80, 0x5000, 65535, 65536]).to_ne_bytes());
    put(64, &source.pick(&[0u32, 0, 0, 1, 5]).to_ne_bytes());
    match source.below(12) {
        0 => ctx[source.below(SIZE as u32) as usize] = 1,
        1 => ctx.truncate(1 + source.below(SIZE as u32) as usize),
        2 => ctx.resize(SIZE + 1 + source.below(40) as usize, 0),
        _ => {}
    }
    ctx
}

/// The state of a hook of netfilter, and a packet for it: with a link header unless it leaves.
fn hook(source: &mut impl Source) -> (Vec<u8>, Vec<u8>) {
    const SIZE: usize = 48;
    let mut packet = frame(source);
    let v6 = packet.get(12..14) == Some(&[0x86, 0xdd]);
    let family = match source.below(12) {
        0 => source.pick(&[0u8, 2, 7, 10]),
        _ if v6 => 10,
        _ => 2,
    };
    let number = source.pick(&[0u8, 0, 1, 2, 3, 3, 4, 5, 200]);
    if source.chance(250) || number == 3 && source.chance(800) {
        packet.drain(..14.min(packet.len()));
    }
    if source.chance(250) {
        return (packet, Vec::new());
    }
    let mut ctx = vec![0; SIZE];
    (ctx[0], ctx[1]) = (number, family);
    match source.below(14) {
        0 => ctx[2 + source.below(SIZE as u32 - 2) as usize] = 1,
        1 => ctx.truncate(1 + source.below(SIZE as u32) as usize),
        2 => ctx.resize(SIZE + 1 + source.below(40) as usize, 0),
        3 => ctx.push(1),
        _ => {}
    }
    (packet, ctx)
}

/// Arguments of a method; sometimes too few or too many.
fn method(source: &mut impl Source, arguments: usize) -> Input {
    let mut ctx: Vec<u8> = (0..arguments).flat_map(|_| source.wide().to_ne_bytes()).collect();
    let state = source.chance(850).then(|| source.bits());
    if state.is_none() {
        ctx[..8].fill(0);
    }
    let state = match source.below(16) {
        0 => {
            ctx.resize(source.pick(&[1usize, 7, 8, 9, 16, 40, 48, 104]), 0);
            ctx.iter_mut().take(8).for_each(|b| *b = 0);
            None
        }
        _ => state,
    };
    Input { packet: None, ctx, state, repeat: 1 }
}

/// Random input for a program type; a method takes so many arguments.
pub fn input(source: &mut impl Source, kind: ProgType, arguments: usize) -> Input {
    if kind == ProgType::StructOps {
        return method(source, arguments);
    }
    let repeat = if source.chance(80) { 2 + source.below(3) } else { 1 };
    if kind == ProgType::Netfilter {
        let (packet, ctx) = hook(source);
        return Input { packet: Some(packet), ctx, state: None, repeat };
    }
    if input::takes_packet(kind) {
        let packet = frame(source);
        let ctx = match kind {
            ProgType::FlowDissector => Vec::new(),
            _ => packet_context(source, kind, packet.len()),
        };
        return Input { packet: Some(packet), ctx, state: None, repeat };
    }
    let ctx = match kind {
        ProgType::SkLookup => lookup_context(source),
        _ => {
            let len = match source.below(8) {
                0 => 1 + source.below(120) as usize,
                _ => 96,
            };
            bytes(source, len)
        }
    };
    Input { packet: None, ctx, state: None, repeat: if kind == ProgType::SkLookup { repeat } else { 1 } }
}
