//! Maps of sockets: verdicts of socket programs, and messages between sockets.

use super::Row;
use super::cx::{self, Ret};
use crate::event::Redirect;
use crate::maps::{Kind, Map};
use crate::{Errno, Fault, Run};
use ebpfkit_abi::net::TCP_HLEN;

pub(super) const ROWS: &[Row] = &[
    ("sk_redirect_map", sk_redirect),
    ("sk_redirect_hash", sk_redirect),
    ("msg_redirect_map", sk_redirect),
    ("msg_redirect_hash", sk_redirect),
    ("sock_map_update", update),
    ("sock_hash_update", update),
    ("sk_select_reuseport", select_reuseport),
    ("msg_apply_bytes", apply_bytes),
    ("msg_cork_bytes", cork_bytes),
    ("msg_pull_data", pull_data),
    ("msg_push_data", push_data),
    ("msg_pop_data", pop_data),
    ("tcp_check_syncookie", check_syncookie),
    ("tcp_gen_syncookie", gen_syncookie),
];

/// `BPF_F_INGRESS`
const INGRESS: u64 = 1;
/// `SK_DROP` and `SK_PASS`
const DROP: u64 = 0;
const PASS: u64 = 1;

/// Whether a key has a socket, and the key as a number for the redirect.
fn entry(run: &mut Run, map: &Map, key: u64) -> Result<(bool, u64), Fault> {
    match map.kind() {
        Kind::Slots(slots) => Ok((slots.get(key as u32).is_some(), u64::from(key as u32))),
        _ => {
            let key = cx::copy(run, key, map.key_size())?;
            let mut number = [0; 8];
            let n = key.len().min(8);
            number[..n].copy_from_slice(&key[..n]);
            Ok((map.lookup(&key, 0).is_some(), u64::from_ne_bytes(number)))
        }
    }
}

fn sk_redirect(run: &mut Run, [_, handle, key, flags, _]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    if flags & !INGRESS != 0 {
        return Ok(DROP);
    }
    let (found, key) = entry(run, map, key)?;
    if !found {
        return Ok(DROP);
    }
    run.redirect = Some(Redirect::Map { map: map.info().id, key, flags });
    Ok(PASS)
}

/// Puts the context's socket into a map, by its cookie.
fn update(run: &mut Run, [context, handle, key, flags, _]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    let cookie = super::socket::cookie_of(run, context);
    if cookie == 0 {
        return cx::fail(Errno::EOPNOTSUPP);
    }
    let key = cx::copy(run, key, map.key_size())?;
    cx::status(map.update(&key, &cookie.to_ne_bytes()[..map.value_size().min(8)], flags, 0))
}

fn select_reuseport(run: &mut Run, [_, handle, key, flags, _]: [u64; 5]) -> Ret {
    let map = cx::map(run, handle)?;
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let index = cx::read_u32(run, key)?;
    let found = match map.kind() {
        Kind::Slots(slots) => slots.get(index).is_some(),
        _ => map.lookup(&index.to_ne_bytes(), 0).is_some(),
    };
    if !found {
        return cx::fail(Errno::ENOENT);
    }
    run.redirect = Some(Redirect::Map { map: map.info().id, key: index.into(), flags: 0 });
    Ok(0)
}

fn apply_bytes(run: &mut Run, [_, bytes, ..]: [u64; 5]) -> Ret {
    run.state.sockets.apply_bytes = bytes as u32;
    Ok(0)
}

fn cork_bytes(run: &mut Run, [_, bytes, ..]: [u64; 5]) -> Ret {
    run.state.sockets.cork_bytes = bytes as u32;
    Ok(0)
}

/// The message has moved or changed its length.
fn moved(run: &mut Run) {
    run.packet_moved();
    let len = run.packet.len() as u64;
    run.ctx.set("size", len);
}

/// A message is in one piece here, so there is nothing to pull.
fn pull_data(run: &mut Run, [_, start, end, flags, _]: [u64; 5]) -> Ret {
    let (start, end) = (start as u32, end as u32);
    let inside = flags == 0 && start < end && end as usize <= run.packet.len();
    moved(run);
    cx::status(if inside { Ok(()) } else { Err(Errno::EINVAL) })
}

/// Longest message that is made here.
const MAX_MESSAGE: usize = 1 << 20;

fn push_data(run: &mut Run, [_, start, len, flags, _]: [u64; 5]) -> Ret {
    let (start, len) = (start as u32 as usize, len as u32 as usize);
    if flags != 0 || start > run.packet.len() {
        return cx::fail(Errno::EINVAL);
    }
    if len > MAX_MESSAGE || run.packet.len() + len > MAX_MESSAGE {
        return cx::fail(Errno::ENOMEM);
    }
    let old = run.packet.len();
    run.packet.set_len(old + len);
    let bytes = run.packet.bytes_mut();
    bytes.copy_within(start..old, start + len);
    bytes[start..start + len].fill(0);
    moved(run);
    Ok(0)
}

fn pop_data(run: &mut Run, [_, start, len, flags, _]: [u64; 5]) -> Ret {
    let (start, len) = (start as u32 as usize, len as u32 as usize);
    let old = run.packet.len();
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    if start >= old || start.saturating_add(len) > old {
        return cx::fail(Errno::EINVAL);
    }
    run.packet.bytes_mut().copy_within(start + len..old, start);
    run.packet.set_len(old - len);
    moved(run);
    Ok(0)
}

/// Flags of a TCP header.
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Flags of the TCP header, if the socket listens and the header is whole.
fn listener_and_flags(run: &mut Run, socket: u64, header: u64, len: u64) -> Result<Option<u8>, Fault> {
    let len = len as u32 as usize;
    if len < TCP_HLEN || !super::socket::listens(run, socket) {
        return Ok(None);
    }
    let header = cx::copy(run, header, TCP_HLEN)?;
    Ok(Some(header[13]))
}

/// No listener has so many half-open connections that cookies would be sent.
fn check_syncookie(run: &mut Run, [socket, _, _, header, len]: [u64; 5]) -> Ret {
    match listener_and_flags(run, socket, header, len)? {
        Some(_) => cx::fail(Errno::ENOENT),
        None => cx::fail(Errno::EINVAL),
    }
}

fn gen_syncookie(run: &mut Run, [socket, _, _, header, len]: [u64; 5]) -> Ret {
    match listener_and_flags(run, socket, header, len)? {
        Some(flags) if flags & (FIN | SYN | RST | ACK) == SYN => cx::fail(Errno::ENOENT),
        _ => cx::fail(Errno::EINVAL),
    }
}
