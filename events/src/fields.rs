//! Fields of contexts that are structs: set from values, and compared before and after a run.

use crate::report::{Change, Text};
use ebpfkit_abi::ctx::{Field, FieldKind};
use ebpfkit_vm::Run;
use ebpfkit_vm::show::{Value, describe};
use std::net::{IpAddr, SocketAddr};

/// `AF_INET`, `AF_INET6`.
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;

/// The protocol number and the socket type of a protocol.
pub fn protocol(name: &str) -> Result<(u64, u64), String> {
    match name {
        "tcp" => Ok((6, 1)),
        "udp" => Ok((17, 2)),
        "icmp" => Ok((1, 3)),
        "icmp6" => Ok((58, 3)),
        other => Err(format!("protocol: `{other}`; expected tcp, udp, icmp or icmp6")),
    }
}

/// An address and a port of an event's field.
pub fn end(field: &str, text: &str) -> Result<SocketAddr, String> {
    let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    let found = text.parse().ok().or_else(alone);
    found.ok_or_else(|| format!("{field}: \"{text}\"; expected an address such as 192.0.2.1:80 or [2001:db8::1]:80"))
}

/// A socket as people write it: `tcp 192.0.2.1:80`, or with the other end behind `>`.
pub fn socket(text: &str) -> Result<(bool, SocketAddr, Option<SocketAddr>), String> {
    let wrong = || format!("\"{text}\"; expected a socket such as \"tcp 192.0.2.1:80\" or \"tcp A > B\"");
    let words: Vec<&str> = text.split_whitespace().collect();
    let end = |text: &str| text.parse::<SocketAddr>().map_err(|_| wrong());
    let tcp = match words.first() {
        Some(&"tcp") => true,
        Some(&"udp") => false,
        _ => return Err(wrong()),
    };
    match words[1..] {
        [local] => Ok((tcp, end(local)?, None)),
        [local, ">", remote] => Ok((tcp, end(local)?, Some(end(remote)?))),
        _ => Err(wrong()),
    }
}

/// How a field shows its value.
fn is_address(field: &Field) -> bool {
    (field.name.contains("ip4") || field.name.contains("ip6")) && field.size == 4
}

/// Fields that hold ports in the order of the network.
fn is_network_port(field: &Field) -> bool {
    matches!(field.name, "user_port" | "dst_port" | "remote_port")
}

/// Sets a field from a value. Fields of addresses take addresses, fields of ports take ports.
pub fn set(run: &mut Run, name: &str, value: &Value) -> Result<(), String> {
    let layout = run.ctx().layout().layout();
    let names = || layout.map_or(&[][..], |l| l.fields).iter().map(|f| f.name);
    let Some((_, field)) = run.ctx().layout().slot(name).filter(|(_, f)| !f.kind.is_pointer()) else {
        let like = ebpfkit_object::nearest(name, names());
        let meant = like.map_or_else(
            || format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
            |l| format!("; did you mean `{l}`?"),
        );
        return Err(format!("fields.{name}: {} has no such field{meant}", run.ctx().name()));
    };
    match value {
        Value::Text(text) if is_address(field) => {
            let ip = text.parse().map_err(|_| format!("fields.{name}: \"{text}\"; expected an address"))?;
            set_ip(run, field, ip);
        }
        Value::Int(n) => {
            let n = *n as u64;
            run.set_ctx_field(name, if is_network_port(field) { network_port(run, n as u16) } else { n });
        }
        Value::Bool(b) => {
            run.set_ctx_field(name, (*b).into());
        }
        Value::List(items) if items.len() <= usize::from(field.count) => {
            for (n, item) in items.iter().enumerate() {
                let Value::Int(value) = item else {
                    return Err(format!("fields.{name}[{n}]: {}; expected a number", describe(item)));
                };
                run.set_ctx_element(name, n, *value as u64);
            }
        }
        other => return Err(format!("fields.{name}: {}; expected a number", describe(other))),
    }
    Ok(())
}

/// A port as programs find it in fields in the order of the network: in the low half, but for `bpf_sock_ops` and the
/// like, which have it in the upper one.
fn network_port(run: &Run, port: u16) -> u64 {
    let swapped = u64::from(u16::from_ne_bytes(port.to_be_bytes()));
    if is_upper(run.ctx().name()) { swapped << 16 } else { swapped }
}

fn is_upper(context: &str) -> bool {
    matches!(context, "bpf_sock_ops" | "sk_msg_md" | "__sk_buff")
}

fn set_ip(run: &mut Run, field: &Field, ip: IpAddr) {
    let octets = match ip {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    };
    for (n, word) in octets.chunks_exact(4).enumerate() {
        let word = u32::from_ne_bytes(word.try_into().unwrap_or_default());
        run.set_ctx_element(field.name, n, word.into());
    }
}

/// Sets the pair of fields that hold an address, by family, and clears the other.
fn set_pair(run: &mut Run, v4: &str, v6: &str, ip: IpAddr) {
    for name in [v4, v6] {
        let Some((_, field)) = run.ctx().layout().slot(name) else { continue };
        for n in 0..usize::from(field.count) {
            run.set_ctx_element(name, n, 0);
        }
    }
    let name = if ip.is_ipv4() { v4 } else { v6 };
    if let Some((_, field)) = run.ctx().layout().slot(name) {
        set_ip(run, field, ip);
    }
}

/// Sets what a context says of the ends of a connection.
pub fn set_ends(run: &mut Run, local: Option<SocketAddr>, remote: Option<SocketAddr>) {
    if let Some(end) = local.or(remote) {
        run.set_ctx_field("family", if end.is_ipv4() { AF_INET } else { AF_INET6 });
    }
    if let Some(local) = local {
        set_pair(run, "local_ip4", "local_ip6", local.ip());
        run.set_ctx_field("local_port", local.port().into());
    }
    if let Some(remote) = remote {
        set_pair(run, "remote_ip4", "remote_ip6", remote.ip());
        let port = network_port(run, remote.port());
        run.set_ctx_field("remote_port", port);
    }
}

/// Sets the address that a task gives to a system call.
pub fn set_user(run: &mut Run, address: SocketAddr, protocol: &str, source: Option<IpAddr>) -> Result<(), String> {
    let (number, kind) = self::protocol(protocol)?;
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    for (name, value) in [("user_family", family), ("family", family), ("type", kind), ("protocol", number)] {
        run.set_ctx_field(name, value);
    }
    set_pair(run, "user_ip4", "user_ip6", address.ip());
    run.set_ctx_field("user_port", network_port(run, address.port()));
    if let Some(source) = source {
        set_pair(run, "msg_src_ip4", "msg_src_ip6", source);
    }
    Ok(())
}

/// Sets what a `bpf_sock` says.
pub fn set_sock(run: &mut Run, ipv6: bool, protocol: &str, bound: Option<SocketAddr>) -> Result<(), String> {
    let (number, kind) = self::protocol(protocol)?;
    let family = if ipv6 { AF_INET6 } else { AF_INET };
    for (name, value) in [("family", family), ("type", kind), ("protocol", number)] {
        run.set_ctx_field(name, value);
    }
    if let Some(bound) = bound {
        set_pair(run, "src_ip4", "src_ip6", bound.ip());
        run.set_ctx_field("src_port", bound.port().into());
    }
    Ok(())
}

/// The struct as it stands, to be compared later.
pub fn snapshot(run: &Run) -> Vec<u8> {
    if run.ctx().layout().layout().is_some() { run.ctx().to_struct() } else { Vec::new() }
}

fn value(context: &str, field: &Field, bytes: &[u8]) -> Text {
    let words: Vec<u64> = bytes
        .chunks_exact(usize::from(field.size))
        .map(|c| {
            let mut word = [0; 8];
            word[..c.len()].copy_from_slice(c);
            u64::from_le_bytes(word)
        })
        .collect();
    if is_address(field) {
        return Text(match bytes.len() {
            4 => Value::Address(<[u8; 4]>::try_from(bytes).unwrap_or_default().into()),
            _ => Value::Address(<[u8; 16]>::try_from(bytes).unwrap_or_default().into()),
        });
    }
    let number = |word: u64| match is_network_port(field) {
        true if is_upper(context) => i128::from((word >> 16) as u16).swap_port(),
        true => i128::from(word as u16).swap_port(),
        false => i128::from(word),
    };
    match words[..] {
        [one] => Text(Value::Int(number(one))),
        _ => Text(Value::List(words.iter().map(|w| Value::Int(number(*w))).collect())),
    }
}

trait Port {
    fn swap_port(self) -> Self;
}

impl Port for i128 {
    fn swap_port(self) -> Self {
        u16::from_be_bytes((self as u16).to_ne_bytes()).into()
    }
}

/// The fields that have another value than in a snapshot.
pub fn changes(run: &Run, before: &[u8]) -> Vec<Change> {
    let Some(layout) = run.ctx().layout().layout().filter(|_| !before.is_empty()) else { return Vec::new() };
    let after = run.ctx().to_struct();
    let shown = layout.fields.iter().filter(|f| f.kind == FieldKind::Number);
    shown
        .filter_map(|field| {
            let range = usize::from(field.offset)..usize::from(field.offset + field.bytes());
            let (from, to) = (before.get(range.clone())?, after.get(range)?);
            if (layout.name, field.name) == ("bpf_sock_ops", "args") {
                // What programs write is the reply, which stands where the first argument was.
                let first = |b: &[u8]| b.first_chunk::<4>().map_or(0, |b| i32::from_ne_bytes(*b));
                let number = |b| Text(Value::Int(first(b).into()));
                return (from != to).then(|| Change { field: "reply".into(), from: number(from), to: number(to) });
            }
            let change = |bytes| value(layout.name, field, bytes);
            (from != to).then(|| Change { field: field.name.into(), from: change(from), to: change(to) })
        })
        .collect()
}
