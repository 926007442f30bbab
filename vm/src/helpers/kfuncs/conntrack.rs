//! Connection tracking: the world's connections, and those that programs add. Programs read a connection's `struct nf_conn`,
//! which is laid out by the kernel's types and lies in the heap of objects; what the functions go by is kept beside it,
//! where programs write nothing.

use super::memory::raw_write;
use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap::{self, Kind};
use crate::helpers::time::HZ;
use crate::typed::{self, Value};
use crate::world;
use crate::{Errno, Fault, Run};
use ebpfkit_abi::net::ip_protocol;
use ebpfkit_object::Btf;
use ebpfkit_object::btf;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const ROWS: &[Row] = &[
    ("bpf_skb_ct_lookup", lookup),
    ("bpf_xdp_ct_lookup", lookup),
    ("bpf_skb_ct_alloc", alloc),
    ("bpf_xdp_ct_alloc", alloc),
    ("bpf_ct_insert_entry", insert),
    ("bpf_ct_release", release),
    ("bpf_ct_set_timeout", set_timeout),
    int!("bpf_ct_change_timeout", change_timeout),
    int!("bpf_ct_set_status", change_status),
    int!("bpf_ct_change_status", change_status),
    int!("bpf_ct_set_nat_info", set_nat),
];

/// Bytes of `struct bpf_ct_opts` with and without the zone.
const OPTS_SIZE: u64 = 16;
const OPTS_SIZE_SHORT: u64 = 12;
/// Bytes of a `struct bpf_sock_tuple` for IPv4 and IPv6.
const TUPLE_SIZES: [u64; 2] = [12, 36];
/// Where the options have the error number, the direction, and the directions of the zone.
const ERROR: u64 = 4;
const DIRECTION: u64 = 9;
const ZONE_DIRECTIONS: usize = 12;
/// The network namespace of the program (`BPF_F_CURRENT_NETNS`).
const CURRENT_NETNS: i32 = -1;
/// Both directions of a connection belong to its zone (`NF_CT_DEFAULT_ZONE_DIR`).
const BOTH: u8 = 3;
/// How long a new connection lives, in seconds.
const LIFETIME: u64 = 10;
/// Address families, as connections and hooks number them.
const IPV4: u16 = 2;
const IPV6: u16 = 10;

/// Bits of a connection's status (`IPS_*`).
mod status {
    pub const EXPECTED: u32 = 1;
    pub const SEEN_REPLY: u32 = 1 << 1;
    pub const ASSURED: u32 = 1 << 2;
    pub const CONFIRMED: u32 = 1 << 3;
    /// Of the source; of the destination one bit further.
    pub const SRC_NAT: u32 = 1 << 4;
    pub const SRC_NAT_DONE: u32 = 1 << 7;
    pub const DYING: u32 = 1 << 9;
    pub const FIXED_TIMEOUT: u32 = 1 << 10;
    /// Those that there are.
    pub const ALL: u32 = (1 << 16) - 1;
    /// What a program can ask for without effect: besides the above, NAT, sequence numbers, templates, what is not
    /// tracked, offloading.
    pub const UNCHANGEABLE: u32 = EXPECTED | CONFIRMED | DYING | 0x1f0 | 1 << 11 | 1 << 12 | 3 << 14;
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tuple {
    family: u16,
    protocol: u8,
    /// Source and destination; addresses of IPv4 have four bytes.
    addresses: [[u8; 16]; 2],
    /// In the order of the network.
    ports: [[u8; 2]; 2],
}

impl Tuple {
    fn of(bytes: &[u8], protocol: u8) -> Self {
        let (len, family) = if bytes.len() == 12 { (4, IPV4) } else { (16, IPV6) };
        let mut this = Self { family, protocol, addresses: [[0; 16]; 2], ports: [[0; 2]; 2] };
        for n in 0..2 {
            this.addresses[n][..len].copy_from_slice(&bytes[n * len..(n + 1) * len]);
            this.ports[n].copy_from_slice(&bytes[2 * len + 2 * n..][..2]);
        }
        this
    }

    fn between(from: SocketAddr, to: SocketAddr, tcp: bool) -> Self {
        let mut bytes = Vec::new();
        for end in [from, to] {
            match end.ip() {
                IpAddr::V4(ip) => bytes.extend(ip.octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
        }
        [from, to].iter().for_each(|end| bytes.extend(end.port().to_be_bytes()));
        bytes.resize(if from.is_ipv4() && to.is_ipv4() { 12 } else { 36 }, 0);
        Self::of(&bytes, if tcp { ip_protocol::TCP } else { ip_protocol::UDP })
    }

    fn reversed(self) -> Self {
        let ([a, b], [p, q]) = (self.addresses, self.ports);
        Self { addresses: [b, a], ports: [q, p], ..self }
    }
}

/// A zone: connections of different ones are apart, in the directions that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Zone {
    id: u16,
    directions: u8,
}

impl Zone {
    fn id(self, direction: usize) -> u16 {
        if self.directions >> direction & 1 != 0 { self.id } else { 0 }
    }
}

/// A connection.
#[derive(Clone, Debug)]
struct Connection {
    /// As it began, and what answers it.
    tuples: [Tuple; 2],
    zone: Zone,
    status: u32,
    /// In jiffies: how long it lives, and once it is confirmed until when.
    timeout: u32,
}

/// All connections that anyone holds, by the address of their object. A pointer that one run puts into a map may be taken
/// out by another.
static ALL: Mutex<BTreeMap<u64, Connection>> = Mutex::new(BTreeMap::new());

fn all() -> MutexGuard<'static, BTreeMap<u64, Connection>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a tuple is looked for: with the zone of its direction.
type Key = (Tuple, u16);

/// The connections that lookups of a run find.
#[derive(Debug, Default)]
pub struct Table {
    /// Objects and directions, by what finds them.
    by_tuple: BTreeMap<Key, Vec<(u64, usize)>>,
    /// Those of the world are there.
    filled: bool,
}

impl Table {
    fn add(&mut self, address: u64, c: &Connection) {
        for (direction, tuple) in c.tuples.into_iter().enumerate() {
            self.by_tuple.entry((tuple, c.zone.id(direction))).or_default().push((address, direction));
        }
    }

    fn remove(&mut self, address: u64, c: &Connection) {
        for (direction, tuple) in c.tuples.into_iter().enumerate() {
            let key = (tuple, c.zone.id(direction));
            if let Some(found) = self.by_tuple.get_mut(&key) {
                found.retain(|(other, _)| *other != address);
                if found.is_empty() {
                    self.by_tuple.remove(&key);
                }
            }
        }
    }

    /// Those that have a tuple in a zone, of which `zone` is one direction's.
    fn with(&self, tuple: Tuple, zone: Zone, direction: usize) -> Vec<(u64, usize)> {
        let found = self.by_tuple.get(&(tuple, zone.id(direction))).map_or(&[][..], Vec::as_slice);
        let all = all();
        let same = |(address, direction): &&(u64, usize)| {
            all.get(address).is_some_and(|c| c.zone.id(*direction) == zone.id(*direction))
        };
        found.iter().filter(same).copied().collect()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.by_tuple).into_values().flatten();
        held.filter(|(_, direction)| *direction == 0).for_each(|(address, _)| let_go(address));
    }
}

/// One owner less; without any the connection is gone.
fn let_go(address: u64) {
    // Nobody may take the memory between both.
    let mut all = all();
    if heap::release(Kind::Connection, address) && heap::object_at(address).is_none() {
        all.remove(&address);
    }
}

/// The time, in jiffies.
fn now(run: &Run) -> u32 {
    (run.world.monotonic_ns / (1_000_000_000 / HZ)) as u32
}

/// The connection that an argument points to.
fn connection(address: u64) -> Result<Connection, Fault> {
    let found = heap::object_at(address).filter(|o| o.kind == Kind::Connection && o.base == address);
    found.and_then(|_| all().get(&address).cloned()).ok_or_else(|| cx::bad("no connection"))
}

/// Keeps what has changed of a connection, also where programs see it.
fn keep(run: &Run, address: u64, c: Connection) {
    if let Some((types, id)) = run.current().kernel_types().and_then(|t| Some((t, nf_conn(t)?))) {
        for (name, value) in [("status", u64::from(c.status)), ("timeout", c.timeout.into())] {
            let Some(m) = typed::member(types, id, name) else { continue };
            let size = types.size_of(m.ty).map_or(0, |s| s as usize).min(8);
            raw_write(address + u64::from(m.bit_offset / 8), &value.to_le_bytes()[..size]);
        }
    }
    all().insert(address, c);
}

fn nf_conn(types: &Btf) -> Option<btf::TypeId> {
    types.find("nf_conn", btf::Kind::Struct)
}

/// A direction as the kernel's struct has it.
fn shown(tuple: &Tuple, direction: usize) -> Value {
    let address = |n: usize| ("all", Value::List(tuple.addresses[n].chunks(4).map(word).collect()));
    let port = |n: usize| ("all", Value::Int(u16::from_le_bytes(tuple.ports[n]).into()));
    let record = |members: Vec<(&str, Value)>| {
        Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let source = record(vec![
        ("u3", record(vec![address(0)])),
        ("u", record(vec![port(0)])),
        ("l3num", Value::Int(tuple.family.into())),
    ]);
    let destination = record(vec![
        ("u3", record(vec![address(1)])),
        ("u", record(vec![port(1)])),
        ("protonum", Value::Int(tuple.protocol.into())),
        ("dir", Value::Int(direction as i128)),
    ]);
    record(vec![("tuple", record(vec![("src", source), ("dst", destination)]))])
}

fn word(bytes: &[u8]) -> Value {
    Value::Int(bytes.iter().rev().fold(0, |n, b| n << 8 | i128::from(*b)))
}

/// Makes the object of a connection; zero without memory. Programs may set its mark.
fn make(run: &mut Run, c: Connection, mark: u32) -> Option<u64> {
    let types = run.current().kernel_types().cloned()?;
    let id = nf_conn(&types)?;
    let size = types.size_of(id)? as usize;
    let mut bytes = vec![0; size];
    let record = |members: &[(&str, i128)]| {
        Value::Struct(members.iter().map(|(name, n)| ((*name).to_owned(), Value::Int(*n))).collect())
    };
    let tuples = c.tuples.iter().enumerate().map(|(n, t)| shown(t, n)).collect();
    for (name, value) in [
        ("tuplehash", Value::List(tuples)),
        ("zone", record(&[("id", c.zone.id.into()), ("dir", c.zone.directions.into())])),
        ("status", Value::Int(c.status.into())),
        ("timeout", Value::Int(c.timeout.into())),
        ("mark", Value::Int(mark.into())),
    ] {
        // What the kernel's struct lacks is left out.
        let _ = typed::write(&types, id, &Value::Struct(vec![(name.to_owned(), value)]), &mut bytes);
    }
    let mut all = all();
    let address = cx::allocate(run, Kind::Connection, size);
    if address == 0 {
        return None;
    }
    raw_write(address, &bytes);
    all.insert(address, c);
    Some(address)
}

/// Lets the program read a connection, and write its mark.
fn expose(run: &mut Run, address: u64) {
    for (start, len, writable) in parts(run) {
        cx::add_region(run, address + start, len, "a connection", writable);
    }
}

/// The bytes of a connection before, in and behind its mark.
fn parts(run: &Run) -> Vec<(u64, u64, bool)> {
    let Some((types, id)) = run.current().kernel_types().and_then(|t| Some((t, nf_conn(t)?))) else {
        return Vec::new();
    };
    let size = u64::from(types.size_of(id).unwrap_or(0));
    match typed::member(types, id, "mark").map(|m| u64::from(m.bit_offset / 8)) {
        Some(mark) => vec![(0, mark, false), (mark, 4, true), (mark + 4, size.saturating_sub(mark + 4), false)],
        None => vec![(0, size, false)],
    }
}

/// Takes an owner from a connection; the program may not use the pointer any more.
fn give_up(run: &mut Run, address: u64) {
    let_go(address);
    if heap::object_at(address).is_none() {
        parts(run).into_iter().for_each(|(start, ..)| cx::remove_region(run, address + start));
    }
}

/// What a lookup or an allocation is told.
struct Request {
    tuple: Tuple,
    zone: Zone,
}

/// Reads the arguments of lookups and allocations, which are checked in orders of their own.
fn request(run: &mut Run, args: [u64; 5], is_lookup: bool) -> Result<Result<Request, Errno>, Fault> {
    let [_, tuple, tuple_size, opts, opts_size] = args;
    let (tuple_size, opts_size) = (u64::from(tuple_size as u32), u64::from(opts_size as u32));
    if tuple == 0 || opts == 0 || opts_size != OPTS_SIZE && opts_size != OPTS_SIZE_SHORT {
        return Ok(Err(Errno::EINVAL));
    }
    let mut options = [0; OPTS_SIZE as usize];
    options[..opts_size as usize].copy_from_slice(&cx::copy(run, opts, opts_size as usize)?);
    let netns = i32::from_ne_bytes([options[0], options[1], options[2], options[3]]);
    let (protocol, zone) = (options[8], u16::from_ne_bytes([options[10], options[11]]));
    let known = protocol == ip_protocol::TCP || protocol == ip_protocol::UDP;
    let wrong = if opts_size == OPTS_SIZE { options[13..] != [0; 3] } else { zone != 0 };
    if wrong {
        return Ok(Err(Errno::EINVAL));
    }
    if is_lookup && !known {
        return Ok(Err(Errno::EPROTO));
    }
    if netns < CURRENT_NETNS {
        return Ok(Err(Errno::EINVAL));
    }
    if !known {
        return Ok(Err(Errno::EPROTO));
    }
    if !TUPLE_SIZES.contains(&tuple_size) {
        return Ok(Err(Errno::EAFNOSUPPORT));
    }
    if netns > CURRENT_NETNS {
        return Ok(Err(Errno::ENONET));
    }
    let tuple = Tuple::of(&cx::copy(run, tuple, tuple_size as usize)?, protocol);
    let mut directions = BOTH;
    if opts_size == OPTS_SIZE {
        if options[ZONE_DIRECTIONS] == 0 {
            cx::write(run, opts + ZONE_DIRECTIONS as u64, &[BOTH])?;
        } else {
            directions = options[ZONE_DIRECTIONS];
        }
    }
    Ok(Ok(Request { tuple, zone: Zone { id: zone, directions } }))
}

/// Says in the options why there is no connection.
fn refuse(run: &mut Run, [_, _, _, opts, opts_size]: [u64; 5], errno: Errno) -> Ret {
    if opts != 0 && u64::from(opts_size as u32) >= ERROR + 4 {
        cx::write(run, opts.wrapping_add(ERROR), &(-errno.0).to_ne_bytes())?;
    }
    Ok(0)
}

/// Puts the world's connections into the table.
fn fill(run: &mut Run) {
    if std::mem::replace(&mut run.state.connections.filled, true) {
        return;
    }
    for described in std::mem::take(&mut run.world.connections) {
        let world::Connection { from, to, tcp, zone, status, seconds, mark } = described;
        let tuple = Tuple::between(from, to, tcp);
        let timeout = now(run).wrapping_add(u64::from(seconds).saturating_mul(HZ).min(i32::MAX as u64) as u32);
        let zone = Zone { id: zone, directions: BOTH };
        let status = status & status::ALL | status::CONFIRMED;
        let c = Connection { tuples: [tuple, tuple.reversed()], zone, status, timeout };
        if let Some(address) = make(run, c.clone(), mark) {
            run.state.connections.add(address, &c);
        }
    }
}

fn lookup(run: &mut Run, args: [u64; 5]) -> Ret {
    let Request { tuple, zone } = match request(run, args, true)? {
        Ok(request) => request,
        Err(errno) => return refuse(run, args, errno),
    };
    fill(run);
    let time = now(run);
    let directions: &[usize] = if zone.id(0) == zone.id(1) { &[0] } else { &[0, 1] };
    for tried in directions {
        for (address, direction) in run.state.connections.with(tuple, zone, *tried) {
            let c = connection(address)?;
            if (c.timeout.wrapping_sub(time) as i32) <= 0 {
                expire(run, address, c);
                continue;
            }
            heap::acquire(Kind::Connection, address);
            expose(run, address);
            cx::write(run, args[3] + DIRECTION, &[direction as u8])?;
            return Ok(address);
        }
    }
    refuse(run, args, Errno::ENOENT)
}

/// Takes a connection whose time is over out of the table.
fn expire(run: &mut Run, address: u64, mut c: Connection) {
    run.state.connections.remove(address, &c);
    c.status |= status::DYING;
    keep(run, address, c);
    let_go(address);
}

fn alloc(run: &mut Run, args: [u64; 5]) -> Ret {
    let Request { tuple, zone } = match request(run, args, false)? {
        Ok(request) => request,
        Err(errno) => return refuse(run, args, errno),
    };
    let timeout = (LIFETIME * HZ) as u32;
    let c = Connection { tuples: [tuple, tuple.reversed()], zone, status: 0, timeout };
    match make(run, c, 0) {
        Some(address) => {
            expose(run, address);
            Ok(address)
        }
        None => refuse(run, args, Errno::ENOMEM),
    }
}

fn insert(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    let mut c = connection(address)?;
    fill(run);
    if c.status & status::CONFIRMED == 0 {
        c.timeout = c.timeout.wrapping_add(now(run));
    }
    c.status |= status::CONFIRMED;
    let table = &run.state.connections;
    let taken = (0..2).any(|d| !table.with(c.tuples[d], c.zone, d).is_empty());
    if taken {
        give_up(run, address);
        return Ok(0);
    }
    heap::acquire(Kind::Connection, address);
    run.state.connections.add(address, &c);
    keep(run, address, c);
    Ok(address)
}

fn release(run: &mut Run, [address, ..]: [u64; 5]) -> Ret {
    connection(address)?;
    give_up(run, address);
    Ok(0)
}

/// Sets how long a connection lives from now on.
fn live(run: &Run, c: &mut Connection, milliseconds: u32) {
    let tick = (1000 / HZ) as u32;
    let jiffies = match i32::try_from(milliseconds) {
        Ok(_) => milliseconds.div_ceil(tick),
        Err(_) => i32::MAX as u32,
    };
    c.timeout = if c.status & status::CONFIRMED == 0 { jiffies } else { jiffies.wrapping_add(now(run)) };
}

fn set_timeout(run: &mut Run, [address, milliseconds, ..]: [u64; 5]) -> Ret {
    let mut c = connection(address)?;
    live(run, &mut c, milliseconds as u32);
    keep(run, address, c);
    Ok(0)
}

fn change_timeout(run: &mut Run, [address, milliseconds, ..]: [u64; 5]) -> Ret {
    let mut c = connection(address)?;
    if c.status & status::FIXED_TIMEOUT != 0 {
        return cx::fail(Errno::EPERM);
    }
    live(run, &mut c, milliseconds as u32);
    let dying = c.status & status::DYING != 0;
    keep(run, address, c);
    if dying { cx::fail(Errno::ETIME) } else { Ok(0) }
}

fn change_status(run: &mut Run, [address, to, ..]: [u64; 5]) -> Ret {
    use status::*;
    let (mut c, to) = (connection(address)?, to as u32);
    let differs = c.status ^ to;
    let cleared = c.status & !to & (SEEN_REPLY | ASSURED);
    if differs & (EXPECTED | CONFIRMED | DYING) != 0 || cleared != 0 {
        return cx::fail(Errno::EBUSY);
    }
    c.status |= to & ALL & !UNCHANGEABLE;
    keep(run, address, c);
    Ok(0)
}

/// Replaces the source (0) or the destination (1) of what a connection's packets become.
fn set_nat(run: &mut Run, [address, to, port, which, ..]: [u64; 5]) -> Ret {
    let mut c = connection(address)?;
    let side = usize::from(which as u32 == 1);
    if c.status & status::CONFIRMED != 0 {
        return Ok(0);
    }
    if c.status & status::SRC_NAT_DONE << side != 0 {
        return cx::fail(Errno::ENOMEM);
    }
    // All bytes of an address count, also behind those of IPv4.
    let new = cx::copy(run, to, 16)?;
    let current = c.tuples[1].reversed();
    let mut mapped = current;
    mapped.addresses[side].copy_from_slice(&new);
    if port as i32 > 0 {
        mapped.ports[side] = (port as u16).to_be_bytes();
    }
    // A source that is right already stays as it is.
    let len = if current.family == IPV4 { 4 } else { 16 };
    let is_right = |n: usize| mapped.addresses[n][..len] == current.addresses[n][..len];
    let stays = side == 0 && is_right(0) && mapped.ports[0] == current.ports[0];
    if !stays && mapped != current {
        mapped.addresses[side][len..].fill(0);
        c.tuples[1] = mapped.reversed();
        c.status |= status::SRC_NAT << side;
    }
    c.status |= status::SRC_NAT_DONE << side;
    show_tuples(run, address, &c);
    keep(run, address, c);
    Ok(0)
}

/// Writes both directions where programs see them.
fn show_tuples(run: &Run, address: u64, c: &Connection) {
    let Some((types, id)) = run.current().kernel_types().and_then(|t| Some((t, nf_conn(t)?))) else { return };
    let Some(member) = typed::member(types, id, "tuplehash") else { return };
    let mut bytes = vec![0; types.size_of(id).unwrap_or(0) as usize];
    let tuples = c.tuples.iter().enumerate().map(|(n, t)| shown(t, n)).collect();
    let value = Value::Struct(vec![("tuplehash".to_owned(), Value::List(tuples))]);
    if typed::write(types, id, &value, &mut bytes).is_ok() {
        let (at, size) = (member.bit_offset as usize / 8, types.size_of(member.ty).unwrap_or(0) as usize);
        raw_write(address + at as u64, &bytes[at..at + size]);
    }
}
