//! Sockets of the world, and their options.

use super::Row;
use super::cx::{self, Ret};
use crate::world::Socket;
use crate::{Errno, Run};
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Layout, SOCK, TCP_SOCK};
use ebpfkit_abi::net::{family, ip_protocol};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const ROWS: &[Row] = &[
    ("sk_lookup_tcp", lookup_tcp),
    ("sk_lookup_udp", lookup_udp),
    ("skc_lookup_tcp", lookup_tcp),
    ("sk_release", release),
    ("sk_fullsock", same),
    ("tcp_sock", tcp_sock),
    ("get_listener_sock", listener),
    ("skc_to_tcp_sock", if_tcp),
    ("skc_to_tcp6_sock", if_tcp6),
    ("skc_to_udp6_sock", if_udp6),
    ("skc_to_tcp_timewait_sock", none),
    ("skc_to_tcp_request_sock", none),
    ("skc_to_unix_sock", none),
    ("skc_to_mptcp_sock", none),
    ("sk_assign", assign),
    ("get_socket_cookie", cookie),
    ("get_socket_uid", uid),
    ("get_netns_cookie", netns_cookie),
    ("sk_cgroup_id", cgroup_id),
    ("sk_ancestor_cgroup_id", ancestor_cgroup_id),
    ("skb_ecn_set_ce", ecn_set_ce),
    ("sock_ops_cb_flags_set", cb_flags_set),
    ("setsockopt", setsockopt),
    ("getsockopt", getsockopt),
    ("bind", bind),
];

/// A struct as programs see it.
#[derive(Debug)]
struct Struct {
    layout: &'static Layout,
    words: Box<[u64]>,
}

impl Struct {
    fn new(layout: &'static Layout) -> Self {
        Self { layout, words: vec![0; usize::from(layout.size).div_ceil(8)].into() }
    }

    fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    fn size(&self) -> u64 {
        self.layout.size.into()
    }

    /// Sets a field of four bytes, or an element of an array of them.
    fn set_element(&mut self, name: &str, index: usize, value: u64) {
        let Some(field) = self.layout.fields.iter().find(|f| f.name == name) else { return };
        if index >= usize::from(field.count) || field.size != 4 {
            return;
        }
        let at = usize::from(field.offset) + index * 4;
        let mut bytes = self.words[at / 8].to_ne_bytes();
        bytes[at % 8..at % 8 + 4].copy_from_slice(&(value as u32).to_ne_bytes());
        self.words[at / 8] = u64::from_ne_bytes(bytes);
    }

    fn set(&mut self, name: &str, value: u64) {
        self.set_element(name, 0, value);
    }
}

/// Sockets that programs of a run have pointers to.
#[derive(Debug, Default)]
pub struct Sockets {
    /// By number in the world: the struct that programs see, and its TCP part.
    shown: BTreeMap<usize, (Struct, Struct)>,
    /// References that lookups gave and nobody gave back.
    pub references: i64,
    /// Chosen by `bpf_sk_assign`: number in the world.
    pub assigned: Option<usize>,
    /// Options set by programs: level, name and bytes by socket.
    options: BTreeMap<(usize, i32, i32), Vec<u8>>,
    /// Bytes that programs have asked for in TCP headers.
    pub reserved: u32,
    /// Bytes that a verdict on a message holds for (`bpf_msg_apply_bytes`).
    pub apply_bytes: u32,
    /// Bytes that a message waits for (`bpf_msg_cork_bytes`).
    pub cork_bytes: u32,
    /// The socket of a test-run, which belongs to nobody.
    dummy: Option<Struct>,
}

/// `TCP_ESTABLISHED`, `TCP_CLOSE`, `TCP_LISTEN`
const ESTABLISHED: u64 = 1;
const CLOSE: u64 = 7;
const LISTEN: u64 = 10;
/// `SOCK_STREAM`, `SOCK_DGRAM`
const STREAM: u64 = 1;
const DATAGRAM: u64 = 2;
/// Protocol numbers.
const TCP: u64 = ip_protocol::TCP as u64;
const UDP: u64 = ip_protocol::UDP as u64;
/// Address families.
const AF_INET: u64 = family::INET as u64;
const AF_INET6: u64 = family::INET6 as u64;

/// The fields of an address: one word for IPv4, four for IPv6, as they stand in a packet.
fn put_address(v4: &str, v6: &str, address: IpAddr, mut set: impl FnMut(&str, usize, u64)) {
    match address {
        IpAddr::V4(a) => set(v4, 0, u32::from_ne_bytes(a.octets()).into()),
        IpAddr::V6(a) => {
            for (i, word) in a.octets().chunks_exact(4).enumerate() {
                set(v6, i, u32::from_ne_bytes(word.try_into().unwrap_or_default()).into());
            }
        }
    }
}

fn show(socket: &Socket) -> (Struct, Struct) {
    let mut memory = Struct::new(&SOCK);
    let family = if socket.local.is_ipv4() { AF_INET } else { AF_INET6 };
    memory.set("family", family);
    memory.set("type", if socket.tcp { STREAM } else { DATAGRAM });
    memory.set("protocol", if socket.tcp { TCP } else { UDP });
    memory.set("mark", socket.mark.into());
    memory.set("bound_dev_if", socket.device.into());
    memory.set("rx_queue_mapping", u64::from(u32::MAX));
    memory.set("src_port", socket.local.port().into());
    put_address("src_ip4", "src_ip6", socket.local.ip(), |f, i, v| memory.set_element(f, i, v));
    let state = match (socket.tcp, socket.remote) {
        (_, Some(remote)) => {
            memory.set("dst_port", u16::from_ne_bytes(remote.port().to_be_bytes()).into());
            put_address("dst_ip4", "dst_ip6", remote.ip(), |f, i, v| memory.set_element(f, i, v));
            ESTABLISHED
        }
        (true, None) => LISTEN,
        (false, None) => CLOSE,
    };
    memory.set("state", state);
    (memory, Struct::new(&TCP_SOCK))
}

/// Address of a socket of the world, for programs.
fn address_of(run: &mut Run, number: usize) -> u64 {
    let Some(socket) = run.world.sockets.get(number) else { return 0 };
    let (memory, _) = run.state.sockets.shown.entry(number).or_insert_with(|| show(socket));
    let (address, size) = (memory.address(), memory.size());
    cx::add_region(run, address, size, "a socket", false);
    address
}

/// The cookie of a socket of the world by its number.
fn cookie_at(run: &Run, number: usize) -> u64 {
    match run.world.sockets.get(number).map(|s| s.cookie) {
        Some(0) => number as u64 + 1,
        Some(cookie) => cookie,
        None => 0,
    }
}

/// Address of the socket with a cookie, which its program then owns a reference to; zero for none.
pub(super) fn acquire(run: &mut Run, cookie: u64) -> u64 {
    let found = (0..run.world.sockets.len()).find(|n| cookie_at(run, *n) == cookie);
    let Some(number) = found else { return 0 };
    run.state.sockets.references += 1;
    address_of(run, number)
}

/// Lets a run's program use the sockets that its context may point to.
pub(crate) fn add_all_regions(run: &mut Run) {
    let sockets = &run.state.sockets;
    if sockets.shown.is_empty() && sockets.dummy.is_none() {
        return;
    }
    let own = sockets.shown.values().map(|(sock, _)| sock).chain(&sockets.dummy);
    let regions: Vec<_> = own.map(|s| (s.address(), s.size())).collect();
    for (base, len) in regions {
        cx::add_region(run, base, len, "a socket", false);
    }
}

/// Number of the socket at an address; for other pointers, such as contexts, that of the context's own socket.
fn number_of(run: &Run, address: u64) -> Option<usize> {
    let at = |address: u64| {
        let shown = |(sock, tcp): &(Struct, Struct)| sock.address() == address || tcp.address() == address;
        run.state.sockets.shown.iter().find(|(_, s)| shown(s)).map(|(n, _)| *n)
    };
    at(address).or_else(|| at(run.ctx.get("sk")?))
}

/// Makes a socket of the world the one that the context points to, where the context has a socket.
pub fn attach(run: &mut Run, number: usize) -> bool {
    let address = address_of(run, number);
    address != 0 && run.ctx.set("sk", address)
}

/// The two ends of a packet, as it arrives.
fn ends(tuple: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let v4 = |at: usize| IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(&tuple[at..at + 4]).unwrap_or_default()));
    let v6 = |at: usize| IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&tuple[at..at + 16]).unwrap_or_default()));
    let port = |at: usize| u16::from_be_bytes([tuple[at], tuple[at + 1]]);
    match tuple.len() {
        12 => Some((SocketAddr::new(v4(0), port(8)), SocketAddr::new(v4(4), port(10)))),
        36 => Some((SocketAddr::new(v6(0), port(32)), SocketAddr::new(v6(16), port(34)))),
        _ => None,
    }
}

/// The socket that a packet between two ends would reach: a connected one first, then one that listens at the address,
/// then one that listens at every address.
fn find(sockets: &[Socket], tcp: bool, from: SocketAddr, to: SocketAddr) -> Option<usize> {
    let rank = |s: &Socket| {
        if s.tcp != tcp || s.local.port() != to.port() {
            return None;
        }
        match s.remote {
            Some(remote) => (remote == from && s.local.ip() == to.ip()).then_some(3),
            None if s.local.ip() == to.ip() => Some(2),
            None if s.local.ip().is_unspecified() && (s.local.is_ipv6() || to.is_ipv4()) => Some(1),
            None => None,
        }
    };
    let ranked = sockets.iter().enumerate().filter_map(|(n, s)| Some((rank(s)?, n)));
    ranked.rev().max_by_key(|(rank, _)| *rank).map(|(_, n)| n)
}

fn lookup(run: &mut Run, tcp: bool, [_, tuple, len, netns, flags]: [u64; 5]) -> Ret {
    let len = len as u32 as usize;
    if !matches!(len, 12 | 36) {
        return Ok(0);
    }
    let own = (netns as u32 as i32) < 0;
    if flags != 0 || !own && netns > i32::MAX as u64 {
        return Ok(0);
    }
    let tuple = cx::copy(run, tuple, len)?;
    // Other namespaces hold no sockets here.
    let found = ends(&tuple).filter(|_| own).and_then(|(from, to)| find(&run.world.sockets, tcp, from, to));
    let Some(number) = found else { return Ok(0) };
    run.state.sockets.references += 1;
    Ok(address_of(run, number))
}

fn lookup_tcp(run: &mut Run, args: [u64; 5]) -> Ret {
    lookup(run, true, args)
}

fn lookup_udp(run: &mut Run, args: [u64; 5]) -> Ret {
    lookup(run, false, args)
}

fn release(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    if socket != 0 {
        run.state.sockets.references = run.state.sockets.references.saturating_sub(1);
    }
    Ok(0)
}

fn same(_: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    Ok(socket)
}

fn none(_: &mut Run, _: [u64; 5]) -> Ret {
    Ok(0)
}

fn socket_at(run: &Run, address: u64) -> Option<&Socket> {
    run.world.sockets.get(number_of(run, address)?)
}

fn keep_if(run: &mut Run, socket: u64, keep: fn(&Socket) -> bool) -> Ret {
    Ok(if socket_at(run, socket).is_some_and(keep) { socket } else { 0 })
}

/// Whether an address is that of a kernel's socket in the world's memory, which has the size of the larger struct if it is
/// one.
fn is_kernel_socket(run: &Run, socket: u64, name: &str) -> bool {
    let Some(image) = run.world.memory.around(socket).filter(|i| i.address == socket) else { return false };
    let Some(types) = run.current().kernel_types() else { return false };
    let size = types.find(name, ebpfkit_object::btf::Kind::Struct).and_then(|ty| types.size_of(ty));
    size.is_some_and(|size| image.bytes.len() >= size as usize)
}

fn if_tcp(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    if is_kernel_socket(run, socket, "tcp_sock") {
        return Ok(socket);
    }
    keep_if(run, socket, |s| s.tcp)
}

fn if_tcp6(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    if is_kernel_socket(run, socket, "tcp6_sock") {
        return Ok(socket);
    }
    keep_if(run, socket, |s| s.tcp && s.local.is_ipv6())
}

fn if_udp6(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    if is_kernel_socket(run, socket, "udp6_sock") {
        return Ok(socket);
    }
    keep_if(run, socket, |s| !s.tcp && s.local.is_ipv6())
}

fn listener(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    keep_if(run, socket, |s| s.tcp && s.remote.is_none())
}

fn tcp_sock(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    let Some(number) = number_of(run, socket).filter(|n| run.world.sockets.get(*n).is_some_and(|s| s.tcp)) else {
        return Ok(0);
    };
    let Some((_, tcp)) = run.state.sockets.shown.get(&number) else { return Ok(0) };
    let (address, size) = (tcp.address(), tcp.size());
    cx::add_region(run, address, size, "a TCP socket", false);
    Ok(address)
}

/// Flags of `bpf_sk_assign` in sk_lookup programs: replace, no reuseport.
const REPLACE: u64 = 1;
const NO_REUSEPORT: u64 = 2;

fn assign(run: &mut Run, [_, socket, flags, ..]: [u64; 5]) -> Ret {
    let number = number_of(run, socket).filter(|_| socket != 0);
    if run.program().prog_type() != ProgType::SkLookup {
        if number.is_none() || flags != 0 {
            return cx::fail(Errno::EINVAL);
        }
        run.state.sockets.assigned = number;
        return Ok(0);
    }
    if flags & !(REPLACE | NO_REUSEPORT) != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if let Some(chosen) = number.and_then(|n| run.world.sockets.get(n)) {
        if chosen.remote.is_some() {
            return cx::fail(Errno::ESOCKTNOSUPPORT);
        }
        if run.ctx.get("protocol") != Some(if chosen.tcp { TCP } else { UDP }) {
            return cx::fail(Errno::EPROTOTYPE);
        }
        let family = if chosen.local.is_ipv4() { AF_INET } else { AF_INET6 };
        if family == AF_INET && run.ctx.get("family") != Some(AF_INET) {
            return cx::fail(Errno::EAFNOSUPPORT);
        }
    }
    if run.state.sockets.assigned.is_some() && flags & REPLACE == 0 {
        return cx::fail(Errno::EEXIST);
    }
    run.state.sockets.assigned = number;
    Ok(0)
}

fn cookie(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    Ok(cookie_of(run, socket))
}

/// Whether a socket of the world listens for TCP connections.
pub(super) fn listens(run: &Run, address: u64) -> bool {
    socket_at(run, address).is_some_and(|s| s.tcp && s.remote.is_none())
}

/// The cookie of a socket, or of the context's; zero for none.
pub(super) fn cookie_of(run: &Run, socket: u64) -> u64 {
    number_of(run, socket).map_or(0, |number| cookie_at(run, number))
}

/// Gives the context the socket that a test-run makes up: of no type, closed, its addresses those of the packet.
pub(crate) fn attach_dummy(run: &mut Run) {
    let at = run.state.skb.network.max(0) as usize;
    let ip = run.packet.bytes().get(at..).unwrap_or(&[]);
    let protocol = super::link::protocol(run);
    let address = |v6: bool, from: usize| {
        let len = if v6 { 16 } else { 4 };
        let bytes = ip.get(from..from + len)?;
        Some(if v6 {
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        } else {
            IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))
        })
    };
    use ebpfkit_abi::net::ethertype;
    let (family, ends) = match protocol {
        ethertype::IPV4 => (AF_INET, if ip.len() >= 20 { address(false, 12).zip(address(false, 16)) } else { None }),
        ethertype::IPV6 => (AF_INET6, if ip.len() >= 40 { address(true, 8).zip(address(true, 24)) } else { None }),
        _ => (0, None),
    };
    let mut memory = run.state.sockets.dummy.take().unwrap_or_else(|| Struct::new(&SOCK));
    memory.set("family", family);
    memory.set("state", CLOSE);
    memory.set("rx_queue_mapping", u64::from(u32::MAX));
    run.ctx.set("family", family);
    for i in 0..4 {
        for field in ["remote_ip6", "local_ip6"] {
            run.ctx.set_element(field, i, 0);
        }
        for field in ["src_ip6", "dst_ip6"] {
            memory.set_element(field, i, 0);
        }
    }
    for field in ["remote_ip4", "local_ip4"] {
        run.ctx.set(field, 0);
    }
    for field in ["src_ip4", "dst_ip4"] {
        memory.set(field, 0);
    }
    if let Some((source, destination)) = ends {
        put_address("local_ip4", "local_ip6", source, |f, i, v| {
            run.ctx.set_element(f, i, v);
        });
        put_address("remote_ip4", "remote_ip6", destination, |f, i, v| {
            run.ctx.set_element(f, i, v);
        });
        put_address("src_ip4", "src_ip6", source, |f, i, v| memory.set_element(f, i, v));
        put_address("dst_ip4", "dst_ip6", destination, |f, i, v| memory.set_element(f, i, v));
    }
    run.ctx.set("sk", memory.address());
    run.state.sockets.dummy = Some(memory);
}

/// User id that stands for none (`overflowuid`).
const NOBODY: u64 = 65534;

fn uid(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    Ok(socket_at(run, socket).map_or(NOBODY, |s| s.uid.into()))
}

/// The only namespace is the first one.
fn netns_cookie(_: &mut Run, _: [u64; 5]) -> Ret {
    Ok(1)
}

fn cgroup_id(run: &mut Run, [socket, ..]: [u64; 5]) -> Ret {
    Ok(if number_of(run, socket).is_some() { run.world.task.cgroup } else { 0 })
}

fn ancestor_cgroup_id(run: &mut Run, [socket, level, ..]: [u64; 5]) -> Ret {
    Ok(match (number_of(run, socket), level as u32 as i32) {
        (Some(_), 0) => 1,
        (Some(_), 1) => run.world.task.cgroup,
        _ => 0,
    })
}

/// Bits of the traffic class that tell of congestion: none of them when nobody asks, both when it was met.
const ECN: u8 = 3;

/// Marks an IP packet as having met congestion, if its sender can be told: 1 when it is marked. As in the kernel, tags of
/// VLANs in the packet are passed over to find the protocol, but the header is taken for the one at the network offset.
fn ecn_set_ce(run: &mut Run, _: [u64; 5]) -> Ret {
    use ebpfkit_abi::net::ethertype;
    let len = match super::link::protocol_behind_tags(run) {
        ethertype::IPV4 => 20,
        ethertype::IPV6 => 40,
        _ => return Ok(0),
    };
    if run.packet.bytes().len() < len {
        return Ok(0);
    }
    let at = run.state.skb.network.max(0) as usize;
    let Some(ip) = run.packet.bytes_mut().get_mut(at..at + len) else { return Ok(0) };
    if len == 40 {
        let asked = ip[1] >> 4 & ECN != 0;
        if asked {
            ip[1] |= ECN << 4;
        }
        return Ok(asked.into());
    }
    match ip[1] & ECN {
        0 => Ok(0),
        ECN => Ok(1),
        old => {
            // What the header's sum grows by: it is one's complement, and the bits are set in its low byte.
            let by = u16::from_ne_bytes((0xffff - u16::from(ECN - old)).to_be_bytes());
            let sum = u16::from_ne_bytes([ip[10], ip[11]]);
            let (sum, carry) = sum.overflowing_add(by);
            ip[10..12].copy_from_slice(&(sum + u16::from(carry)).to_ne_bytes());
            ip[1] |= ECN;
            Ok(1)
        }
    }
}

/// `BPF_SOCK_OPS_ALL_CB_FLAGS`
const ALL_CALLBACK_FLAGS: u32 = 0x7f;

fn cb_flags_set(run: &mut Run, [_, flags, ..]: [u64; 5]) -> Ret {
    let flags = flags as u32;
    let full = run.ctx.get("is_fullsock").unwrap_or(1) != 0;
    if !full {
        return cx::fail(Errno::EINVAL);
    }
    run.ctx.set("bpf_sock_ops_cb_flags", (flags & ALL_CALLBACK_FLAGS).into());
    Ok((flags & !ALL_CALLBACK_FLAGS).into())
}

/// Socket options that programs may set and get: level, first name, last name.
const LEVEL_SOCKET: i32 = 1;
const LEVEL_IP: i32 = 0;
const LEVEL_IPV6: i32 = ip_protocol::IPV6 as i32;
const LEVEL_TCP: i32 = ip_protocol::TCP as i32;
/// Names of level `SOL_SOCKET` that hold a number.
const SOCKET_NUMBERS: &[i32] = &[2, 7, 8, 9, 12, 15, 18, 36, 47, 62, 74];
/// `IP_TOS`; `IPV6_TCLASS` and `IPV6_AUTOFLOWLABEL`.
const IP_NUMBERS: &[i32] = &[1];
const IPV6_NUMBERS: &[i32] = &[67, 70];
/// Options of TCP that hold a number.
const TCP_NUMBERS: &[i32] = &[1, 2, 4, 5, 6, 7, 10, 18, 25, 27, 1001, 1002, 1003, 1004, 1005, 1006, 1007];
/// `TCP_CONGESTION`
const TCP_CONGESTION: i32 = 13;

/// Whether an option of this level, name and length exists.
fn option_ok(level: i32, name: i32, len: usize) -> bool {
    let numbers = match level {
        LEVEL_SOCKET => SOCKET_NUMBERS,
        LEVEL_IP => IP_NUMBERS,
        LEVEL_IPV6 => IPV6_NUMBERS,
        LEVEL_TCP if name == TCP_CONGESTION => return len > 1,
        LEVEL_TCP => TCP_NUMBERS,
        _ => return false,
    };
    numbers.contains(&name) && len == 4
}

/// The socket that options belong to: number, or that of no socket of the world.
fn option_owner(run: &Run, object: u64) -> usize {
    number_of(run, object).unwrap_or(usize::MAX)
}

fn setsockopt(run: &mut Run, [object, level, name, value, len]: [u64; 5]) -> Ret {
    let (level, name, len) = (level as i32, name as i32, len as u32 as usize);
    if !option_ok(level, name, len) {
        return cx::fail(Errno::EINVAL);
    }
    let value = cx::copy(run, value, len)?.to_vec();
    let owner = option_owner(run, object);
    run.state.sockets.options.insert((owner, level, name), value);
    Ok(0)
}

/// Options that nobody has set read as zeros.
fn getsockopt(run: &mut Run, [object, level, name, value, len]: [u64; 5]) -> Ret {
    let (level, name, len) = (level as i32, name as i32, len as u32 as usize);
    if !option_ok(level, name, len) {
        cx::clear(run, value, len as u64)?;
        return cx::fail(Errno::EINVAL);
    }
    let owner = option_owner(run, object);
    let bytes = run.state.sockets.options.get(&(owner, level, name)).cloned().unwrap_or_default();
    cx::write_padded(run, value, len as u64, &bytes)?;
    Ok(0)
}

/// `struct sockaddr_in` and the part of `struct sockaddr_in6` that has to be there.
const SOCKADDR_IN: usize = 16;
const SOCKADDR_IN6: usize = 24;

fn bind(run: &mut Run, [_, address, len, ..]: [u64; 5]) -> Ret {
    let len = len as u32 as usize;
    if len < 2 {
        return cx::fail(Errno::EINVAL);
    }
    let bytes = cx::copy(run, address, len)?;
    let needed = match u64::from(u16::from_ne_bytes([bytes[0], bytes[1]])) {
        AF_INET => SOCKADDR_IN,
        AF_INET6 => SOCKADDR_IN6,
        _ => return cx::fail(Errno::EAFNOSUPPORT),
    };
    cx::status(if len < needed { Err(Errno::EINVAL) } else { Ok(()) })
}
