//! Bytes, checksums and marks of packets that are skbs.

use super::Row;
use super::cx::{self, Ret};
use crate::packet::{Checksum, Sum, csum};
use crate::{Errno, Run};

pub(super) const ROWS: &[Row] = &[
    ("skb_store_bytes", store_bytes),
    ("skb_load_bytes", load_bytes),
    ("skb_load_bytes_relative", load_bytes_relative),
    ("skb_pull_data", pull_data),
    ("l3_csum_replace", l3_csum_replace),
    ("l4_csum_replace", l4_csum_replace),
    ("csum_diff", csum_diff),
    ("csum_update", csum_update),
    ("csum_level", csum_level),
    ("get_hash_recalc", get_hash_recalc),
    ("set_hash_invalid", set_hash_invalid),
    ("set_hash", set_hash),
    ("skb_change_type", change_type),
    ("skb_set_tstamp", set_tstamp),
    ("get_cgroup_classid", zero),
    ("get_route_realm", zero),
    ("skb_cgroup_classid", zero),
    ("skb_cgroup_id", cgroup_id),
    ("skb_ancestor_cgroup_id", ancestor_cgroup_id),
    ("skb_under_cgroup", under_cgroup),
];

/// `BPF_F_RECOMPUTE_CSUM`
const RECOMPUTE_CSUM: u64 = 1;
/// `BPF_F_INVALIDATE_HASH`
const INVALIDATE_HASH: u64 = 2;

/// The packet has changed in place or in length: the context is told.
pub(super) fn moved(run: &mut Run) {
    run.packet_moved();
    let len = run.packet.len() as u64;
    run.ctx.set("len", len);
}

/// A range of the packet's bytes, if all are there.
fn range(run: &Run, offset: u32, len: u32) -> Option<std::ops::Range<usize>> {
    let (start, end) = (offset as usize, (offset as usize).checked_add(len as usize)?);
    (offset <= i32::MAX as u32 && end <= run.packet.len()).then_some(start..end)
}

/// Writes bytes into the packet with the flags of `bpf_skb_store_bytes`.
pub(super) fn store(run: &mut Run, offset: u32, from: u64, len: u32, flags: u64) -> Ret {
    if flags & !(RECOMPUTE_CSUM | INVALIDATE_HASH) != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let Some(range) = range(run, offset, len) else { return cx::fail(Errno::EFAULT) };
    let bytes = cx::copy(run, from, len as usize)?;
    let old = Sum::of(&run.packet.bytes()[range.clone()], Sum(0));
    run.packet.bytes_mut()[range].copy_from_slice(&bytes);
    if let (Checksum::Complete(sum), true) = (run.state.skb.checksum, flags & RECOMPUTE_CSUM != 0) {
        let aligned = |s: Sum| if offset & 1 == 0 { s } else { Sum(s.0.rotate_right(8)) };
        let new = Sum::of(&bytes, Sum(0));
        run.state.skb.checksum = Checksum::Complete(sum.minus(aligned(old)).plus(aligned(new)));
    }
    if flags & INVALIDATE_HASH != 0 {
        run.ctx.set("hash", 0);
    }
    Ok(0)
}

fn store_bytes(run: &mut Run, [_, offset, from, len, flags]: [u64; 5]) -> Ret {
    store(run, offset as u32, from, len as u32, flags)
}

/// What is not there is zeroed.
fn load(run: &mut Run, range: Option<std::ops::Range<usize>>, to: u64, len: u32) -> Ret {
    match range.and_then(|r| run.packet.bytes().get(r)).map(<[u8]>::to_vec) {
        Some(bytes) => {
            cx::write(run, to, &bytes)?;
            Ok(0)
        }
        None => {
            cx::clear(run, to, len.into())?;
            cx::fail(Errno::EFAULT)
        }
    }
}

fn load_bytes(run: &mut Run, [_, offset, to, len, _]: [u64; 5]) -> Ret {
    let range = range(run, offset as u32, len as u32).filter(|_| !run.state.skb.bare);
    load(run, range, to, len as u32)
}

fn load_bytes_relative(run: &mut Run, [_, offset, to, len, header]: [u64; 5]) -> Ret {
    let (offset, len) = (offset as u32, len as u32);
    let start = match header as u32 {
        0 => run.state.skb.mac,
        1 => run.state.skb.network,
        _ => return load(run, None, to, len),
    };
    let first = start + i64::from(offset);
    if offset > 0xffff || first + i64::from(len) > run.packet.len() as i64 {
        return load(run, None, to, len);
    }
    match run.packet.around(first, len as usize).map(<[u8]>::to_vec) {
        Some(bytes) => {
            cx::write(run, to, &bytes)?;
            Ok(0)
        }
        None => load(run, None, to, len),
    }
}

fn pull_data(run: &mut Run, [_, len, ..]: [u64; 5]) -> Ret {
    let fits = len as u32 as usize <= run.packet.len();
    moved(run);
    cx::status(if fits { Ok(()) } else { Err(Errno::ENOMEM) })
}

/// Size of the replaced field.
const FIELD_MASK: u64 = 0xf;
/// `BPF_F_PSEUDO_HDR`
const PSEUDO_HEADER: u64 = 1 << 4;
/// `BPF_F_MARK_MANGLED_0`
const MARK_MANGLED_0: u64 = 1 << 5;
/// `BPF_F_MARK_ENFORCE`
const MARK_ENFORCE: u64 = 1 << 6;
/// `BPF_F_IPV6`
const IPV6: u64 = 1 << 7;

/// The checksum after a change of a field of the size that the flags give.
fn replaced(header: u16, from: u64, to: u64, flags: u64) -> Result<u16, Errno> {
    match flags & FIELD_MASK {
        0 if from != 0 => Err(Errno::EINVAL),
        0 => Ok(csum::by_diff(header, Sum(to as u32))),
        2 => Ok(csum::replace_16(header, from as u16, to as u16)),
        4 => Ok(csum::replace_32(header, from as u32, to as u32)),
        _ => Err(Errno::EINVAL),
    }
}

fn header_sum(run: &Run, offset: u32) -> Result<(std::ops::Range<usize>, u16), Errno> {
    if offset > 0xffff || offset & 1 != 0 {
        return Err(Errno::EFAULT);
    }
    let range = range(run, offset, 2).ok_or(Errno::EFAULT)?;
    let bytes = &run.packet.bytes()[range.clone()];
    Ok((range, u16::from_ne_bytes([bytes[0], bytes[1]])))
}

fn l3_csum_replace(run: &mut Run, [_, offset, from, to, flags]: [u64; 5]) -> Ret {
    if flags & !FIELD_MASK != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let new = header_sum(run, offset as u32).and_then(|(at, old)| Ok((at, replaced(old, from, to, flags)?)));
    cx::status(new.map(|(at, sum)| run.packet.bytes_mut()[at].copy_from_slice(&sum.to_ne_bytes())))
}

fn l4_csum_replace(run: &mut Run, [_, offset, from, to, flags]: [u64; 5]) -> Ret {
    if flags & !(MARK_MANGLED_0 | MARK_ENFORCE | PSEUDO_HEADER | FIELD_MASK | IPV6) != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let (at, old) = match header_sum(run, offset as u32) {
        Ok(found) => found,
        Err(errno) => return cx::fail(errno),
    };
    let marks_zero = flags & MARK_MANGLED_0 != 0;
    if marks_zero && flags & MARK_ENFORCE == 0 && old == 0 {
        return Ok(0);
    }
    let mut new = match replaced(old, from, to, flags) {
        Ok(new) => new,
        Err(errno) => return cx::fail(errno),
    };
    if marks_zero && new == 0 {
        new = 0xffff;
    }
    run.packet.bytes_mut()[at].copy_from_slice(&new.to_ne_bytes());
    Ok(0)
}

fn csum_diff(run: &mut Run, [from, from_size, to, to_size, seed]: [u64; 5]) -> Ret {
    let (from_size, to_size) = (from_size as u32, to_size as u32);
    if (from_size | to_size) & 3 != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let seed = Sum(seed as u32);
    let from = cx::copy(run, from, from_size as usize)?;
    let to = cx::copy(run, to, to_size as usize)?;
    let sum = match (from_size != 0, to_size != 0) {
        (true, true) => Sum::of(&to, seed).minus(Sum::of(&from, Sum(0))),
        (false, true) => Sum::of(&to, seed),
        (true, false) => Sum::of(&from, seed.complement()).complement(),
        (false, false) => seed,
    };
    Ok(sum.to_16().into())
}

fn csum_update(run: &mut Run, [_, sum, ..]: [u64; 5]) -> Ret {
    match &mut run.state.skb.checksum {
        Checksum::Complete(whole) => {
            *whole = whole.plus(Sum(sum as u32));
            Ok(whole.0.into())
        }
        _ => cx::fail(Errno::ENOTSUPP),
    }
}

/// Headers beyond the first that a verified checksum can cover (`SKB_MAX_CSUM_LEVEL`).
const MAX_LEVEL: u8 = 3;

fn csum_level(run: &mut Run, [_, level, ..]: [u64; 5]) -> Ret {
    let sum = &mut run.state.skb.checksum;
    match (level, *sum) {
        (0, Checksum::Unnecessary(n)) => return Ok(n.into()),
        (0, _) => return cx::fail(Errno::EACCES),
        (1, Checksum::Unnecessary(n)) => *sum = Checksum::Unnecessary((n + 1).min(MAX_LEVEL)),
        (1, Checksum::None) => *sum = Checksum::Unnecessary(0),
        (2, Checksum::Unnecessary(0)) | (3, Checksum::Unnecessary(_)) => *sum = Checksum::None,
        (2, Checksum::Unnecessary(n)) => *sum = Checksum::Unnecessary(n - 1),
        (1..=3, _) => {}
        _ => return cx::fail(Errno::EINVAL),
    }
    Ok(0)
}

/// A hash of the flow: of addresses, protocol and ports. The kernel's depends on a key that it draws at boot.
fn get_hash_recalc(run: &mut Run, _: [u64; 5]) -> Ret {
    if let Some(hash @ 1..) = run.ctx.get("hash") {
        return Ok(hash);
    }
    let at = run.state.skb.network.max(0) as usize;
    let packet = run.packet.bytes();
    let ip = packet.get(at..).unwrap_or(&[]);
    let mut flow = Vec::new();
    let mut ports = None;
    match ip.first().map(|b| b >> 4) {
        Some(4) if ip.len() >= 20 => {
            flow.extend_from_slice(&ip[12..20]);
            flow.push(ip[9]);
            ports = Some(usize::from(ip[0] & 15) * 4);
        }
        Some(6) if ip.len() >= 40 => {
            flow.extend_from_slice(&ip[8..40]);
            flow.push(ip[6]);
            ports = Some(40);
        }
        _ => {}
    }
    if let (Some(at), Some(6 | 17 | 132)) = (ports, flow.last()) {
        flow.extend_from_slice(ip.get(at..at + 4).unwrap_or(&[]));
    }
    if flow.is_empty() {
        return Ok(0);
    }
    let mut hash = 0x811c_9dc5u32;
    for b in flow {
        hash = (hash ^ u32::from(b)).wrapping_mul(0x0100_0193);
    }
    let hash = u64::from((hash ^ hash >> 15).max(1));
    run.ctx.set("hash", hash);
    Ok(hash)
}

fn set_hash_invalid(run: &mut Run, _: [u64; 5]) -> Ret {
    run.ctx.set("hash", 0);
    Ok(0)
}

fn set_hash(run: &mut Run, [_, hash, ..]: [u64; 5]) -> Ret {
    run.ctx.set("hash", u64::from(hash as u32));
    Ok(0)
}

/// Last of the types that programs may set (`PACKET_OTHERHOST`).
const LAST_TYPE: u64 = 3;

fn change_type(run: &mut Run, [_, kind, ..]: [u64; 5]) -> Ret {
    let kind = u64::from(kind as u32);
    if kind > LAST_TYPE || run.ctx.get("pkt_type").unwrap_or(0) > LAST_TYPE {
        return cx::fail(Errno::EINVAL);
    }
    run.ctx.set("pkt_type", kind);
    Ok(0)
}

fn set_tstamp(run: &mut Run, [_, stamp, kind, ..]: [u64; 5]) -> Ret {
    use ebpfkit_abi::net::ethertype;
    let protocol = super::link::protocol(run);
    if protocol != ethertype::IPV4 && protocol != ethertype::IPV6 {
        return cx::fail(Errno::EOPNOTSUPP);
    }
    match kind as u32 {
        0 if stamp != 0 => return cx::fail(Errno::EINVAL),
        1 if stamp == 0 => return cx::fail(Errno::EINVAL),
        0 | 1 => {}
        _ => return cx::fail(Errno::EINVAL),
    }
    run.ctx.set("tstamp", stamp);
    run.ctx.set("tstamp_type", kind);
    Ok(0)
}

fn zero(_: &mut Run, _: [u64; 5]) -> Ret {
    Ok(0)
}

fn cgroup_id(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.task.cgroup)
}

fn ancestor_cgroup_id(run: &mut Run, [_, level, ..]: [u64; 5]) -> Ret {
    Ok(match level as u32 as i32 {
        0 => 1,
        1 => run.world.task.cgroup,
        _ => 0,
    })
}

fn under_cgroup(run: &mut Run, [_, handle, index, ..]: [u64; 5]) -> Ret {
    super::map::in_cgroup(run, handle, index as u32)
}
