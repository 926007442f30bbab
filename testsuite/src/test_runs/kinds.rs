//! Programs of each type that a test-run takes.

use super::calls;
use super::code::{Part, Recipe, Via};
use super::structs::{Span, Structs};
use crate::generate::Source;
use ebpfkit_abi::ctx::{Context, FieldKind, context_of};
use ebpfkit_abi::test_run::OPERATIONS;
use ebpfkit_abi::{AttachType, ProgType};

/// The kinds of programs that a test-run takes without attaching them anywhere.
pub const KINDS: &[(ProgType, AttachType)] = &[
    (ProgType::Xdp, AttachType(0)),
    (ProgType::SchedCls, AttachType(0)),
    (ProgType::SchedAct, AttachType(0)),
    (ProgType::SocketFilter, AttachType(0)),
    (ProgType::CgroupSkb, AttachType::CgroupInetIngress),
    (ProgType::CgroupSkb, AttachType::CgroupInetEgress),
    (ProgType::LwtIn, AttachType(0)),
    (ProgType::LwtOut, AttachType(0)),
    (ProgType::LwtXmit, AttachType(0)),
    (ProgType::FlowDissector, AttachType::FlowDissector),
    (ProgType::SkLookup, AttachType::SkLookup),
    (ProgType::RawTracepoint, AttachType(0)),
    (ProgType::Syscall, AttachType(0)),
    (ProgType::Netfilter, AttachType::Netfilter),
    (ProgType::StructOps, AttachType(0)),
    (ProgType::StructOps, AttachType(1)),
    (ProgType::StructOps, AttachType(2)),
];

/// Fields of a context that programs may read, where packets start and end, and the fields that may be written.
fn fields(kind: ProgType) -> (Vec<Span>, Option<(i16, i16)>, Vec<Span>) {
    let Some(Context::Fields { layout, hidden, writable }) = context_of(kind) else {
        return ((0..12).map(|n| (n * 8, 8)).collect(), None, Vec::new());
    };
    let visible = |f: &&ebpfkit_abi::ctx::Field| !hidden.contains(&f.name) && f.name != "egress_ifindex";
    let each = |f: &ebpfkit_abi::ctx::Field| -> Vec<(i16, u8)> {
        (0..f.count).map(|i| ((f.offset + i * f.size) as i16, f.size as u8)).collect()
    };
    let numbers = layout.fields.iter().filter(visible).filter(|f| f.kind == FieldKind::Number);
    let may_write = numbers.clone().filter(|f| writable.contains(&f.name)).flat_map(each).collect();
    let find = |kind| layout.fields.iter().filter(visible).find(|f| f.kind == kind).map(|f| f.offset as i16);
    let packet = find(FieldKind::PacketData).zip(find(FieldKind::PacketEnd));
    (numbers.flat_map(each).collect(), packet, may_write)
}

/// A random program of a kind.
pub fn recipe(source: &mut impl Source, structs: &Structs, (kind, attach): (ProgType, AttachType)) -> Recipe {
    let parts = match kind {
        ProgType::Netfilter => netfilter(source, structs),
        ProgType::StructOps => method(source, structs, attach),
        _ => ordinary(source, kind),
    };
    let result = match kind {
        ProgType::CgroupSkb | ProgType::SkLookup | ProgType::Netfilter => source.below(2) as i32,
        ProgType::FlowDissector => source.pick(&[0, 2, 129]),
        _ => source.pick(&[0, 1, 2, 3, 4, 7, 128, -1, 1000]),
    };
    Recipe { kind, attach, parts, result }
}

fn ordinary(source: &mut impl Source, kind: ProgType) -> Vec<Part> {
    let (readable, packet, writable) = fields(kind);
    let has_packet = ebpfkit_vm::input::takes_packet(kind);
    let at_link = matches!(kind, ProgType::SchedCls | ProgType::SchedAct);
    let mut parts = Vec::new();
    if source.chance(300) {
        // Everything that there is to see.
        parts.extend(readable.iter().map(|&(at, bytes)| Part::Field(at, bytes)));
        parts.extend(packet.map(|(data, end)| Part::Packet(data, end, 0)));
    }
    if source.chance(200) {
        parts.push(calls::text(source));
    }
    for _ in 0..1 + source.below(8) {
        parts.push(match source.below(12) {
            0 | 1 if !readable.is_empty() => {
                let (at, bytes) = source.pick(&readable);
                Part::Field(at, bytes)
            }
            2 if !writable.is_empty() => {
                let (at, bytes) = source.pick(&writable);
                Part::SetField(at, bytes, source.number() as i32, source.chance(500))
            }
            3 | 4 if packet.is_some() => {
                let (data, end) = packet.unwrap_or_default();
                Part::Packet(data, end, source.below(80) as i16)
            }
            5 if packet.is_some() && kind.writes_packets() => {
                let (data, end) = packet.unwrap_or_default();
                Part::SetPacket(data, end, source.below(60) as i16, source.below(256) as i32)
            }
            6 if has_packet && kind != ProgType::FlowDissector => calls::dynptr(source, kind),
            7 if (at_link && kind != ProgType::SchedAct) || kind == ProgType::Xdp => calls::connection(source, kind),
            _ if kind == ProgType::Xdp => Part::Call(calls::xdp_call(source)),
            _ if has_packet => Part::Call(calls::skb_call(source, kind)),
            _ => Part::Call(calls::plain_call(source)),
        });
        if has_packet && kind != ProgType::Xdp && kind != ProgType::FlowDissector && source.chance(400) {
            // len, pkt_type, protocol, vlan_present, vlan_tci, vlan_proto
            parts.extend([0, 4, 16, 20, 24, 28].map(|at| Part::Field(at, 4)));
        }
    }
    parts
}

fn netfilter(source: &mut impl Source, structs: &Structs) -> Vec<Part> {
    let all = [(Via::State, &structs.state), (Via::Packet, &structs.skb), (Via::Device, &structs.device)];
    let members: Vec<(Via, Span)> =
        all.into_iter().flat_map(|(via, spans)| spans.iter().map(move |span| (via, *span))).collect();
    let mut parts = Vec::new();
    if source.chance(400) {
        parts.extend(members.iter().map(|&(via, span)| Part::Member(via, span)));
    }
    for _ in 0..1 + source.below(6) {
        parts.push(match source.below(6) {
            0 | 1 if !members.is_empty() => {
                let (via, span) = source.pick(&members);
                Part::Member(via, span)
            }
            2 | 3 => Part::Payload(source.below(100) as i16),
            4 => calls::dynptr(source, ProgType::Netfilter),
            _ => Part::Call(calls::plain_call(source)),
        });
    }
    parts
}

fn method(source: &mut impl Source, structs: &Structs, attach: AttachType) -> Vec<Part> {
    let arguments = structs.arguments(OPERATIONS, attach.0 as usize).unwrap_or(1) as i16;
    (0..1 + source.below(6))
        .map(|_| match source.below(4) {
            0..=2 if arguments > 1 => Part::Field(8 * (1 + source.below(arguments as u32 - 1) as i16), 8),
            _ => Part::State(source.chance(500).then(|| source.number() as i32)),
        })
        .collect()
}
