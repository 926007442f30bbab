//! Random calls of helpers and of the kernel's functions.

use super::code::{Arg, Call, Connection, Part};
use crate::generate::Source;
use ebpfkit_abi::ProgType;

/// Text in the buffer as a number.
fn to_number(source: &mut impl Source) -> (&'static str, Vec<Arg>) {
    let base = source.pick(&[8, 16, 0, 10, 3]);
    (source.pick(&["strtol", "strtoul"]), vec![Arg::Buf(0), Arg::Num(10), Arg::Num(base), Arg::Buf(24)])
}

fn small(source: &mut impl Source) -> i32 {
    match source.below(6) {
        0 => 80 + source.below(220) as i32,
        1 => source.pick(&[-1, 0xffff, 0x10000, i32::MAX, i32::MIN]),
        _ => source.below(80) as i32,
    }
}

fn flag_bits(source: &mut impl Source, bits: u32) -> i32 {
    match source.below(7) {
        0..=2 => 0,
        3..=5 => 1 << source.below(bits),
        _ => source.below(1 << bits) as i32,
    }
}

pub fn skb_call(source: &mut impl Source, kind: ProgType) -> Call {
    use Arg::{Buf, Ctx, Map, Null, Num};
    let len = source.pick(&[1i32, 2, 4, 7, 16, 32]);
    let at = small(source);
    // What only programs of the link layer may call comes last.
    let choices = if matches!(kind, ProgType::SchedCls | ProgType::SchedAct) { 28 } else { 7 };
    let (function, args): (&'static str, Vec<Arg>) = match source.below(choices) {
        0 | 1 => ("skb_load_bytes", vec![Ctx, Num(at), Buf(8), Num(len)]),
        2 => {
            let start = source.below(3) as i32;
            match kind {
                ProgType::SchedCls | ProgType::SchedAct | ProgType::SocketFilter | ProgType::CgroupSkb => {
                    ("skb_load_bytes_relative", vec![Ctx, Num(at), Buf(8), Num(len), Num(start)])
                }
                _ => ("skb_load_bytes", vec![Ctx, Num(at), Buf(8), Num(len)]),
            }
        }
        3 => ("get_smp_processor_id", vec![]),
        4 => ("get_numa_node_id", vec![]),
        5 => ("map_delete_elem", vec![Map, Buf(0)]),
        6 => to_number(source),
        7 => ("redirect", vec![Num(source.below(3) as i32), Num(flag_bits(source, 2))]),
        8 => {
            let flags = flag_bits(source, 3);
            ("skb_store_bytes", vec![Ctx, Num(at), Buf(3), Num(len), Num(flags)])
        }
        9 => ("skb_pull_data", vec![Ctx, Num(at)]),
        10 => {
            let (a, b) = (source.bits() as i32, source.bits() as i32);
            let f = source.pick(&[0, 2, 4, 4, 2, 3, 0x10]);
            let a = if f == 0 && b & 1 == 0 { 0 } else { a };
            ("l3_csum_replace", vec![Ctx, Num(at), Num(a), Num(b), Num(f)])
        }
        11 => {
            let (a, b) = (source.bits() as i32, source.bits() as i32);
            let f = source.pick(&[0, 2, 4, 0x12, 0x14, 0x24, 0x64, 0x62, 0x84, 0x100]);
            let a = if f == 0 && b & 1 == 0 { 0 } else { a };
            ("l4_csum_replace", vec![Ctx, Num(at), Num(a), Num(b), Num(f)])
        }
        12 => {
            let (a, b, seed) = (source.below(9) as i32, source.below(9) as i32, source.bits() as i32);
            let side = |n: i32, at| if n == 0 { Null } else { Buf(at) };
            ("csum_diff", vec![side(a, 0), Num(a * 4), side(b, 28), Num(b * 4), Num(seed)])
        }
        13 => ("csum_update", vec![Ctx, Num(source.bits() as i32)]),
        14 => ("csum_level", vec![Ctx, Num(source.below(5) as i32)]),
        15 => {
            let kind = source.pick(&[0x0081i32, 0xa888, 0x0008, 0]);
            ("skb_vlan_push", vec![Ctx, Num(kind), Num(source.below(65536) as i32)])
        }
        16 => ("skb_vlan_pop", vec![Ctx]),
        17 => {
            let to = source.pick(&[0x0008i32, 0xdd86, 0x0081]);
            ("skb_change_proto", vec![Ctx, Num(to), Num(flag_bits(source, 1))])
        }
        18 => ("skb_change_type", vec![Ctx, Num(source.below(6) as i32)]),
        19 => ("skb_ecn_set_ce", vec![Ctx]),
        20 | 21 => {
            let by = match source.below(8) {
                0 => 4095,
                1 => -4096,
                _ => source.below(120) as i32 - 60,
            };
            let mode = source.below(3) as i32;
            ("skb_adjust_room", vec![Ctx, Num(by), Num(mode), Num(flag_bits(source, 9))])
        }
        22 => ("skb_change_tail", vec![Ctx, Num(at), Num(flag_bits(source, 1))]),
        23 => ("skb_change_head", vec![Ctx, Num(source.below(64) as i32), Num(flag_bits(source, 1))]),
        24 => {
            let size = source.pick(&[44i32, 28, 24, 22, 8, 30]);
            ("skb_set_tunnel_key", vec![Ctx, Buf(0), Num(size), Num(flag_bits(source, 6))])
        }
        25 => {
            let size = source.pick(&[44i32, 28, 24, 22, 8, 30]);
            ("skb_get_tunnel_key", vec![Ctx, Buf(0), Num(size), Num(source.pick(&[0, 1, 2, 16, 17]))])
        }
        26 => {
            let size = source.pick(&[4i32, 8, 7, 20]);
            (source.pick(&["skb_set_tunnel_opt", "skb_get_tunnel_opt"]), vec![Ctx, Buf(8), Num(size)])
        }
        _ => {
            let device = source.pick(&[0i32, 1, 77]);
            let by = source.below(140_000) as i32 - 70_000;
            ("check_mtu", vec![Ctx, Num(device), Buf(4), Num(by), Num(flag_bits(source, 2))])
        }
    };
    Call { function, args }
}

pub fn xdp_call(source: &mut impl Source) -> Call {
    use Arg::{Buf, Ctx, Num};
    let len = source.pick(&[1i32, 2, 7, 16, 32]);
    let at = small(source);
    let by = match source.below(5) {
        0 => source.below(600) as i32 - 300,
        1 => source.pick(&[-4000, 4000]),
        2 => (source.below(40) as i32 - 20) * 4,
        _ => source.below(128) as i32 - 64,
    };
    let (function, args): (&'static str, Vec<Arg>) = match source.below(9) {
        8 => ("redirect", vec![Num(source.below(3) as i32), Num(flag_bits(source, 2))]),
        0 => ("xdp_adjust_head", vec![Ctx, Num(by)]),
        1 => ("xdp_adjust_meta", vec![Ctx, Num(by)]),
        2 => ("xdp_adjust_tail", vec![Ctx, Num(by)]),
        3 => ("xdp_get_buff_len", vec![Ctx]),
        4 => ("xdp_load_bytes", vec![Ctx, Num(at), Buf(9), Num(len)]),
        5 => ("xdp_store_bytes", vec![Ctx, Num(at), Buf(9), Num(len)]),
        6 => {
            let device = source.pick(&[0i32, 1, 77]);
            let by = source.below(140_000) as i32 - 70_000;
            ("check_mtu", vec![Ctx, Num(device), Buf(4), Num(by), Num(flag_bits(source, 1))])
        }
        _ => {
            let (a, b, seed) = (1 + source.below(8) as i32, 1 + source.below(8) as i32, source.bits() as i32);
            ("csum_diff", vec![Buf(0), Num(a * 4), Buf(28), Num(b * 4), Num(seed)])
        }
    };
    Call { function, args }
}

pub fn plain_call(source: &mut impl Source) -> Call {
    let (function, args): (&'static str, Vec<Arg>) = match source.below(4) {
        0 => ("map_delete_elem", vec![Arg::Map, Arg::Buf(0)]),
        2 => to_number(source),
        1 => ("get_numa_node_id", vec![]),
        _ => ("get_smp_processor_id", vec![]),
    };
    Call { function, args }
}

/// Text for the start of the buffer.
pub fn text(source: &mut impl Source) -> Part {
    Part::Text(0, source.pick(&["12", "-7", "0x1f", "0777", "99999999999999", "  5", "z", "", "+3", "-0"]))
}

/// A dynptr of the packet with calls that use it.
pub fn dynptr(source: &mut impl Source, kind: ProgType) -> Part {
    use Arg::{Buf, Dynptr, Num};
    let flags = if source.chance(100) { 1 } else { 0 };
    let calls = (0..1 + source.below(3)).map(|_| {
        let len = source.pick(&[1i32, 2, 7, 16, 32]);
        let at = small(source);
        let (function, args): (&'static str, Vec<Arg>) = match source.below(7) {
            0 | 1 => ("dynptr_read", vec![Buf(9), Num(len), Dynptr, Num(at), Num(0)]),
            2 => ("dynptr_write", vec![Dynptr, Num(at), Buf(3), Num(len), Num(flag_bits(source, 2))]),
            3 => ("bpf_dynptr_size", vec![Dynptr]),
            4 => ("bpf_dynptr_is_rdonly", vec![Dynptr]),
            5 => ("bpf_dynptr_is_null", vec![Dynptr]),
            _ => ("bpf_dynptr_adjust", vec![Dynptr, Num(small(source)), Num(small(source))]),
        };
        Call { function, args }
    });
    let function = if kind == ProgType::Xdp { "bpf_dynptr_from_xdp" } else { "bpf_dynptr_from_skb" };
    Part::Dynptr(function, flags, calls.collect())
}

/// Bits of a connection's status, some of which cannot be set.
fn status(source: &mut impl Source, confirmed: bool) -> i32 {
    let base = if confirmed { 8 } else { 0 };
    base | match source.below(4) {
        0 => 0,
        1 => 1 << source.below(16),
        2 => 1 << source.below(16) | 1 << source.below(16),
        _ => source.pick(&[2, 6, 1 << 10, 1 << 13]),
    }
}

fn lifetime(source: &mut impl Source) -> i32 {
    source.pick(&[0, 20_000, 1_000_000, -1, 100_001])
}

/// A connection that is made, changed and looked for.
pub fn connection(source: &mut impl Source, kind: ProgType) -> Part {
    use Arg::{Buf, Connection as It, Num};
    let odd = source.chance(150);
    let tuple = if odd {
        (source.pick(&[12, 36, 13, 1]), source.pick(&[6, 17, 1, 0]), source.pick(&[-1, -1, 5000, -2]))
    } else {
        (source.pick(&[12, 36]), source.pick(&[6, 17]), -1)
    };
    let options = if odd { source.pick(&[16, 12, 8, 15]) } else { source.pick(&[16, 16, 12]) };
    let zone = |source: &mut _, options| match options {
        12 if !odd => (0, 0),
        _ => (Source::pick(source, &[0u16, 0, 1, 7]), Source::pick(source, &[0u8, 0, 1, 2, 3])),
    };
    let (id, directions) = zone(source, options);
    let behind_options = if odd && source.chance(300) { 1 } else { 0 };
    let call = |function, args: Vec<Arg>| Call { function, args };
    let mut before = Vec::new();
    if source.chance(500) {
        before.push(call("bpf_ct_set_timeout", vec![It, Num(lifetime(source))]));
    }
    if source.chance(500) {
        before.push(call("bpf_ct_set_status", vec![It, Num(status(source, false))]));
    }
    let mut sides = [0, 1];
    if source.chance(500) {
        sides.swap(0, 1);
    }
    for side in sides {
        if source.chance(250) {
            let port = source.pick(&[0, 80, 7777, -1]);
            before.push(call(
                "bpf_ct_set_nat_info",
                vec![It, source.pick(&[Buf(0), Arg::Address]), Num(port), Num(side)],
            ));
        }
    }
    let before_translates = before.iter().any(|c: &Call| c.function == "bpf_ct_set_nat_info");
    let mut changes = |most: u32| -> Vec<Call> {
        (0..source.below(most + 1))
            .map(|_| match source.below(2) {
                0 => call("bpf_ct_change_timeout", vec![It, Num(lifetime(source))]),
                _ => call("bpf_ct_change_status", vec![It, Num(status(source, true))]),
            })
            .collect()
    };
    let behind = changes(3);
    let later = [changes(2), changes(2)];
    let mut lookups: Vec<_> = later
        .into_iter()
        .map(|calls| {
            let (id, directions) = if source.chance(700) { (id, directions) } else { zone(source, options) };
            (source.chance(400), id, directions, calls)
        })
        .collect();
    // What is left ends with the run.
    let end = vec![call("bpf_ct_change_timeout", vec![It, Num(0)])];
    lookups.push((false, id, directions, end));
    lookups.push((false, id, directions, Vec::new()));
    Part::Connection(Box::new(Connection {
        of: if kind == ProgType::Xdp { "xdp" } else { "skb" },
        tuple,
        options: (options, id, directions, behind_options),
        before,
        mark: source.chance(500).then(|| source.bits() as i32),
        behind,
        // Which translation a second one gets hangs on all others that there are.
        repeated: !before_translates && source.chance(200),
        lookups,
    }))
}
