//! Headers of skbs: VLAN tags, room between headers, protocol changes, tunnels.

use super::Row;
use super::cx::{self, Ret};
use super::skb::moved;
use crate::packet::{Checksum, TunnelKey, protocol as link_protocol};
use crate::{Errno, Run};
use ebpfkit_abi::ProgType;
use ebpfkit_abi::net::{ETH_ALEN, ETH_HLEN, IPV4_HLEN, IPV6_HLEN, VLAN_HLEN, ethertype};

pub(super) const ROWS: &[Row] = &[
    ("skb_vlan_push", vlan_push),
    ("skb_vlan_pop", vlan_pop),
    ("skb_change_proto", change_proto),
    ("skb_adjust_room", adjust_room),
    ("skb_change_tail", change_tail),
    ("skb_change_head", change_head),
    ("skb_get_tunnel_key", get_tunnel_key),
    ("skb_set_tunnel_key", set_tunnel_key),
    ("skb_get_tunnel_opt", get_tunnel_opt),
    ("skb_set_tunnel_opt", set_tunnel_opt),
];

/// Longest packet that helpers make (`BPF_SKB_MAX_LEN`): four pages less the kernel's own data.
const MAX_LEN: u64 = 4 * 4096 - 320;
/// Bytes of the two addresses before the type field.
const ADDRESSES: usize = 2 * ETH_ALEN;

/// The packet's protocol in the host's byte order.
pub(super) fn protocol(run: &Run) -> u16 {
    u16::from_be_bytes((run.ctx.get("protocol").unwrap_or(0) as u16).to_ne_bytes())
}

/// Tags of VLANs that the kernel does not look behind any more (`VLAN_MAX_DEPTH`).
const MAX_TAGS: usize = 8;

/// The protocol behind the tags of VLANs that stand in the packet; zero when it cannot be told. The first tag is taken to
/// be the end of the link header, where its length was noted.
pub(super) fn protocol_behind_tags(run: &Run) -> u16 {
    let mut protocol = protocol(run);
    let first = match run.state.skb.noted_mac_len {
        0 => Some(ETH_HLEN),
        noted => noted.checked_sub(VLAN_HLEN),
    };
    for n in 0..MAX_TAGS {
        if !is_vlan(protocol) {
            return protocol;
        }
        let Some(at) = first.map(|first| first + n * VLAN_HLEN) else { return 0 };
        let Some(tag) = run.packet.bytes().get(at..at + VLAN_HLEN) else { return 0 };
        protocol = u16::from_be_bytes([tag[2], tag[3]]);
    }
    0
}

fn set_protocol(run: &mut Run, protocol: u16) {
    run.ctx.set("protocol", u16::from_ne_bytes(protocol.to_be_bytes()).into());
}

fn is_vlan(protocol: u16) -> bool {
    protocol == ethertype::VLAN_Q || protocol == ethertype::VLAN_AD
}

/// Longest packet in one piece: what the kernel's allocator gives at most (`KMALLOC_MAX_SIZE`).
const MAX_LINEAR: usize = 4 << 20;

/// Puts zeros before the packet. A transport header that is set stays where it is in memory.
fn push(run: &mut Run, len: usize) -> Result<(), Errno> {
    let whole = run.packet.len().saturating_add(len);
    if whole > MAX_LINEAR {
        return Err(Errno::ENOMEM);
    }
    cx::charge(run, whole);
    run.state.skb.grow_front(len);
    run.packet.push_front(len);
    let skb = &mut run.state.skb;
    skb.transport = skb.transport.map(|t| t + len as i64);
    Ok(())
}

/// Takes bytes from the front of the packet.
fn pull(run: &mut Run, len: usize) {
    run.state.skb.shrink_front(len);
    run.packet.pull_front(len);
    let skb = &mut run.state.skb;
    skb.transport = skb.transport.map(|t| t - len as i64);
}

/// Makes room of `len` zero bytes at an offset; what stands before moves to the front.
fn insert(run: &mut Run, offset: usize, len: usize) -> Result<(), Errno> {
    push(run, len)?;
    run.packet.open_gap(offset, len);
    Ok(())
}

/// Takes `len` bytes out at an offset; what stands before moves back.
fn remove(run: &mut Run, offset: usize, len: usize) {
    run.packet.bytes_mut().copy_within(0..offset, len);
    pull(run, len);
}

/// The tag beside the packet: type and control information.
fn tag(run: &Run) -> Option<(u16, u16)> {
    let field = |name| run.ctx.get(name).unwrap_or(0);
    let kind = u16::from_be_bytes((field("vlan_proto") as u16).to_ne_bytes());
    (field("vlan_present") != 0).then(|| (kind, field("vlan_tci") as u16))
}

fn set_tag(run: &mut Run, tag: Option<(u16, u16)>) {
    let (kind, control) = tag.unwrap_or_default();
    run.ctx.set("vlan_present", tag.is_some().into());
    run.ctx.set("vlan_proto", u16::from_ne_bytes(kind.to_be_bytes()).into());
    run.ctx.set("vlan_tci", control.into());
}

/// The new tag stands beside the packet; one that stood there goes into it.
fn vlan_push(run: &mut Run, [_, kind, control, ..]: [u64; 5]) -> Ret {
    let kind =
        Some(u16::from_be_bytes((kind as u16).to_ne_bytes())).filter(|k| is_vlan(*k)).unwrap_or(ethertype::VLAN_Q);
    if let Some((old_kind, old_control)) = tag(run) {
        if run.state.skb.mac != 0 {
            return cx::fail(Errno::EINVAL);
        }
        if run.packet.len() < ADDRESSES {
            return cx::fail(Errno::ENOMEM);
        }
        if let Err(errno) = insert(run, ADDRESSES, VLAN_HLEN) {
            return cx::fail(errno);
        }
        let bytes = run.packet.bytes_mut();
        bytes[ADDRESSES..ADDRESSES + 2].copy_from_slice(&old_kind.to_be_bytes());
        bytes[ADDRESSES + 2..ADDRESSES + 4].copy_from_slice(&old_control.to_be_bytes());
        set_protocol(run, old_kind);
    }
    set_tag(run, Some((kind, control as u16)));
    moved(run);
    Ok(0)
}

/// Takes the tag out of the packet; its control information.
fn pop_inner(run: &mut Run) -> Result<u16, Errno> {
    if run.state.skb.mac != 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = run.packet.bytes();
    if bytes.len() < ETH_HLEN + VLAN_HLEN {
        return Err(Errno::ENOMEM);
    }
    let half = |i: usize| u16::from_be_bytes([bytes[i], bytes[i + 1]]);
    let (control, inner) = (half(ETH_HLEN), link_protocol(half(ETH_HLEN + 2), &bytes[ETH_HLEN + VLAN_HLEN..]));
    set_protocol(run, inner);
    remove(run, ADDRESSES, VLAN_HLEN);
    run.state.skb.network = (run.state.skb.network - VLAN_HLEN as i64).max(ETH_HLEN as i64);
    Ok(control)
}

fn vlan_pop(run: &mut Run, _: [u64; 5]) -> Ret {
    let result = pop_outer(run);
    moved(run);
    cx::status(result)
}

fn pop_outer(run: &mut Run) -> Result<(), Errno> {
    if tag(run).is_some() {
        set_tag(run, None);
    } else if is_vlan(protocol(run)) {
        pop_inner(run)?;
    } else {
        return Ok(());
    }
    // The next tag takes its place beside the packet.
    let next = protocol(run);
    if is_vlan(next) {
        let control = pop_inner(run)?;
        set_tag(run, Some((next, control)));
    }
    Ok(())
}

/// Whether the transport header is marked at the network header.
fn same_header(run: &Run) -> bool {
    run.state.skb.transport == Some(run.state.skb.network)
}

fn keep_same(run: &mut Run, same: bool) {
    if same {
        run.state.skb.transport = Some(run.state.skb.network);
    }
}

/// Makes room behind the headers up to `offset`; link and network header stay where they are for the program.
fn grow_headers(run: &mut Run, offset: usize, len: usize) -> Result<(), Errno> {
    let same = same_header(run);
    insert(run, offset, len)?;
    keep_same(run, same);
    Ok(())
}

fn shrink_headers(run: &mut Run, offset: usize, len: usize) -> Result<(), Errno> {
    if offset + len > run.packet.len() {
        return Err(Errno::ENOMEM);
    }
    let same = same_header(run);
    remove(run, offset, len);
    keep_same(run, same);
    Ok(())
}

fn change_proto(run: &mut Run, [_, to, flags, ..]: [u64; 5]) -> Ret {
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let to = u16::from_be_bytes((to as u16).to_ne_bytes());
    let (offset, len) = (run.state.skb.mac_len(), IPV6_HLEN - IPV4_HLEN);
    let result = match (protocol(run), to) {
        (ethertype::IPV4, ethertype::IPV6) => grow_headers(run, offset, len),
        (ethertype::IPV6, ethertype::IPV4) => shrink_headers(run, offset, len),
        _ => Err(Errno::ENOTSUPP),
    };
    if result.is_ok() {
        set_protocol(run, to);
        run.ctx.set("hash", 0);
    }
    moved(run);
    cx::status(result)
}

/// Flags of `bpf_skb_adjust_room`.
mod adj_room {
    pub const FIXED_GSO: u64 = 1 << 0;
    pub const ENCAP_IPV4: u64 = 1 << 1;
    pub const ENCAP_IPV6: u64 = 1 << 2;
    pub const ENCAP_GRE: u64 = 1 << 3;
    pub const ENCAP_UDP: u64 = 1 << 4;
    pub const NO_CSUM_RESET: u64 = 1 << 5;
    pub const ENCAP_ETH: u64 = 1 << 6;
    pub const DECAP_IPV4: u64 = 1 << 7;
    pub const DECAP_IPV6: u64 = 1 << 8;
    pub const INNER_MAC_SHIFT: u32 = 56;
    pub const INNER_MAC: u64 = 0xff << INNER_MAC_SHIFT;
    pub const ENCAP: u64 = ENCAP_IPV4 | ENCAP_IPV6;
    pub const DECAP: u64 = DECAP_IPV4 | DECAP_IPV6;
    pub const ALL: u64 = FIXED_GSO | ENCAP | ENCAP_GRE | ENCAP_UDP | NO_CSUM_RESET | ENCAP_ETH | INNER_MAC | DECAP;
    /// Modes: behind the network header, behind the link header.
    pub const NET: u32 = 0;
    pub const MAC: u32 = 1;
    /// Furthest change.
    pub const MAX: u32 = 0xfff;
}

/// `bpf_skb_adjust_room` of socket programs: the packet's start moves.
fn adjust_start(run: &mut Run, by: i32, mode: u32, flags: u64) -> Result<(), Errno> {
    if flags != 0 || mode != 0 {
        return Err(Errno::EINVAL);
    }
    let len = by.unsigned_abs();
    if len > adj_room::MAX {
        return Err(Errno::EFAULT);
    }
    if by >= 0 {
        push(run, len as usize)?;
    } else if len as usize <= run.packet.len() {
        pull(run, len as usize);
    } else {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

fn adjust_room(run: &mut Run, [_, by, mode, flags, _]: [u64; 5]) -> Ret {
    let (by, mode) = (by as u32 as i32, mode as u32);
    let result = if run.program().prog_type() == ProgType::SkSkb {
        adjust_start(run, by, mode, flags)
    } else {
        adjust_headers(run, by, mode, flags)
    };
    moved(run);
    cx::status(result)
}

fn adjust_headers(run: &mut Run, by: i32, mode: u32, flags: u64) -> Result<(), Errno> {
    let len = by.unsigned_abs();
    if flags & !adj_room::ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if len > adj_room::MAX {
        return Err(Errno::EFAULT);
    }
    let base = match protocol(run) {
        ethertype::IPV4 => IPV4_HLEN,
        ethertype::IPV6 => IPV6_HLEN,
        _ => return Err(Errno::ENOTSUPP),
    };
    let offset = run.state.skb.mac_len()
        + match mode {
            adj_room::NET => base,
            adj_room::MAC => 0,
            _ => return Err(Errno::ENOTSUPP),
        };
    let shrinks = by < 0;
    let least = match flags & adj_room::DECAP {
        0 => base,
        _ if !shrinks => return Err(Errno::EINVAL),
        adj_room::DECAP_IPV4 => IPV4_HLEN,
        adj_room::DECAP_IPV6 => IPV6_HLEN,
        _ => return Err(Errno::EINVAL),
    };
    let len = len as usize;
    let now = run.packet.len() as i64 - run.state.skb.network;
    let too_short = shrinks && now - (len as i64) < least as i64;
    let too_long = !shrinks && run.packet.len() as u64 + len as u64 > MAX_LEN && !is_segmented(run);
    if too_short || too_long {
        return Err(Errno::ENOTSUPP);
    }
    if shrinks {
        shrink(run, offset, len, flags)?;
    } else {
        grow(run, offset, len, flags)?;
    }
    if flags & adj_room::NO_CSUM_RESET == 0
        && let Checksum::Unnecessary(_) = run.state.skb.checksum
    {
        run.state.skb.checksum = Checksum::None;
    }
    Ok(())
}

fn shrink(run: &mut Run, offset: usize, len: usize, flags: u64) -> Result<(), Errno> {
    if flags & !(adj_room::FIXED_GSO | adj_room::DECAP | adj_room::NO_CSUM_RESET) != 0 {
        return Err(Errno::EINVAL);
    }
    if is_segmented(run) {
        return Err(Errno::ENOTSUPP);
    }
    shrink_headers(run, offset, len)?;
    match (protocol(run), flags & adj_room::DECAP) {
        (ethertype::IPV4, adj_room::DECAP_IPV6) => set_protocol(run, ethertype::IPV6),
        (ethertype::IPV6, adj_room::DECAP_IPV4) => set_protocol(run, ethertype::IPV4),
        _ => {}
    }
    Ok(())
}

fn grow(run: &mut Run, offset: usize, len: usize, flags: u64) -> Result<(), Errno> {
    if is_segmented(run) {
        return Err(Errno::ENOTSUPP);
    }
    let encap = flags & adj_room::ENCAP;
    let inner_mac = (flags >> adj_room::INNER_MAC_SHIFT) as usize;
    if encap != 0 {
        let both = |a: u64, b: u64| flags & a != 0 && flags & b != 0;
        if both(adj_room::ENCAP_IPV4, adj_room::ENCAP_IPV6) || both(adj_room::ENCAP_GRE, adj_room::ENCAP_UDP) {
            return Err(Errno::EINVAL);
        }
        if flags & adj_room::ENCAP_ETH != 0 && inner_mac < ETH_HLEN {
            return Err(Errno::EINVAL);
        }
        if run.state.skb.encapsulated {
            return Err(Errno::EALREADY);
        }
        if inner_mac > len {
            return Err(Errno::EINVAL);
        }
    }
    grow_headers(run, offset, len)?;
    if encap != 0 {
        let skb = &mut run.state.skb;
        skb.encapsulated = true;
        skb.network = skb.mac_len() as i64;
        if flags & (adj_room::ENCAP_GRE | adj_room::ENCAP_UDP) != 0 {
            let header = if encap == adj_room::ENCAP_IPV6 { IPV6_HLEN } else { IPV4_HLEN };
            skb.transport = Some(skb.network + header as i64);
        }
        match (protocol(run), encap) {
            (ethertype::IPV4, adj_room::ENCAP_IPV6) => set_protocol(run, ethertype::IPV6),
            (ethertype::IPV6, adj_room::ENCAP_IPV4) => set_protocol(run, ethertype::IPV4),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the packet is to be sent in segments. Of what protocol they are the context does not say, so that the kernel
/// does not know how to make their headers longer or shorter.
fn is_segmented(run: &Run) -> bool {
    run.ctx.get("gso_size").is_some_and(|size| size != 0)
}

fn change_tail(run: &mut Run, [_, len, flags, ..]: [u64; 5]) -> Ret {
    let len = u64::from(len as u32);
    let skb = &run.state.skb;
    let least = skb.transport.filter(|t| *t > 0).unwrap_or(skb.network.max(0)) as u64;
    let result = if flags != 0 || len > MAX_LEN || len < least {
        Err(Errno::EINVAL)
    } else if skb.encapsulated {
        Err(Errno::ENOTSUPP)
    } else {
        run.packet.set_len(len as usize);
        if is_segmented(run) {
            run.ctx.set("gso_size", 0);
            run.ctx.set("gso_segs", 0);
        }
        Ok(())
    };
    moved(run);
    cx::status(result)
}

fn change_head(run: &mut Run, [_, len, flags, ..]: [u64; 5]) -> Ret {
    let len = u64::from(len as u32);
    let whole = run.packet.len() as u64 + len;
    if flags != 0 || !is_segmented(run) && whole > MAX_LEN || whole > u64::from(u32::MAX) {
        moved(run);
        return cx::fail(Errno::EINVAL);
    }
    if let Err(errno) = push(run, len as usize) {
        moved(run);
        return cx::fail(errno);
    }
    let skb = &mut run.state.skb;
    skb.mac = 0;
    skb.network += len as i64;
    skb.noted_mac_len = skb.mac_len();
    moved(run);
    Ok(0)
}

/// Bytes of `struct bpf_tunnel_key`, and of its older and shorter forms.
const KEY_SIZE: usize = 44;
const KEY_SIZES: [usize; 4] = [28, 24, 22, KEY_V4_ONLY];
/// The first form: no IPv6.
const KEY_V4_ONLY: usize = 8;
/// `BPF_F_TUNINFO_IPV6`, `BPF_F_TUNINFO_FLAGS`
const TUNINFO_IPV6: u64 = 1 << 0;
const TUNINFO_FLAGS: u64 = 1 << 4;
/// `BPF_F_ZERO_CSUM_TX`, `BPF_F_DONT_FRAGMENT`, `BPF_F_SEQ_NUMBER`, `BPF_F_NO_TUNNEL_KEY`
const ZERO_CSUM: u64 = 1 << 1;
const DONT_FRAGMENT: u64 = 1 << 2;
const SEQ_NUMBER: u64 = 1 << 3;
const NO_TUNNEL_KEY: u64 = 1 << 4;
/// `TUNNEL_*` bits that those flags stand for, as numbers in network byte order.
const TUNNEL_BITS: [(u64, bool, u16); 4] = [
    (ZERO_CSUM, false, 1 << 0),
    (NO_TUNNEL_KEY, false, 1 << 2),
    (SEQ_NUMBER, true, 1 << 3),
    (DONT_FRAGMENT, true, 1 << 8),
];

/// `TUNNEL_NOCACHE`, set on every key that a program makes.
const TUNNEL_NO_CACHE: u16 = 1 << 13;
/// Bits that say that there are options: those of Geneve, VXLAN, ERSPAN and GTP.
const TUNNEL_OPTIONS: u16 = 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15;

fn get_tunnel_key(run: &mut Run, [_, to, size, flags, _]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    let key = run.state.skb.tunnel.clone();
    let out = match &key {
        None => Err(Errno::EINVAL),
        Some(_) if flags & !(TUNINFO_IPV6 | TUNINFO_FLAGS) != 0 => Err(Errno::EINVAL),
        Some(key) if key.ipv6 != (flags & TUNINFO_IPV6 != 0) => Err(Errno::EPROTO),
        Some(key) if size == KEY_V4_ONLY && key.ipv6 => Err(Errno::EINVAL),
        Some(_) if size != KEY_SIZE && !KEY_SIZES.contains(&size) => Err(Errno::EINVAL),
        Some(key) => Ok(encode(key, flags)),
    };
    match out {
        Ok(bytes) => {
            cx::write(run, to, &bytes[..size])?;
            Ok(0)
        }
        Err(errno) => {
            cx::clear(run, to, size as u64)?;
            cx::fail(errno)
        }
    }
}

fn encode(key: &TunnelKey, flags: u64) -> [u8; KEY_SIZE] {
    let mut out = [0; KEY_SIZE];
    let put = |out: &mut [u8; KEY_SIZE], at: usize, word: u32| out[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    put(&mut out, 0, key.id as u32);
    for (i, word) in key.source.iter().enumerate() {
        put(&mut out, 4 + i * 4, if key.ipv6 || i == 0 { *word } else { 0 });
    }
    (out[20], out[21]) = (key.tos, key.ttl);
    if flags & TUNINFO_FLAGS != 0 {
        out[22..24].copy_from_slice(&key.flags.to_be_bytes());
    }
    put(&mut out, 24, if key.ipv6 { key.label } else { 0 });
    for (i, word) in key.destination.iter().enumerate() {
        put(&mut out, 28 + i * 4, if key.ipv6 || i == 0 { *word } else { 0 });
    }
    out
}

fn set_tunnel_key(run: &mut Run, [_, from, size, flags, _]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    if flags & !(TUNINFO_IPV6 | ZERO_CSUM | DONT_FRAGMENT | SEQ_NUMBER | NO_TUNNEL_KEY) != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if size != KEY_SIZE && !KEY_SIZES.contains(&size) {
        return cx::fail(Errno::EINVAL);
    }
    let mut key = [0; KEY_SIZE];
    run.read(from, &mut key[..size])?;
    let word = |at: usize| u32::from_ne_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
    let ipv6 = flags & TUNINFO_IPV6 != 0;
    let ext = u16::from_ne_bytes([key[22], key[23]]);
    if !ipv6 && word(24) != 0 || ext != 0 {
        return cx::fail(Errno::EINVAL);
    }
    // An address is read in host order for IPv4, as bytes for IPv6.
    let words = |at: usize| std::array::from_fn(|i| if ipv6 || i == 0 { word(at + i * 4) } else { 0 });
    let bits = TUNNEL_BITS.iter().filter(|(flag, when, _)| (flags & flag != 0) == *when).map(|b| b.2);
    run.state.skb.tunnel = Some(TunnelKey {
        id: word(0).into(),
        ipv6,
        destination: words(4),
        source: words(28),
        tos: key[20],
        ttl: key[21],
        label: if ipv6 { word(24) & 0xf_ffff } else { 0 },
        flags: bits.fold(TUNNEL_NO_CACHE, |all, b| all | b),
        options: None,
        set_by_program: true,
    });
    Ok(0)
}

fn get_tunnel_opt(run: &mut Run, [_, to, size, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    let options = run.state.skb.tunnel.as_ref().and_then(|t| t.options.clone());
    let found = options.ok_or(Errno::ENOENT).and_then(|o| if size < o.len() { Err(Errno::ENOMEM) } else { Ok(o) });
    match found {
        Ok(options) => {
            cx::write_padded(run, to, size as u64, &options)?;
            Ok(options.len() as u64)
        }
        Err(errno) => {
            cx::clear(run, to, size as u64)?;
            cx::fail(errno)
        }
    }
}

/// Longest options of a tunnel.
const MAX_OPTIONS: usize = 255;

fn set_tunnel_opt(run: &mut Run, [_, from, size, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    let ours = run.state.skb.tunnel.as_ref().is_some_and(|t| t.set_by_program);
    if !ours || !size.is_multiple_of(4) {
        return cx::fail(Errno::EINVAL);
    }
    if size > MAX_OPTIONS {
        return cx::fail(Errno::ENOMEM);
    }
    let options = cx::copy(run, from, size)?.to_vec();
    if let Some(key) = &mut run.state.skb.tunnel {
        key.options = Some(options);
        key.flags |= TUNNEL_OPTIONS;
    }
    Ok(0)
}
