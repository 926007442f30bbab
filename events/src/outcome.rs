//! What programs have done, in the words of their hooks.

use crate::hooks::{Order, PacketHook};
use crate::report::{Change, Emitted, Ran, Text};
use crate::schema::{Item, What};
use crate::session::Session;
use ebpfkit_abi::{AttachType, Errno, ProgType as P, retval_name};
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::input::{Origin, frame_after};
use ebpfkit_vm::show::{Value, read};
use ebpfkit_vm::{Event, Redirect, Run, Sysctl, World};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Longest difference of a packet that is written out, in bytes.
const MAX_SHOWN: usize = 64;
/// Most runs of bytes that are written out of one packet.
const MAX_PARTS: usize = 16;

/// An event in words.
pub fn name(item: &Item, hook: Option<&PacketHook>) -> String {
    let short = |text: &str| {
        let mut words = text.split_whitespace();
        match text.len() {
            0..=60 => text.escape_debug().to_string(),
            _ if text.contains('>') => words.by_ref().take(5).collect::<Vec<_>>().join(" "),
            _ if text.starts_with("text:") => {
                format!("{}...", text.chars().take(60).collect::<String>().escape_debug())
            }
            len => format!("{} bytes", len / 2),
        }
    };
    match &item.what {
        What::Call(to, _) | What::Tracepoint(to, _) | What::Iter(to, _) => format!("{} {to}", item.key),
        What::Packet(text, at) => {
            let device = at.device.as_ref().map_or_else(String::new, |d| format!(" on {d}"));
            format!("{} {}{device}", hook.map_or("packet", |h| h.name), short(text))
        }
        What::Address(to, _) | What::Bound(to, _) | What::Sysctl(to, _) | What::Device(to, _) | What::Lookup(to, _) => {
            format!("{} {to}", item.key)
        }
        What::Data(text, _) => format!("{} {}", item.key, short(text)),
        What::Option(option, _) | What::SockOps(option, _) => match option {
            crate::schema::Constant::Number(n) => format!("{} {n}", item.key),
            crate::schema::Constant::Name(name) => format!("{} {name}", item.key),
        },
        What::Socket(spec, _) => format!("{} {}", item.key, spec.protocol.as_deref().unwrap_or("tcp")),
        What::Lirc(n, _) => format!("{} {n}", item.key),
        _ => item.key.to_owned(),
    }
}

/// Sets what a program returned.
pub fn returned(ran: &mut Ran, program: &ebpfkit_object::Program, r0: u64) {
    let kind = program.prog_type;
    if program.attach_type == AttachType::SkSkbStreamParser {
        // The length of a message, or an error.
        ran.retval = Some((r0 as u32 as i32).into());
        return;
    }
    let signed = !matches!(kind, P::SocketFilter | P::Xdp | P::SkMsg | P::SkSkb | P::SkLookup | P::SkReuseport);
    ran.retval = Some(if signed { (r0 as u32 as i32).into() } else { (r0 as u32).into() });
    ran.name = retval_name(kind, r0 as u32);
}

/// Whether the kernel runs no more programs after this one.
pub fn ends(order: Order, ran: &Ran) -> bool {
    match order {
        _ if ran.fault.is_some() => true,
        Order::All => false,
        Order::UntilNonzero => ran.retval != Some(0),
        Order::UntilVerdict => ran.retval != Some(-1),
        Order::One => true,
    }
}

/// What a packet has become.
pub fn packet_changes(ran: &mut Ran, run: &Run, before: &[u8]) {
    let mut buffer = Vec::new();
    let after = frame_after(run, run.program().prog_type(), Origin::Wire, before, &mut buffer);
    let text = |text: String| Text(Value::Text(text));
    if after.len() != before.len() {
        let change = Change {
            field: "packet".into(),
            from: text(format!("{} bytes", before.len())),
            to: text(format!("{} bytes", after.len())),
        };
        ran.changed.push(change);
        return;
    }
    let hex = |bytes: &[u8]| Text(Value::Bytes(bytes[..bytes.len().min(MAX_SHOWN)].to_vec()));
    let mut at = 0;
    let mut parts = 0;
    while at < after.len() && parts < MAX_PARTS {
        if after[at] == before[at] {
            at += 1;
            continue;
        }
        let len = after[at..].iter().zip(&before[at..]).take_while(|(a, b)| a != b).count();
        let field = if len == 1 { format!("packet[{at}]") } else { format!("packet[{at}..{}]", at + len) };
        ran.changed.push(Change { field, from: hex(&before[at..at + len]), to: hex(&after[at..at + len]) });
        at += len;
        parts += 1;
    }
}

/// What else a program may change: the value of a socket option, that of a sysctl.
pub fn more_changes(ran: &mut Ran, run: &Run, option: Option<Vec<u8>>, before: &Sysctl, after: &Sysctl) {
    if let (Some(from), Some(to)) = (option, run.option_value())
        && from != to
    {
        ran.changed.push(Change { field: "value".into(), from: Text(bytes(&from)), to: Text(bytes(&to)) });
    }
    if before.new != after.new {
        let show = |value: &Option<Vec<u8>>| Text(value.as_deref().map_or(Value::Text("nothing".into()), bytes));
        ran.changed.push(Change { field: "written".into(), from: show(&before.new), to: show(&after.new) });
    }
}

/// Members of a context that have another value now.
pub fn members_changed(btf: &Btf, ty: TypeId, before: &[u8], after: &[u8]) -> Vec<Change> {
    let (Value::Struct(from), Value::Struct(to)) = (read(btf, ty, before), read(btf, ty, after)) else {
        return Vec::new();
    };
    let pairs = from.into_iter().zip(to).filter(|((_, from), (_, to))| from != to);
    pairs.map(|((field, from), (_, to))| Change { field, from: Text(from), to: Text(to) }).collect()
}

/// Bytes as a number or a text where they look like one.
fn bytes(value: &[u8]) -> Value {
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() && text.chars().all(|c| !c.is_control()) => Value::Text(format!("{text:?}")),
        _ => match value.first_chunk::<4>() {
            Some(word) if value.len() == 4 => Value::Int(u32::from_ne_bytes(*word).into()),
            _ => Value::Bytes(value.to_vec()),
        },
    }
}

/// What a program answered by other means than its return value.
pub fn answers(ran: &mut Ran, item: &Item, run: &Run) {
    let state = run.state();
    let before = match &item.what {
        What::Option(_, option) => option.ret.unwrap_or(0),
        _ => 0,
    };
    if state.retval != before {
        let value = |n: i32| Text(errno(n.into()).map_or(Value::Int(n.into()), Value::Text));
        ran.changed.push(Change { field: "returned value".into(), from: value(before), to: value(state.retval) });
    }
    if let Some(value) = state.override_return {
        let value = value as i64;
        let to = errno(value).map_or(Value::Int(value.into()), Value::Text);
        let from = Text(Value::Text("the function's own".into()));
        ran.changed.push(Change { field: "returned value".into(), from, to: Text(to) });
    }
}

/// An error number by its name.
fn errno(value: i64) -> Option<String> {
    let number = i32::try_from(-value).ok().filter(|n| (1..4096).contains(n))?;
    let name = Errno(number).name();
    (!name.is_empty()).then(|| format!("-{name}"))
}

/// What a program told the outside.
pub fn emitted(session: &mut Session<'_>, run: &mut Run) -> Vec<Emitted> {
    let mut all = Vec::new();
    if let Some(redirect) = run.redirect() {
        let to = match redirect {
            Redirect::Device { index, .. } => format!("to device {}", device(&session.world, index)),
            Redirect::Peer { index } => format!("to the peer of device {}", device(&session.world, index)),
            Redirect::Neigh { index, .. } => format!("to a neighbour on device {}", device(&session.world, index)),
            Redirect::Map { map, key, .. } => {
                let name = run.program().maps().iter().find(|m| m.info().id == map).map(|m| m.info().name.to_string());
                format!("to entry {key} of {}", name.unwrap_or_else(|| format!("map {map}")))
            }
        };
        all.push(Emitted::Redirect { to });
    }
    if let Some(socket) = run.state().sockets.assigned.and_then(|n| session.world.sockets.get(n)) {
        all.push(Emitted::Redirect { to: format!("to the socket at {}", socket.local) });
    }
    if let Some(data) = run.flow_keys().and_then(|keys| flow_keys(&keys)) {
        all.push(Emitted::Record { map: "flow keys".into(), ty: Some("bpf_flow_keys".into()), data });
    }
    for event in run.take_events() {
        let record = |session: &mut Session<'_>, map: String, data: &[u8]| {
            // Where the kernel's types are unknown the object's own stand in for them.
            let own = session.object.btf.as_deref();
            let kernel = session.types.as_deref().filter(|t| own.is_none_or(|own| !std::ptr::eq(own, *t)));
            let (ty, data) = session.records.decode((session.object, kernel), &map, data);
            Emitted::Record { map, ty, data }
        };
        let emitted = match event {
            Event::Printk(text) => Emitted::Printk { text },
            Event::Perf { map, data, .. } | Event::Ring { map, data } => record(session, map, &data),
            Event::Output(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if let Some(Emitted::Output { text: before }) = all.last_mut() {
                    before.push_str(&text);
                    continue;
                }
                Emitted::Output { text: text.into_owned() }
            }
            Event::Signal { signal, .. } => Emitted::Signal { signal },
            Event::Packet { device, data, .. } => Emitted::Packet { device, len: data.len() },
            Event::Stream { stream, text } => Emitted::Stream { stream, text },
            _ => continue,
        };
        all.push(emitted);
    }
    all
}

/// What a flow dissector has found (`struct bpf_flow_keys`).
fn flow_keys(keys: &[u8]) -> Option<Value> {
    let half = |at: usize| Some(u16::from_ne_bytes(*keys.get(at..)?.first_chunk()?));
    let port = |at: usize| Some(u16::from_be_bytes(*keys.get(at..)?.first_chunk()?));
    let number = |n: u16| Value::Int(n.into());
    let byte = |at: usize| Some(Value::Int((*keys.get(at)?).into()));
    let (source, destination) = match half(4)? {
        0x86dd => {
            (<[u8; 16]>::try_from(keys.get(16..32)?).ok()?.into(), <[u8; 16]>::try_from(keys.get(32..48)?).ok()?.into())
        }
        _ => (<[u8; 4]>::try_from(keys.get(16..20)?).ok()?.into(), <[u8; 4]>::try_from(keys.get(20..24)?).ok()?.into()),
    };
    let members = [
        ("nhoff", number(half(0)?)),
        ("thoff", number(half(2)?)),
        ("addr_proto", number(half(4)?)),
        ("is_frag", byte(6)?),
        ("is_first_frag", byte(7)?),
        ("is_encap", byte(8)?),
        ("ip_proto", byte(9)?),
        ("n_proto", number(port(10)?)),
        ("sport", number(port(12)?)),
        ("dport", number(port(14)?)),
        ("src", Value::Address(source)),
        ("dst", Value::Address(destination)),
    ];
    Some(Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn device(world: &World, index: u32) -> String {
    world.device(index).map_or_else(|| index.to_string(), |d| d.name.clone())
}

/// Adds what an iterator's program did for one element to what it did before.
pub fn merge(programs: &mut Vec<Ran>, ran: Ran) {
    match programs.last_mut().filter(|p| p.program == ran.program) {
        Some(before) => {
            (before.retval, before.name, before.fault) = (ran.retval, ran.name, ran.fault);
            before.changed.extend(ran.changed);
            for emitted in ran.emitted {
                match (before.emitted.last_mut(), emitted) {
                    (Some(Emitted::Output { text }), Emitted::Output { text: more }) => text.push_str(&more),
                    (_, other) => before.emitted.push(other),
                }
            }
        }
        None => programs.push(ran),
    }
}

/// What the hook makes of all return values.
pub fn result(
    item: &Item,
    hook: Option<&PacketHook>,
    programs: &[Ran],
    runs: &BTreeMap<usize, Run>,
    object: &Object,
) -> Option<String> {
    let last = programs.last().filter(|p| p.fault.is_none())?;
    let value = last.retval?;
    let all_allow = programs.iter().all(|p| p.retval.is_some_and(|v| v & 1 == 1));
    // The last error that a program has set.
    let set = programs.iter().rev().find_map(|ran| {
        let n = object.programs.iter().position(|p| p.name == ran.program)?;
        Some(runs.get(&n)?.state().retval).filter(|v| *v < 0)
    });
    let denied = |n: i64| format!("denied: {}", errno(n).unwrap_or_else(|| n.to_string()).trim_start_matches('-'));
    Some(match (&item.what, hook.map(|h| h.name)) {
        (What::Call(..), _) => match item.key {
            "lsm" if value == 0 => "allowed".into(),
            "lsm" => denied(value),
            "fmod_ret" if value == 0 => "the function runs".into(),
            "fmod_ret" => {
                format!("the function does not run, it returns {}", errno(value).unwrap_or_else(|| value.to_string()))
            }
            _ => return None,
        },
        (_, Some("cgroup-ingress" | "cgroup-egress")) if all_allow => "passes".into(),
        (_, Some("cgroup-ingress" | "cgroup-egress")) => "dropped".into(),
        (_, Some("netfilter")) => match programs.iter().find(|p| p.retval == Some(0)) {
            Some(_) => "dropped".into(),
            None => "passes".into(),
        },
        (_, Some("socket")) => match value {
            0 => "not seen by the socket".into(),
            _ => "seen by the socket".into(),
        },
        (What::Option(..), _) if item.key == "getsockopt" && all_allow => return None,
        (
            What::Address(..)
            | What::Socket(..)
            | What::Bound(..)
            | What::Option(..)
            | What::Sysctl(..)
            | What::Device(..),
            _,
        ) => match (all_allow, set) {
            (true, None) => "allowed".into(),
            (_, Some(errno)) => denied(errno.into()),
            (false, None) => denied(-1),
        },
        (What::Lookup(..), _) => match (value, last.emitted.iter().any(|e| matches!(e, Emitted::Redirect { .. }))) {
            (0, _) => "no socket gets it".into(),
            (_, true) => "the chosen socket gets it".into(),
            (_, false) => "the kernel looks on".into(),
        },
        _ => return None,
    })
}

/// Whether JSON holds what is expected: of objects the fields that are named, of lists all elements, in order.
pub fn contains(found: &Json, expected: &Json, path: &str) -> Result<(), String> {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => expected.iter().try_for_each(|(name, value)| {
            let inner = found.get(name).unwrap_or(&Json::Null);
            contains(inner, value, &format!("{path}.{name}"))
        }),
        // Entries of maps are found by their keys, in whatever order they stand.
        (Json::Array(found), Json::Array(expected)) if expected.first().is_some_and(|e| e.get("key").is_some()) => {
            expected.iter().enumerate().try_for_each(|(n, entry)| {
                let key = entry.get("key");
                let path = format!("{path}[{n}]");
                let same = found.iter().find(|f| f.get("key") == key);
                contains(same.ok_or_else(|| format!("{path}: there is no such key"))?, entry, &path)
            })
        }
        (Json::Array(found), Json::Array(expected)) => {
            if found.len() != expected.len() {
                return Err(format!("{path}: a list of {}; expected {}", found.len(), expected.len()));
            }
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.try_for_each(|(n, (found, expected))| contains(found, expected, &format!("{path}[{n}]")))
        }
        _ if found == expected => Ok(()),
        _ => Err(format!("{path}: {found}; expected {expected}")),
    }
}
