//! What a netfilter program gets: `struct sk_buff` around its packet and `struct nf_hook_state`, laid out by the kernel's
//! types in the world's memory. Which hooks and packets a test-run takes is observed behaviour of Linux 6.18.

use super::InputError;
use super::test_run::{MAX_CONTEXT, PAGE, SHARED_INFO, SKB_HEADROOM};
use crate::receive::{LOOPBACK, packet_type};
use crate::run::Run;
use crate::typed::{self, Value};
use crate::world::{Device, Image, Space};
use crate::{Errno, packet};
use ebpfkit_abi::net::ETH_HLEN;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, TypeId};

/// Where the structs stand: addresses of a kernel.
const STATE: u64 = 0xffff_9f00_0000_0000;
const SKB: u64 = 0xffff_9f00_0000_1000;
const DEVICE: u64 = 0xffff_9f00_0000_4000;
const HEAD: u64 = 0xffff_9f00_0010_0000;

/// Families of hooks (`NFPROTO_*`) and hooks (`NF_INET_*`).
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const PRE_ROUTING: u8 = 0;
const LOCAL_OUT: u8 = 3;
/// A header that is nowhere yet.
const NO_HEADER: u16 = u16::MAX;
/// Bytes that the allocator adds to what it hands out for a packet: those of a `struct sk_buff`.
const SKB_BYTES: usize = 256;

/// At which hook a program sees a packet.
#[derive(Clone, Copy, Debug)]
struct Hook {
    family: u8,
    number: u8,
    /// Which of the state's devices is known.
    device: Option<&'static str>,
}

fn refused(field: &'static str, value: u64, why: &'static str) -> InputError {
    InputError::Field { name: "nf_hook_state", field, value, why, errno: Errno::EINVAL }
}

/// The number that a struct holds in a member.
fn number(types: &Btf, ty: TypeId, bytes: &[u8], name: &str) -> u64 {
    let Some(member) = typed::member(types, ty, name) else { return 0 };
    let (at, size) = (member.bit_offset as usize / 8, types.size_of(member.ty).unwrap_or(0) as usize);
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes.iter().skip(at).take(size)) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

fn ethertype(frame: &[u8]) -> u16 {
    frame.get(12..ETH_HLEN).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// The hook that a user names, and whether the packet fits it.
fn hook(types: &Btf, frame: &[u8], context: &[u8]) -> Result<Hook, InputError> {
    let kind = ebpfkit_abi::ProgType::Netfilter;
    let most = PAGE - SKB_HEADROOM - SHARED_INFO;
    match frame.len() {
        found if found < 20 => return Err(InputError::ShortHeader { found, expected: 20 }),
        found if found > most => return Err(InputError::LongPacket { found, kind, most }),
        _ if context.is_empty() => return Ok(Hook { family: IPV4, number: LOCAL_OUT, device: None }),
        _ => {}
    }
    let ty = types.find("nf_hook_state", Kind::Struct).ok_or(InputError::NoTypes(kind))?;
    let expected = types.size_of(ty).unwrap_or(0) as usize;
    if context.iter().skip(expected).any(|b| *b != 0) || context.len() > MAX_CONTEXT {
        return Err(InputError::ContextSize { found: context.len(), name: "nf_hook_state", expected });
    }
    for field in ["in", "out", "net", "sk", "okfn"] {
        match number(types, ty, context, field) {
            0 => {}
            value => return Err(refused(field, value, "only zero can be given")),
        }
    }
    let (family, hook) = (number(types, ty, context, "pf") as u8, number(types, ty, context, "hook") as u8);
    if family != IPV4 && family != IPV6 {
        return Err(refused("pf", family.into(), "expected 2 (NFPROTO_IPV4) or 10 (NFPROTO_IPV6)"));
    }
    if hook != LOCAL_OUT {
        let short = |header: usize| InputError::ShortHeader { found: frame.len() - ETH_HLEN, expected: header };
        if frame.len() < ETH_HLEN + 20 {
            return Err(short(20));
        }
        let carried = match ethertype(frame) {
            0x0800 => IPV4,
            0x86dd if frame.len() < ETH_HLEN + 40 => return Err(short(40)),
            0x86dd => IPV6,
            other => return Err(InputError::NotInternet(other)),
        };
        if carried != family {
            return Err(refused("pf", family.into(), "the packet is of the other family"));
        }
    }
    // A test-run takes the packet for one that leaves, whatever the hook.
    Ok(Hook { family, number: hook, device: Some("out") })
}

/// Gives a run a packet as a test-run does: a frame with its link header, unless it is about to leave
/// (`NF_INET_LOCAL_OUT`), which is what an empty context means.
pub(super) fn set_packet(run: &mut Run, frame: &[u8], context: &[u8]) -> Result<(), InputError> {
    let types = run.current().kernel_types().cloned();
    let types = types.as_ref().ok_or(InputError::NoTypes(run.program().prog_type()))?;
    let hook = hook(types, frame, context)?;
    let header = if hook.number == LOCAL_OUT { 0 } else { ETH_HLEN };
    enter(run, types, hook, frame, header).ok_or(InputError::NoTypes(run.program().prog_type()))
}

/// The state of a hook at which a frame comes in: hook and family, which stand first.
pub(super) fn context_for(frame: &[u8]) -> Vec<u8> {
    vec![PRE_ROUTING, if ethertype(frame) == 0x86dd { IPV6 } else { IPV4 }]
}

/// Gives a run a frame that comes in from a device.
#[cold]
pub(super) fn receive(run: &mut Run, frame: &[u8]) {
    let Some(types) = run.current().kernel_types().cloned() else { return };
    let family = match ethertype(frame) {
        0x0800 => IPV4,
        0x86dd => IPV6,
        _ => 0,
    };
    let _ =
        enter(run, &types, Hook { family, number: PRE_ROUTING, device: Some("in") }, frame, ETH_HLEN.min(frame.len()));
}

/// Puts the packet in, and what leads to it.
fn enter(run: &mut Run, types: &Btf, hook: Hook, frame: &[u8], header: usize) -> Option<()> {
    run.set_packet(&frame[header..]);
    let device = device(run, types)?;
    let state = [
        ("hook", Value::Int(hook.number.into())),
        ("pf", Value::Int(hook.family.into())),
        (hook.device.unwrap_or("out"), Value::Pointer(hook.device.map_or(0, |_| device))),
    ];
    put(run, types, "nf_hook_state", STATE, &state)?;
    let allocated = (SKB_HEADROOM + frame.len().next_multiple_of(64) + SHARED_INFO).next_power_of_two();
    let mut buffer = vec![0; SKB_HEADROOM + frame.len()];
    buffer[SKB_HEADROOM..].copy_from_slice(frame);
    let number = |n: usize| Value::Int(n as i128);
    let at = SKB_HEADROOM + header;
    let (mac, network) = if header == 0 { (NO_HEADER.into(), 0) } else { (SKB_HEADROOM, at) };
    let own = run.world.device(LOOPBACK);
    let to = if header == 0 { 0 } else { packet_type(frame.get(..6).unwrap_or(&[0; 6]), own) };
    let protocol = match hook.family {
        _ if header != 0 => packet::protocol(ethertype(frame), &frame[header..]),
        IPV4 => 0x0800,
        _ => 0x86dd,
    };
    let skb = [
        ("head", Value::Pointer(HEAD)),
        ("data", Value::Pointer(HEAD + at as u64)),
        ("len", number(frame.len() - header)),
        ("tail", number(SKB_HEADROOM + frame.len())),
        ("end", number(allocated - SHARED_INFO)),
        ("truesize", number(allocated + SKB_BYTES)),
        ("protocol", number(u16::from_ne_bytes(protocol.to_be_bytes()).into())),
        ("pkt_type", number(to as usize)),
        ("mac_header", number(mac)),
        ("network_header", number(network)),
        ("transport_header", number(NO_HEADER.into())),
        ("dev", Value::Pointer(if header == 0 { 0 } else { device })),
    ];
    put(run, types, "sk_buff", SKB, &skb)?;
    image(run, HEAD, buffer);
    run.set_ctx(&[STATE, SKB].map(u64::to_ne_bytes).concat());
    Some(())
}

/// The loopback device.
fn device(run: &mut Run, types: &Btf) -> Option<u64> {
    let Device { index, name, mtu, .. } = run.world.device(LOOPBACK).cloned().unwrap_or_default();
    let fields = [("ifindex", Value::Int(index.into())), ("mtu", Value::Int(mtu.into())), ("name", Value::Text(name))];
    put(run, types, "net_device", DEVICE, &fields)?;
    Some(DEVICE)
}

/// Lays a struct out at an address. Members that the kernel's struct does not have are left out.
fn put(run: &mut Run, types: &Btf, name: &str, address: u64, members: &[(&str, Value)]) -> Option<()> {
    let ty = types.find(name, Kind::Struct)?;
    let mut bytes = vec![0; types.size_of(ty)? as usize];
    for (name, value) in members {
        let _ = typed::write(types, ty, &Value::Struct(vec![((*name).to_owned(), value.clone())]), &mut bytes);
    }
    image(run, address, bytes);
    Some(())
}

fn image(run: &mut Run, address: u64, bytes: Vec<u8>) {
    run.world.memory.insert(Image { address, bytes, writable: false, space: Space::Kernel });
}
