//! Where packets go: redirects, routes, limits of devices.

use super::Row;
use super::cx::{self, Ret};
use crate::event::Redirect;
use crate::maps::Kind;
use crate::world::{Device, Route};
use crate::{Errno, Event, Run};
use ebpfkit_abi::net::{ETH_HLEN, VLAN_HLEN, family};
use ebpfkit_abi::{MapType, ProgType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const ROWS: &[Row] = &[
    ("redirect", redirect),
    ("redirect_peer", redirect_peer),
    ("redirect_neigh", redirect_neigh),
    ("redirect_map", redirect_map),
    ("clone_redirect", clone_redirect),
    ("fib_lookup", fib_lookup),
    ("check_mtu", check_mtu),
];

/// `BPF_F_INGRESS`
const INGRESS: u64 = 1;
/// `TC_ACT_SHOT` and `TC_ACT_REDIRECT`
const TC_SHOT: u64 = 2;
const TC_REDIRECT: u64 = 7;
/// `XDP_ABORTED` and `XDP_REDIRECT`
const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
/// Actions that a failed `bpf_redirect_map` may give.
const XDP_ACTIONS: u64 = 3;
/// `BPF_F_BROADCAST` and `BPF_F_EXCLUDE_INGRESS`
const BROADCAST: u64 = 1 << 3;
const EXCLUDE_INGRESS: u64 = 1 << 4;

fn is_xdp(run: &Run) -> bool {
    run.program().prog_type() == ProgType::Xdp
}

fn redirect(run: &mut Run, [index, flags, ..]: [u64; 5]) -> Ret {
    let xdp = is_xdp(run);
    if flags & !(if xdp { 0 } else { INGRESS }) != 0 {
        return Ok(if xdp { XDP_ABORTED } else { TC_SHOT });
    }
    run.redirect = Some(Redirect::Device { index: index as u32, flags });
    Ok(if xdp { XDP_REDIRECT } else { TC_REDIRECT })
}

fn redirect_peer(run: &mut Run, [index, flags, ..]: [u64; 5]) -> Ret {
    if flags != 0 {
        return Ok(TC_SHOT);
    }
    run.redirect = Some(Redirect::Peer { index: index as u32 });
    Ok(TC_REDIRECT)
}

/// Bytes of `struct bpf_redir_neigh`: family, then an address.
const NEIGH_SIZE: u64 = 20;

fn redirect_neigh(run: &mut Run, [index, params, size, flags, _]: [u64; 5]) -> Ret {
    let size = u64::from(size as u32);
    if size != 0 && size < NEIGH_SIZE || flags != 0 {
        return Ok(TC_SHOT);
    }
    let mut gateway = None;
    if size != 0 {
        let bytes = cx::copy(run, params, NEIGH_SIZE as usize)?;
        let family = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        gateway = address(family as u8, &bytes[4..20]);
    }
    run.redirect = Some(Redirect::Neigh { index: index as u32, gateway });
    Ok(TC_REDIRECT)
}

fn redirect_map(run: &mut Run, [handle, key, flags, ..]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let info = map.info();
    let known = match info.map_type {
        MapType::Devmap | MapType::DevmapHash => BROADCAST | EXCLUDE_INGRESS,
        _ => 0,
    };
    if flags & !(XDP_ACTIONS | known) != 0 {
        return Ok(XDP_ABORTED);
    }
    let index = key as u32;
    let found = match map.kind() {
        Kind::Slots(slots) => slots.get(index).is_some(),
        _ => map.lookup(&index.to_ne_bytes(), run.world.cpu).is_some(),
    };
    if !found && flags & BROADCAST == 0 {
        run.redirect = None;
        return Ok(flags & XDP_ACTIONS);
    }
    run.redirect = Some(Redirect::Map { map: info.id, key: index.into(), flags: flags & known });
    Ok(XDP_REDIRECT)
}

fn clone_redirect(run: &mut Run, [_, index, flags, ..]: [u64; 5]) -> Ret {
    let device = index as u32;
    if flags & !INGRESS != 0 || run.world.device(device).is_none() {
        return cx::fail(Errno::EINVAL);
    }
    let data = run.packet.bytes().to_vec();
    cx::charge(run, data.len());
    let sent = super::events::emit(run, Event::Packet { device, flags, data });
    super::skb::moved(run);
    if sent { Ok(0) } else { cx::fail(Errno::ENOMEM) }
}

/// Flags and answers of `bpf_fib_lookup`.
mod fib {
    pub const SIZE: u64 = 64;
    pub const KNOWN: u64 = 0x3f;
    pub const SKIP_NEIGH: u64 = 4;
    pub const TBID: u64 = 8;
    pub const DIRECT: u64 = 1;
    pub const OUTPUT: u64 = 2;
    pub const SRC: u64 = 16;
    pub const SUCCESS: u64 = 0;
    pub const NOT_FWDED: u64 = 4;
    pub const NO_NEIGH: u64 = 7;
    pub const FRAG_NEEDED: u64 = 8;
    pub const NO_SRC_ADDR: u64 = 9;
}

/// Address families, in the one byte that the parameters have for them.
const AF_INET: u8 = family::INET as u8;
const AF_INET6: u8 = family::INET6 as u8;

/// An address in network byte order.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?).into()),
        _ => None,
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(a) => (u128::from(u32::from(a)) << 96, 32),
        IpAddr::V6(a) => (u128::from(a), 128),
    }
}

/// The route with the longest matching prefix; with a device, only of that device.
fn route(routes: &[Route], to: IpAddr, device: Option<u32>) -> Option<&Route> {
    let (target, width) = bits(to);
    let matches = |r: &&Route| {
        let (network, w) = bits(r.network);
        let prefix = u32::from(r.prefix).min(w);
        w == width && (prefix == 0 || (network ^ target) >> (128 - prefix) == 0) && device.is_none_or(|d| d == r.device)
    };
    // Of equal prefixes the first one counts.
    routes.iter().filter(matches).rev().max_by_key(|r| r.prefix)
}

fn fib_lookup(run: &mut Run, [_, params, size, flags, _]: [u64; 5]) -> Ret {
    let flags = u64::from(flags as u32);
    if (size as u32 as i32) < fib::SIZE as i32 || flags & !fib::KNOWN != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let mut p = [0u8; fib::SIZE as usize];
    run.read(params, &mut p)?;
    if !matches!(p[0], AF_INET | AF_INET6) {
        return cx::fail(Errno::EAFNOSUPPORT);
    }
    let answer = look_up(run, &mut p, flags);
    run.write(params, &p)?;
    cx::number(answer)
}

/// Fills in the parameters; the answer is one of `fib`.
fn look_up(run: &Run, p: &mut [u8; fib::SIZE as usize], flags: u64) -> Result<u64, Errno> {
    let word = |p: &[u8], at: usize| u32::from_ne_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]]);
    let world = &run.world;
    let entry = word(p, 8);
    world.device(entry).ok_or(Errno::ENODEV)?;
    let family = p[0];
    let to = address(family, &p[32..48]).ok_or(Errno::EAFNOSUPPORT)?;
    if flags & fib::DIRECT != 0 && flags & fib::TBID != 0 {
        p[48..52].fill(0);
    }
    let only = (flags & fib::OUTPUT != 0).then_some(entry);
    let Some(found) = route(&world.routes, to, only) else { return Ok(fib::NOT_FWDED) };
    let Some(device) = world.device(found.device) else { return Ok(fib::NOT_FWDED) };
    let whole = u16::from_ne_bytes([p[6], p[7]]);
    let checks = is_xdp(run) || whole != 0;
    let mtu = device.mtu.min(u16::MAX.into()) as u16;
    if checks && u32::from(whole) > device.mtu {
        p[6..8].copy_from_slice(&mtu.to_ne_bytes());
        return Ok(fib::FRAG_NEEDED);
    }
    p[12..16].fill(0);
    p[8..12].copy_from_slice(&device.index.to_ne_bytes());
    if flags & fib::SRC != 0 {
        match (device.address(family == AF_INET6), family) {
            (Some(IpAddr::V4(a)), _) => p[16..20].copy_from_slice(&a.octets()),
            (Some(IpAddr::V6(a)), _) => p[16..32].copy_from_slice(&a.octets()),
            (None, AF_INET6) => return Ok(fib::NO_SRC_ADDR),
            (None, _) => p[16..20].fill(0),
        }
    }
    match found.gateway {
        Some(IpAddr::V4(a)) => p[32..36].copy_from_slice(&a.octets()),
        Some(IpAddr::V6(a)) => {
            p[0] = AF_INET6;
            p[32..48].copy_from_slice(&a.octets());
        }
        None => {}
    }
    if flags & fib::SKIP_NEIGH == 0 {
        let next = found.gateway.unwrap_or(to);
        let Some(n) = world.neighbours.iter().find(|n| n.device == device.index && n.address == next) else {
            return Ok(fib::NO_NEIGH);
        };
        p[58..64].copy_from_slice(&n.mac);
        p[52..58].copy_from_slice(&device.mac);
    }
    p[48..52].fill(0);
    if checks {
        p[6..8].copy_from_slice(&mtu.to_ne_bytes());
    } else {
        // Without a length the packet itself is held against the device it would leave by.
        p[6..8].copy_from_slice(&mtu.to_ne_bytes());
        if !forwardable(run, device) {
            return Ok(fib::FRAG_NEEDED);
        }
    }
    Ok(fib::SUCCESS)
}

/// Bytes of the link header, and of a VLAN tag that may come on top.
const LINK_HEADER: u32 = ETH_HLEN as u32;
const VLAN_TAG: u32 = VLAN_HLEN as u32;

fn forwardable(run: &Run, device: &Device) -> bool {
    let whole = device.mtu.saturating_add(LINK_HEADER + VLAN_TAG);
    run.packet.len() <= whole as usize || run.ctx.get("gso_size").is_some_and(|s| s != 0)
}

/// `BPF_MTU_CHK_SEGS` and the answers.
const CHECK_SEGMENTS: u64 = 1;
const FRAG_NEEDED: u64 = 1;

fn check_mtu(run: &mut Run, [_, index, mtu_at, by, flags]: [u64; 5]) -> Ret {
    let by = i64::from(by as u32 as i32);
    let asked = cx::read_u32(run, mtu_at)?;
    let xdp = is_xdp(run);
    let known = if xdp { 0 } else { CHECK_SEGMENTS };
    if flags & !known != 0 || flags & CHECK_SEGMENTS != 0 && (by != 0 || asked != 0) {
        return cx::fail(Errno::EINVAL);
    }
    let index = match index as u32 {
        0 if xdp => run.ctx.get("ingress_ifindex").unwrap_or(1).max(1) as u32,
        0 => run.ctx.get("ifindex").unwrap_or(1).max(1) as u32,
        index => index,
    };
    let Some(mtu) = run.world.device(index).map(|d| d.mtu) else { return cx::fail(Errno::ENODEV) };
    let len = match asked {
        0 => run.packet.len() as i64,
        n => i64::from(n) + i64::from(LINK_HEADER),
    };
    let fits = len + by <= i64::from(mtu) + i64::from(LINK_HEADER);
    let segmented = !xdp && run.ctx.get("gso_size").is_some_and(|s| s != 0);
    cx::write(run, mtu_at, &mtu.to_ne_bytes())?;
    Ok(if fits || segmented { 0 } else { FRAG_NEEDED })
}
