//! The rules of `BPF_PROG_TEST_RUN`: which packets and contexts it takes, what programs see of them, and what comes back.
//! Source: observed behaviour of Linux 6.18.

use super::{InputError, Origin, set_frame};
use crate::Errno;
use crate::packet::starts_at_link;
use crate::receive::LOOPBACK;
use crate::run::Run;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, Field, Layout, context_of};
use ebpfkit_abi::net::ETH_HLEN;

/// Fields of an `__sk_buff` that may be given; the others have to be zero.
const SKB_FIELDS: &[&str] =
    &["mark", "priority", "ingress_ifindex", "ifindex", "cb", "tstamp", "wire_len", "gso_segs", "gso_size", "hwtstamp"];
/// Most segments of a packet (`GSO_MAX_SEGS`), and most bytes on the wire (`GSO_LEGACY_MAX_SIZE`).
const GSO_MAX_SEGS: u64 = 65535;
const GSO_MAX_SIZE: u64 = 65536;
/// Longest metadata before an XDP packet, in bytes: the headroom without what the kernel keeps there.
const MAX_META: u64 = 216;
/// Address families.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Longest context of a raw tracepoint (`MAX_BPF_FUNC_ARGS`).
const MAX_ARGUMENTS: usize = 12 * 8;
/// Longest context, whatever it holds: a page.
pub(super) const MAX_CONTEXT: usize = PAGE;
/// A page, which is what one piece of a packet lies in.
pub(super) const PAGE: usize = 4096;
/// What the kernel keeps at the end of the page (`struct skb_shared_info`).
pub(super) const SHARED_INFO: usize = 320;
/// Pages that a packet has besides its first (`MAX_SKB_FRAGS`).
const MAX_FRAGS: usize = 17;
/// What it keeps before the packet.
pub(super) const SKB_HEADROOM: usize = 64;
const XDP_HEADROOM: usize = 256;

/// The first bytes of a field, in the host's byte order; zero behind the context's end.
fn value(context: &[u8], field: &Field) -> u64 {
    let mut bytes = [0; 8];
    let start = usize::from(field.offset).min(context.len());
    let end = usize::from(field.offset + field.size).min(context.len());
    bytes[..end - start].copy_from_slice(&context[start..end]);
    u64::from_le_bytes(bytes)
}

fn named(layout: &Layout, context: &[u8], name: &str) -> u64 {
    layout.fields.iter().find(|f| f.name == name).map_or(0, |f| value(context, f))
}

fn refused(layout: &Layout, field: &'static str, value: u64, why: &'static str, errno: Errno) -> InputError {
    InputError::Field { name: layout.name, field, value, why, errno }
}

fn bad(layout: &Layout, field: &'static str, value: u64, why: &'static str) -> InputError {
    refused(layout, field, value, why, Errno::EINVAL)
}

/// Whether a context can be given at all; what depends on the packet comes with the packet.
pub(super) fn check_context(run: &Run, kind: ProgType, context: &[u8]) -> Result<(), InputError> {
    let Some(Context::Fields { layout, .. }) = context_of(kind) else { return check_plain(kind, context) };
    let expected = usize::from(layout.size);
    if context.iter().skip(expected).any(|b| *b != 0) || context.len() > MAX_CONTEXT {
        return Err(InputError::ContextSize { found: context.len(), name: layout.name, expected });
    }
    match layout.name {
        "__sk_buff" => check_skb(run, layout, context),
        "xdp_md" => check_xdp(layout, context),
        "bpf_sk_lookup" => check_lookup(layout, context),
        _ => Ok(()),
    }
}

/// Longest contexts of plain bytes.
fn check_plain(kind: ProgType, context: &[u8]) -> Result<(), InputError> {
    let most = match kind {
        ProgType::RawTracepoint => MAX_ARGUMENTS,
        ProgType::Syscall => usize::from(u16::MAX),
        _ => return Ok(()),
    };
    match context.len() {
        found if found > most => Err(InputError::LongContext { found, kind, most }),
        _ => Ok(()),
    }
}

/// A socket and what comes behind the ports cannot be given, and addresses are of one of two families.
fn check_lookup(layout: &'static Layout, context: &[u8]) -> Result<(), InputError> {
    match named(layout, context, "sk") {
        0 => {}
        sk => return Err(bad(layout, "sk", sk, "only zero can be given")),
    }
    let behind = layout.fields.iter().find(|f| f.name == "ingress_ifindex").map_or(0, |f| usize::from(f.offset));
    if context.iter().skip(behind).any(|b| *b != 0) {
        let index = named(layout, context, "ingress_ifindex");
        return Err(bad(layout, "ingress_ifindex", index, "only zero can be given, and nothing behind it"));
    }
    let port = named(layout, context, "local_port");
    if port > u64::from(u16::MAX) {
        return Err(refused(layout, "local_port", port, "expected a port in the host's byte order", Errno::ERANGE));
    }
    match named(layout, context, "family") as u16 {
        AF_INET | AF_INET6 => Ok(()),
        other => {
            let why = "expected 2 (AF_INET) or 10 (AF_INET6)";
            Err(refused(layout, "family", other.into(), why, Errno::EAFNOSUPPORT))
        }
    }
}

/// Whether a packet is of a length that is taken, which is asked before anything else where packets are sockets' buffers.
pub(super) fn check_frame(kind: ProgType, frame: &[u8]) -> Result<(), InputError> {
    if kind == ProgType::Xdp || kind == ProgType::Unspec || !super::takes_packet(kind) {
        return Ok(());
    }
    let most = match kind {
        // It is copied as it is.
        ProgType::FlowDissector => PAGE,
        _ => PAGE - SKB_HEADROOM - SHARED_INFO,
    };
    match frame.len() {
        found if found < ETH_HLEN => Err(InputError::ShortPacket(found)),
        found if found > most => Err(InputError::LongPacket { found, kind, most }),
        _ => Ok(()),
    }
}

fn check_skb(run: &Run, layout: &'static Layout, context: &[u8]) -> Result<(), InputError> {
    let index = named(layout, context, "ifindex") as u32;
    if index > LOOPBACK && run.world.device(index).is_none() {
        return Err(InputError::NoDevice { name: layout.name, field: "ifindex", index });
    }
    for field in layout.fields.iter().filter(|f| !SKB_FIELDS.contains(&f.name)) {
        let range = usize::from(field.offset)..usize::from(field.offset + field.bytes());
        if context.iter().take(range.end).skip(range.start).any(|b| *b != 0) {
            return Err(bad(layout, field.name, value(context, field), "only zero can be given"));
        }
    }
    // What lies between the fields has no name.
    let unnamed = |at: &usize| layout.at(*at as u16).is_none();
    if let Some(at) = (0..context.len().min(usize::from(layout.size))).filter(unnamed).find(|at| context[*at] != 0) {
        return Err(bad(layout, "the padding", context[at].into(), "only zero can be given"));
    }
    let segments = named(layout, context, "gso_segs");
    if segments > GSO_MAX_SEGS {
        return Err(bad(layout, "gso_segs", segments, "at most 65535"));
    }
    Ok(())
}

fn check_xdp(layout: &'static Layout, context: &[u8]) -> Result<(), InputError> {
    for (field, why) in [
        ("data_meta", "metadata starts where the packet's bytes start: only zero can be given"),
        ("egress_ifindex", "packets of test-runs come in: only zero can be given"),
    ] {
        match named(layout, context, field) {
            0 => {}
            value => return Err(bad(layout, field, value, why)),
        }
    }
    let meta = named(layout, context, "data");
    if !meta.is_multiple_of(4) || meta > MAX_META {
        return Err(bad(layout, "data", meta, "expected the length of the metadata, a multiple of 4 up to 216"));
    }
    Ok(())
}

/// The device that an XDP packet comes from. The kernel looks for it when all else of the context is right.
pub(super) fn check_device(run: &Run, kind: ProgType, context: &[u8]) -> Result<(), InputError> {
    let Some(Context::Fields { layout, .. }) = context_of(kind).filter(|_| kind == ProgType::Xdp) else {
        return Ok(());
    };
    let index = named(layout, context, "ingress_ifindex") as u32;
    let queue = named(layout, context, "rx_queue_index");
    match index {
        0 if queue != 0 => Err(bad(layout, "rx_queue_index", queue, "a queue needs a device")),
        0 => Ok(()),
        _ if run.world.device(index).is_none() => {
            Err(InputError::NoDevice { name: layout.name, field: "ingress_ifindex", index })
        }
        _ if queue != 0 => Err(bad(layout, "rx_queue_index", queue, "the device has one queue")),
        _ => Ok(()),
    }
}

/// What programs see where the context says nothing, or more than the kernel keeps.
pub(super) fn fill_in(run: &mut Run, kind: ProgType) {
    if kind == ProgType::Xdp && run.ctx.get("ingress_ifindex") == Some(0) {
        run.ctx.set("ingress_ifindex", LOOPBACK.into());
    }
    if kind == ProgType::SkLookup {
        fill_in_lookup(run);
    }
    if let Some(size) = run.ctx.get("gso_size") {
        run.ctx.set("gso_size", u64::from(size as u16));
    }
}

/// The kernel keeps 16 bits of numbers that have no more, and the addresses of one family.
fn fill_in_lookup(run: &mut Run) {
    for name in ["family", "protocol", "remote_port", "local_port"] {
        let value = run.ctx.get(name).unwrap_or(0);
        run.ctx.set(name, u64::from(value as u16));
    }
    let (absent, words) = match run.ctx.get("family") {
        Some(family) if family == u64::from(AF_INET) => (["remote_ip6", "local_ip6"], 4),
        _ => (["remote_ip4", "local_ip4"], 1),
    };
    for name in absent {
        (0..words).for_each(|n| _ = run.ctx.set_element(name, n, 0));
    }
}

/// Puts a packet in, as a test-run with this context does.
pub(super) fn set_packet(run: &mut Run, kind: ProgType, frame: &[u8], context: &[u8]) -> Result<(), InputError> {
    if kind == ProgType::Xdp {
        return set_xdp_packet(run, frame, context);
    }
    if run.ctx.skb().is_some() && kind != ProgType::FlowDissector {
        let header = match (frame[12], frame[13]) {
            (0x08, 0x00) => 20,
            (0x86, 0xdd) => 40,
            _ => 0,
        };
        if frame.len() < ETH_HLEN + header {
            return Err(InputError::ShortHeader { found: frame.len() - ETH_HLEN, expected: header });
        }
    }
    set_frame(run, kind, Origin::TestRun, frame);
    if kind == ProgType::FlowDissector {
        run.state.skb.bare = true;
        return Ok(());
    }
    if run.ctx.skb().is_some() {
        set_wire_len(run, kind, context)?;
        crate::helpers::attach_dummy_socket(run);
    }
    Ok(())
}

/// The length on the wire is the context's; it counts from where programs see the packet begin.
fn set_wire_len(run: &mut Run, kind: ProgType, context: &[u8]) -> Result<(), InputError> {
    let Some((Context::Fields { layout, .. }, fields)) = context_of(kind).zip(run.ctx.skb()) else { return Ok(()) };
    let len = run.packet.len() as u64;
    let wire_len = match named(layout, context, "wire_len") {
        _ if context.is_empty() => 0,
        0 => len,
        len_in if len_in < len || len_in > GSO_MAX_SIZE => {
            return Err(bad(layout, "wire_len", len_in, "expected zero, or from the packet's length to 65536"));
        }
        len_in => len_in,
    };
    run.ctx.set_u32(fields.wire_len, wire_len as u32);
    Ok(())
}

/// What the context calls `data` is the end of the metadata, and `data_end` that of the bytes in the first page. The
/// others lie in pages of their own.
fn set_xdp_packet(run: &mut Run, frame: &[u8], context: &[u8]) -> Result<(), InputError> {
    let kind = ProgType::Xdp;
    let Some(Context::Fields { layout, .. }) = context_of(kind) else { return Ok(()) };
    let meta = named(layout, context, "data") as usize;
    let end = if context.is_empty() { frame.len() } else { named(layout, context, "data_end") as usize };
    if meta > end || end > frame.len() {
        return Err(bad(layout, "data_end", end as u64, "expected the end of the bytes that lie in the first page"));
    }
    if frame.len() - meta < ETH_HLEN {
        return Err(InputError::ShortPacket(frame.len() - meta));
    }
    if !context.is_empty() {
        check_device(run, kind, context)?;
    }
    let most = PAGE - XDP_HEADROOM + meta - SHARED_INFO;
    let (linear, frags) = frame.split_at(end.min(most));
    if frags.len() > MAX_FRAGS * PAGE {
        return Err(InputError::LongPacket { found: frame.len(), kind, most: end.min(most) + MAX_FRAGS * PAGE });
    }
    let (meta, packet) = linear.split_at(meta);
    set_frame(run, kind, Origin::TestRun, packet);
    run.packet.set_frags(frags);
    run.set_packet_meta(meta);
    Ok(())
}

/// The packet that a test-run gives back: nothing of netfilter programs, which change none; of XDP programs with its metadata before it and its other pages behind it, and
/// where programs see what follows the Ethernet header with an empty one.
pub fn data_out(run: &Run) -> Vec<u8> {
    let kind = run.program().prog_type();
    if let Some(keys) = run.flow_keys().filter(|_| kind == ProgType::FlowDissector) {
        return found_keys(keys, run.packet.len());
    }
    if kind == ProgType::Netfilter {
        return Vec::new();
    }
    let before: &[u8] = match kind {
        ProgType::Xdp => run.packet.meta(),
        _ if run.has_packet() && !starts_at_link(kind, Origin::TestRun) => &[0; ETH_HLEN],
        _ => &[],
    };
    [before, run.packet.bytes(), run.packet.frags()].concat()
}

/// Flow keys as the kernel takes them from a program: offsets that lie in the packet, behind the link header.
fn found_keys(mut keys: Vec<u8>, len: usize) -> Vec<u8> {
    let offset = |at: usize, keys: &[u8]| u16::from_ne_bytes([keys[at], keys[at + 1]]);
    let len = len.min(usize::from(u16::MAX)) as u16;
    let network = offset(0, &keys).clamp(ETH_HLEN as u16, len.max(ETH_HLEN as u16));
    let transport = offset(2, &keys).clamp(network, len.max(network));
    keys[..2].copy_from_slice(&network.to_ne_bytes());
    keys[2..4].copy_from_slice(&transport.to_ne_bytes());
    keys
}

/// The packet and the context that a test-run gives back. No context comes back where none was given.
pub fn output(run: &Run, context: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (data_out(run), output_context(run, run.program().prog_type(), context))
}

/// What a test-run has given back, as the frame that it is: its link header stands before it again, and metadata is taken
/// away. The answer is that.
pub fn unwrap_frame(kind: ProgType, before: &[u8], data: &mut Vec<u8>, context: &[u8]) -> Vec<u8> {
    if !starts_at_link(kind, Origin::TestRun) {
        let header = ETH_HLEN.min(data.len()).min(before.len());
        data[..header].copy_from_slice(&before[..header]);
    }
    let meta = match (kind, context.first_chunk()) {
        (ProgType::Xdp, Some(len)) => (u32::from_ne_bytes(*len) as usize).min(data.len()),
        _ => 0,
    };
    data.drain(..meta).collect()
}

/// The context of a test-run with a packet, in which that of XDP programs says how long it is, and that of netfilter
/// programs that it comes in.
pub fn context_for(kind: ProgType, context: &[u8], frame: &[u8]) -> Vec<u8> {
    let mut context = context.to_vec();
    if let (ProgType::Xdp, Some(Context::Fields { layout, .. })) = (kind, context_of(kind)) {
        context.resize(context.len().max(layout.size.into()), 0);
        if let Some(end) = layout.fields.iter().find(|f| f.name == "data_end") {
            context[usize::from(end.offset)..][..4].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
        }
    }
    if kind == ProgType::Netfilter && context.is_empty() {
        context = super::netfilter::context_for(frame);
    }
    context
}

fn output_context(run: &Run, kind: ProgType, before: &[u8]) -> Vec<u8> {
    if before.is_empty() {
        return Vec::new();
    }
    if kind == ProgType::Netfilter {
        // What was given says where the packet is; what the program gets of it holds the kernel's pointers.
        return before.to_vec();
    }
    let mut out = run.ctx.to_struct();
    let Some(Context::Fields { layout, .. }) = context_of(kind) else { return out };
    let mut before = before.to_vec();
    before.resize(usize::from(layout.size), 0);
    let mut put = |name: &str, value: u32| {
        if let Some(f) = layout.fields.iter().find(|f| f.name == name) {
            out[usize::from(f.offset)..][..4].copy_from_slice(&value.to_ne_bytes());
        }
    };
    match layout.name {
        "xdp_md" => {
            let meta = run.packet.meta().len();
            put("data", meta as u32);
            put("data_end", (meta + run.packet.len()) as u32);
            out[8..].copy_from_slice(&before[8..]);
        }
        // What was given, with the socket's cookie, of which a run here has none.
        "bpf_sk_lookup" => out.copy_from_slice(&before[..usize::from(layout.size)]),
        // Only what can be given comes back.
        "__sk_buff" => {
            for f in layout.fields.iter().filter(|f| !SKB_FIELDS.contains(&f.name) || f.name == "gso_size") {
                let range = usize::from(f.offset)..usize::from(f.offset + f.bytes());
                out[range.clone()].copy_from_slice(&before[range]);
            }
        }
        _ => {}
    }
    out
}
