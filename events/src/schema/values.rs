//! What the fields of items hold.

use ebpfkit_vm::show;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

/// A value whose form its BTF type says: numbers, text, lists, objects; objects and texts stand for pointers too.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Typed(pub show::Value);

impl JsonSchema for Typed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Typed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A value in the form that its BTF type has"})
    }
}

/// Arguments: a list in order, or an object by name.
pub type Args = Typed;

/// What every event may say.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// The task that it happens in: its name, its process, or an object. Tasks that were named before keep what was said of them.
    pub task: Option<TaskRef>,
    /// The CPU that it happens on.
    pub cpu: Option<u32>,
    /// Programs that it runs, in order, instead of those that are attached to it by their sections.
    pub programs: Option<Vec<String>>,
    /// When it happens: `+5ms` after the event before, or nanoseconds since boot.
    pub at: Option<Time>,
    /// What `bpf_get_attach_cookie` gives.
    pub cookie: Option<u64>,
    /// Return addresses of the kernel's stack, innermost first.
    pub kernel_stack: Option<Vec<u64>>,
    /// Return addresses of the user's stack.
    pub user_stack: Option<Vec<u64>>,
    /// A remark for readers.
    pub note: Option<String>,
}

/// A point in time, or a distance from the event before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Nanoseconds later.
    After(u64),
    /// Nanoseconds since boot.
    At(u64),
}

const TIME: &str = "a time such as \"+5ms\" (ns, us, ms, s, m, h), or nanoseconds since boot";

impl Time {
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 6] = [
            ("ns", 1),
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        let (later, text) = text.strip_prefix('+').map_or((false, text), |t| (true, t));
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, n)| *n)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let mut ns = whole.parse::<u64>().ok()?.checked_mul(unit)?;
        let mut scale = unit;
        for digit in part.bytes() {
            scale /= 10;
            ns = ns.checked_add(u64::from(digit - b'0') * scale)?;
        }
        Some(if later { Self::After(ns) } else { Self::At(ns) })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Time;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str(TIME)
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Time, E> {
                Ok(Time::At(n))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).ok_or_else(|| E::custom(format!("\"{text}\"; expected {TIME}")))
            }
        }
        from.deserialize_any(Reader)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": TIME, "anyOf": [
            {"type": "string", "pattern": r"^\+?[0-9]+(\.[0-9]+)? ?(ns|us|ms|s|m|h)$"},
            {"type": "integer", "minimum": 0}
        ]})
    }
}

/// A task in full.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// Command name, of which 15 bytes count.
    pub comm: Option<String>,
    /// Thread; that of the process where nothing is said.
    pub tid: Option<u32>,
    /// Process; a number of its own where nothing is said.
    pub pid: Option<u32>,
    /// Process of the parent.
    pub ppid: Option<u32>,
    /// User.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Id of the cgroup.
    pub cgroup: Option<u64>,
    /// Other members of the kernel's `task_struct`.
    pub fields: Option<Typed>,
}

/// A task as events name it.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskRef {
    /// By its command name.
    Name(String),
    /// By its process.
    Pid(u32),
    /// In full.
    Full(Box<TaskSpec>),
}

impl<'de> Deserialize<'de> for TaskRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = TaskRef;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a task: its name, its process or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TaskRef, E> {
                Ok(TaskRef::Name(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<TaskRef, E> {
                let pid = u32::try_from(n).map_err(|_| E::custom(format!("{n}; expected a number of 32 bits")))?;
                Ok(TaskRef::Pid(pid))
            }

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<TaskRef, A::Error> {
                let spec = TaskSpec::deserialize(serde::de::value::MapAccessDeserializer::new(from))?;
                Ok(TaskRef::Full(Box::new(spec)))
            }
        }
        from.deserialize_any(Reader)
    }
}

impl JsonSchema for TaskRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TaskRef".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<TaskSpec>();
        json_schema!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}, full]})
    }
}

/// A call of a function.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Call {
    /// Its arguments.
    pub args: Option<Args>,
    /// What it returns.
    pub ret: Option<Typed>,
}

/// A tracepoint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Fields of its record by name; the arguments of a system call.
    pub args: Option<Args>,
    /// What a system call returns (`sys_exit_...`).
    pub ret: Option<i64>,
}

/// What an iterator goes over.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IterOver {
    /// Its elements, in order: members of the iterator's `struct bpf_iter__...` besides `meta`, or the first of them.
    pub elements: Option<Vec<Typed>>,
    /// The map whose elements they are (`bpf_map_elem`).
    pub map: Option<String>,
}

/// Nothing but what every event may say.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nothing {}

/// A sample of a performance event.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sample {
    /// Events between two samples.
    pub sample_period: u64,
    /// The address that the sample is about.
    pub addr: u64,
    /// Address of the instruction.
    pub ip: u64,
    /// Counter, and how long it was enabled and running, for `bpf_perf_prog_read_value`.
    pub counter: [u64; 3],
}

/// A packet at a hook.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PacketAt {
    /// Where it is: `xdp`, `tc-ingress`, `tc-egress`, `cgroup-ingress`, `cgroup-egress`, `socket`, `lwt-in`, `lwt-out`,
    /// `lwt-xmit`, `lwt-seg6local`, `flow-dissector`, `sk-skb-parser`, `sk-skb-verdict`, `netfilter`. Only needed where
    /// the object has programs for several.
    pub hook: Option<String>,
    /// The device by its name in the world; `lo` where nothing is said.
    pub device: Option<String>,
    /// Which packet of the file, from 1; all of them where nothing is said (`capture` only).
    pub number: Option<u64>,
    /// Fields of the context, by name.
    pub fields: Option<BTreeMap<String, Typed>>,
}

/// A socket operation of a task, as programs of its cgroup see it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SockAddr {
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// Source address of a message.
    pub source: Option<std::net::IpAddr>,
    /// The socket's own end.
    pub local: Option<String>,
    /// Fields of the context, by name.
    pub fields: Option<BTreeMap<String, Typed>>,
}

/// A socket that is made, bound or closed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SockSpec {
    /// `inet` or `inet6`.
    pub family: Option<String>,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: Option<String>,
    /// Fields of the context, by name.
    pub fields: Option<BTreeMap<String, Typed>>,
}

/// A socket option.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SockOpt {
    /// `SOL_SOCKET`, `IPPROTO_IP`, `IPPROTO_IPV6`, `IPPROTO_TCP`, or a number.
    pub level: Option<Constant>,
    /// The value: a number of 32 bits, or hexadecimal bytes; a text with `text:` before it.
    pub value: Option<Constant>,
    /// Bytes of the user's buffer; those of the value where nothing is said.
    pub len: Option<u32>,
    /// What the kernel returns (`getsockopt`).
    pub ret: Option<i32>,
}

/// A number, or the name of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Constant {
    /// The number.
    Number(i64),
    /// Its name.
    Name(String),
}

/// A sysctl that a task reads or writes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SysctlAccess {
    /// Its value.
    pub current: Option<String>,
    /// What is written; a read where nothing is said.
    pub write: Option<String>,
    /// Where in the file.
    pub position: u32,
}

/// What happens to a TCP connection.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SockOps {
    /// The connection's own end.
    pub local: Option<String>,
    /// The other end.
    pub remote: Option<String>,
    /// Arguments of the operation.
    pub args: Vec<u32>,
    /// Bytes of the packet.
    pub packet: Option<String>,
    /// Fields of the context, by name (`srtt_us`, `total_retrans`...).
    pub fields: Option<BTreeMap<String, Typed>>,
}

/// A message or packet of a socket.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SockData {
    /// The socket's own end.
    pub local: Option<String>,
    /// The other end.
    pub remote: Option<String>,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// Fields of the context, by name.
    pub fields: Option<BTreeMap<String, Typed>>,
}

/// Access to a device.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceAccess {
    /// Any of `r`, `w` and `m` (make the device).
    pub access: String,
}

/// What an attached program is attached to, where its loader decides.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// The kernel function, tracepoint or hook.
    pub to: String,
}

/// Contents of a map.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MapSet {
    /// Variables by name for a section of data; otherwise a list of objects with `key` and `value`, or an object of
    /// values by keys.
    pub set: Option<Value>,
    /// Keys to be deleted.
    pub delete: Option<Vec<Typed>>,
    /// Bytes of a value, where the loader decides; before the first event.
    pub value_size: Option<u32>,
    /// Entries, where the loader decides; before the first event.
    pub max_entries: Option<u32>,
}

/// What a helper or kernel function gives instead of what it does.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mock {
    /// The value; an object for a pointer to a struct, `null` for one that leads nowhere.
    #[serde(rename = "return", deserialize_with = "present")]
    pub value: Option<Typed>,
    /// The error: `EPERM`.
    pub errno: Option<String>,
    /// Which call, from 1 in each event; all where nothing is said.
    pub call: Option<u64>,
    /// Only calls with these arguments, in order; `null` for any.
    pub args: Option<Vec<Option<i64>>>,
}

/// A value that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Typed>, D::Error> {
    Typed::deserialize(from).map(Some)
}

/// What a record of a ring buffer or perf event array is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// Type of the records: a struct of the object.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// Or their members, where the object does not have the type: `u32 pid`, `char comm[16]`. Types are `u8` to `u64`,
    /// `s8` to `s64`, `char`, `ip4`, `ip6` and `port` (in the order of the network).
    pub fields: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(Time::parse("+1.5ms"), Some(Time::After(1_500_000)));
        assert_eq!(Time::parse("2 s"), Some(Time::At(2_000_000_000)));
        assert_eq!(Time::parse("5"), None);
    }
}
