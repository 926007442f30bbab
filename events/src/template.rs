//! Examples of events, made for a program from what its section and the types say.

use crate::calls::{self, Layout, Prototype};
use crate::hooks::{Order, PACKET_HOOKS, kind_of, member_at, order, syscall_of};
use crate::inputs::context_type;
use crate::iterators;
use crate::memory::is_byte;
use ebpfkit_abi::{AttachType as A, ProgType as P, syscalls};
use ebpfkit_object::btf::{Type, TypeId};
use ebpfkit_object::{Btf, MapInit, Object};
use ebpfkit_vm::show::{Value, member, named_char};

/// What examples are made of: unlike a map of JSON it keeps the order of its members.
trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::Text(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::Int(self.into())
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
}

/// A value in the form of JSON.
macro_rules! json {
    ({ $($name:tt : $value:expr),* $(,)? }) => {
        Value::Struct(vec![$(($name.to_string(), IntoValue::into_value($value))),*])
    };
    ([ $($value:expr),* $(,)? ]) => { Value::List(vec![$(IntoValue::into_value($value)),*]) };
    (null) => { UNKNOWN };
    ($value:expr) => { IntoValue::into_value($value) };
}

/// Stands for a pointer that leads nowhere.
const UNKNOWN: Value = Value::Int(0);

/// Members of a struct that an example shows.
const MAX_MEMBERS: usize = 8;

/// Bytes of an array that an example writes out, as many as an IPv6 address has.
const MAX_BYTES: u32 = 16;

/// An example of an event that reaches a program of an object; `None` for types of programs that no event reaches.
pub fn example(object: &Object, types: Option<&Btf>, number: usize) -> Option<Value> {
    let program = object.programs.get(number)?;
    let target = program.attach_target.as_str();
    let section = kind_of(&program.section);
    let own = object.btf.as_deref();
    let types = types.or(own);
    let is_named = !target.is_empty();
    // Where the section does not say it, the loader does.
    let to = if is_named { target } else { "NAME" };
    let mut event = match program.prog_type {
        P::Kprobe => probe(types, section, to),
        P::Tracepoint => {
            let name = to.replace('/', ":");
            let context = own.and_then(|btf| Some((btf, context_type(btf, program)?)));
            json!({"tracepoint": name.as_str(), "task": "bash", "args": record(&name, types, context)})
        }
        P::RawTracepoint | P::RawTracepointWritable => {
            json!({"raw_tracepoint": to, "task": "bash", "args": arguments(types, &Prototype::of_tracepoint(types, to))})
        }
        P::Tracing => match program.attach_type {
            A::TraceRawTp => {
                json!({"tp_btf": to, "task": "bash", "args": arguments(types, &Prototype::of_tracepoint(types, to))})
            }
            A::TraceIter => iterator(object, types, to),
            attach => {
                let (key, ret) = match attach {
                    A::TraceFexit => ("fexit", Some(0)),
                    A::ModifyReturn => ("fmod_ret", None),
                    _ => ("fentry", None),
                };
                let args = arguments(types, &Prototype::of_function(types, to));
                let mut event = json!({key: to, "task": "bash", "args": args});
                if let (Some(ret), Value::Struct(members)) = (ret, &mut event) {
                    members.push(("ret".into(), json!(ret)));
                }
                event
            }
        },
        P::Lsm => {
            let prototype = Prototype::of_function(types, &format!("bpf_lsm_{to}"));
            json!({"lsm": to, "task": "bash", "args": arguments(types, &prototype)})
        }
        P::StructOps => operation(object, types, number)?,
        P::PerfEvent => json!({"perf_event": json!({"sample_period": 1000, "ip": 4_198_400}), "task": "bash"}),
        P::Syscall => {
            let context = own.and_then(|btf| Some(members(btf, context_type(btf, program)?)));
            json!({"syscall": context.unwrap_or(UNKNOWN)})
        }
        P::CgroupSockAddr | P::CgroupSock | P::CgroupSockopt => socket(program.attach_type)?,
        P::CgroupSysctl => json!({"sysctl": "net/ipv4/ip_forward", "current": "0", "write": "1"}),
        P::CgroupDevice => json!({"cgroup_device": "c 1:3", "access": "rw"}),
        P::SockOps => {
            json!({"sockops": "active_established", "local": "192.0.2.1:40000", "remote": "198.51.100.1:443"})
        }
        P::SkMsg => json!({"sk_msg": "text:hello", "local": "192.0.2.1:40000", "remote": "198.51.100.1:80"}),
        P::SkReuseport => json!({"sk_reuseport": "text:hello", "local": "192.0.2.1:53", "remote": "198.51.100.1:4000"}),
        P::SkLookup => json!({"sk_lookup": "192.0.2.1:80", "remote": "198.51.100.1:40000", "protocol": "tcp"}),
        P::LircMode2 => json!({"lirc": 16_777_716}),
        kind => {
            let hook = PACKET_HOOKS.iter().find(|h| {
                let any = h.attach.is_empty() || h.attach.contains(&program.attach_type);
                h.types.contains(&kind) && any
            });
            let packet = "tcp 192.0.2.1:40000 > 198.51.100.1:80 syn";
            json!({"packet": packet, "hook": hook?.name})
        }
    };
    let by_section = is_named || !matches!(program.prog_type, P::Kprobe | P::Tracing | P::Lsm | P::Tracepoint);
    let is_clear = by_section && !(has_one(&event) && has_rivals(object, number));
    if let (false, Value::Struct(members)) = (is_clear, &mut event) {
        members.push(("programs".into(), json!([program.name.as_str()])));
    }
    Some(event)
}

/// Whether the hook of an event has one program.
fn has_one(event: &Value) -> bool {
    let Value::Struct(members) = event else { return false };
    let hook = members.iter().find_map(|(name, value)| match value {
        Value::Text(hook) if name == "hook" => Some(hook.as_str()),
        _ => None,
    });
    members.first().is_some_and(|(key, _)| order(key, hook) == Order::One)
}

/// Whether the object has other programs for the same hook.
fn has_rivals(object: &Object, number: usize) -> bool {
    let hook = |n: usize| object.programs.get(n).map(|p| (p.prog_type, p.attach_type, p.attach_target.as_str()));
    (0..object.programs.len()).any(|n| n != number && hook(n) == hook(number))
}

/// An iterator with what it goes over, unless that is there by itself.
fn iterator(object: &Object, types: Option<&Btf>, kind: &str) -> Value {
    let mut event = json!({"iter": kind});
    let over = match kind {
        "task" | "bpf_map" => None,
        "bpf_map_elem" => {
            let listed = |m: &&ebpfkit_object::Map| m.key_type != 0 && m.value_type != 0;
            object.maps.iter().find(listed).map(|m| ("map", json!(m.name.as_str())))
        }
        kind => types.and_then(|btf| {
            let ty = iterators::context(btf, kind).ok()?;
            let one = |name: &String| {
                let value = member(btf, ty, name).map_or(UNKNOWN, |m| value(btf, m.ty, 0));
                (name.clone(), if name == "task" { json!("bash") } else { value })
            };
            let element = Value::Struct(iterators::own_members(btf, ty).iter().map(one).collect());
            Some(("elements", json!([element])))
        }),
    };
    if let (Some((name, over)), Value::Struct(members)) = (over, &mut event) {
        members.push((name.to_owned(), over));
    }
    event
}

fn probe(types: Option<&Btf>, section: &str, to: &str) -> Value {
    let is_return = section.contains("ret");
    let base = section.trim_end_matches(".multi");
    let key = match base {
        "kprobe.session" | "kprobe" => "kprobe",
        "uprobe" | "uprobe.session" => "uprobe",
        "kretprobe" | "ksyscall" | "kretsyscall" | "uretprobe" | "usdt" => base,
        _ => "kprobe",
    };
    let to = to.trim_start_matches('/');
    let to =
        to.rsplit_once('/').filter(|_| matches!(key, "uprobe" | "uretprobe" | "usdt")).map_or(to, |(_, name)| name);
    let of_syscall = if key.ends_with("syscall") { Some(to) } else { syscall_of(to) };
    if is_return {
        return json!({key: to, "task": "bash", "ret": 0});
    }
    let args = match (key, of_syscall) {
        (_, Some(name)) => syscall(name),
        ("kprobe", _) => arguments(types, &Prototype::of_function(types, to)),
        _ => json!([1, "a text"]),
    };
    json!({key: to, "task": "bash", "args": args})
}

/// Arguments of a system call, by what they point to.
fn syscall(name: &str) -> Value {
    let Some(row) = syscalls::find(name) else { return json!([0]) };
    let value = |a: syscalls::Argument| match a.behind {
        Some("text") => json!("/etc/passwd"),
        Some("texts") => json!(["ls", "-l"]),
        _ => json!(0),
    };
    Value::Struct(row.args().map(|a| (a.name.to_owned(), value(a))).collect())
}

fn arguments(types: Option<&Btf>, prototype: &Prototype) -> Value {
    let Some(btf) = types else { return json!([]) };
    let params: Vec<(&str, TypeId)> = prototype.params().collect();
    let has_names = !params.is_empty() && params.iter().all(|(name, _)| !name.is_empty());
    if has_names {
        return Value::Struct(params.iter().map(|(name, ty)| ((*name).to_owned(), value(btf, *ty, 1))).collect());
    }
    Value::List(params.iter().map(|(_, ty)| value(btf, *ty, 1)).collect())
}

/// A value of a type that shows its form.
fn value(btf: &Btf, ty: TypeId, depth: usize) -> Value {
    match btf.get(btf.resolve(ty)) {
        Some(Type::Ptr(to)) => match btf.get(btf.resolve(to)) {
            Some(Type::Int { size: 1, .. }) => json!("a text"),
            Some(Type::Struct(_)) => match btf.name(btf.resolve(to)) {
                "file" | "path" | "dentry" | "filename" => json!("/etc/passwd"),
                "sock" | "sock_common" => json!("tcp 192.0.2.1:40000 > 198.51.100.1:443 established"),
                "sk_buff" => json!("tcp 192.0.2.1:40000 > 198.51.100.1:443 syn"),
                "qstr" => json!("passwd"),
                _ => json!({}),
            },
            _ => UNKNOWN,
        },
        Some(Type::Int { encoding, .. }) if encoding.bool => json!(false),
        Some(Type::Enum { .. } | Type::Enum64 { .. }) => {
            btf.enum_values(btf.resolve(ty)).next().map_or(json!(0), |v| json!(v.name))
        }
        Some(Type::Array { elem, .. }) if named_char(btf, elem) => json!("a text"),
        Some(Type::Array { elem, len, .. }) if is_byte(btf, elem) && len <= MAX_BYTES => {
            Value::List((0..len).map(|_| json!(0)).collect())
        }
        Some(Type::Array { elem, len, .. }) if depth > 0 && len <= 8 => {
            Value::List((0..len).map(|_| value(btf, elem, depth - 1)).collect())
        }
        Some(Type::Struct(_) | Type::Union(_)) if depth > 0 => members(btf, ty),
        Some(Type::Struct(_) | Type::Union(_) | Type::Array { .. }) => json!({}),
        _ => json!(0),
    }
}

fn members(btf: &Btf, ty: TypeId) -> Value {
    // What is left out is zero, so that nobody has to see long lists of that.
    let is_short = |elem, len| named_char(btf, elem) || is_byte(btf, elem) && len <= MAX_BYTES;
    let is_long = |ty| matches!(btf.get(btf.resolve(ty)), Some(Type::Array { elem, len, .. }) if !is_short(elem, len));
    let shown = |m: &ebpfkit_object::btf::Member<'_>| !m.name.is_empty() && !is_long(m.ty);
    let named = btf.members(btf.resolve(ty)).filter(shown).take(MAX_MEMBERS);
    Value::Struct(named.map(|m| (m.name.to_owned(), value(btf, m.ty, 0))).collect())
}

fn record(name: &str, types: Option<&Btf>, context: Option<(&Btf, TypeId)>) -> Value {
    match calls::layout(name, types, context) {
        Ok(Layout::Syscall(name, false)) => syscall(name),
        Ok(Layout::Syscall(_, true)) => json!({"ret": 0}),
        Ok(Layout::Struct(btf, ty)) => {
            let fields = btf.members(btf.resolve(ty)).filter(|m| !matches!(m.name, "ent" | "__data" | ""));
            let shown = fields.map(|m| match m.name.strip_prefix("__data_loc_") {
                Some(name) => (name.to_owned(), json!("a text")),
                None => (m.name.to_owned(), value(btf, m.ty, 1)),
            });
            Value::Struct(shown.collect())
        }
        Err(_) => json!({}),
    }
}

fn operation(object: &Object, types: Option<&Btf>, number: usize) -> Option<Value> {
    let btf = types?;
    object.maps.iter().find_map(|map| {
        let MapInit::StructOps { programs, .. } = &map.init else { return None };
        let (at, _) = programs.iter().find(|(_, program)| *program == number)?;
        let member = member_at(btf, map.kernel_value_type, *at)?;
        let prototype = Prototype::of_member(types, map.kernel_value_type, *at);
        Some(json!({"struct_ops": format!("{}.{}", map.name, member.name), "args": arguments(types, &prototype)}))
    })
}

fn socket(attach: A) -> Option<Value> {
    let key = crate::hooks::socket_key(attach)?;
    Some(match key {
        "sock_create" | "sock_release" => json!({key: json!({"family": "inet", "protocol": "tcp"}), "task": "curl"}),
        "setsockopt" => json!({key: "SO_SNDBUF", "value": 65536, "task": "curl"}),
        "getsockopt" => json!({key: "SO_SNDBUF", "value": 65536, "ret": 0, "task": "curl"}),
        _ if key.ends_with('6') => json!({key: "[2001:db8::1]:443", "task": "curl"}),
        _ => json!({key: "198.51.100.1:443", "task": "curl"}),
    })
}
