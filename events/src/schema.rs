//! What a file of events may say: one schema, from which files are read and the published JSON Schema is made.
//!
//! An item is an object. One of its fields says what it is (`tracepoint`, `packet`, `map`...); [`ROWS`] lists these. The
//! others belong to that, or to every event ([`Common`]).

use crate::parse::{Node, ReadError};
use ebpfkit_object::nearest;
use ebpfkit_vm::show;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
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

/// What an item is, with what it says.
#[derive(Clone, Debug)]
pub enum What {
    /// A traced function or tracepoint: the row's key, its target and the call.
    Call(String, Call),
    /// A tracepoint with its record.
    Tracepoint(String, Record),
    /// A sample of a performance event.
    PerfEvent(Sample),
    /// An iterator.
    Iter(String, IterOver),
    /// A call of a `syscall` program.
    Syscall(Typed, Nothing),
    /// A packet.
    Packet(String, PacketAt),
    /// Packets of a capture.
    Capture(String, PacketAt),
    /// An operation on an address.
    Address(String, SockAddr),
    /// A socket.
    Socket(SockSpec, Nothing),
    /// A socket that was bound.
    Bound(String, SockSpec),
    /// A socket option.
    Option(Constant, SockOpt),
    /// A sysctl.
    Sysctl(String, SysctlAccess),
    /// A device.
    Device(String, DeviceAccess),
    /// A TCP connection.
    SockOps(Constant, SockOps),
    /// Bytes of a socket.
    Data(String, SockData),
    /// A lookup of a socket.
    Lookup(String, SockData),
    /// A sample of a remote control.
    Lirc(u32, Nothing),
    /// Where a program is attached.
    Attach(String, Attach),
    /// Variables of the object.
    Variables(Map<String, Value>, Nothing),
    /// Contents of a map.
    Map(String, MapSet),
    /// A replaced helper or kernel function.
    Mock(String, Mock),
    /// The type of a map's records.
    Records(String, Records),
    /// A task.
    Task(TaskSpec, Nothing),
    /// An object that later events may name.
    Object(Typed, Nothing),
    /// Time passes.
    Time(Time, Nothing),
    /// What the event before has to have done.
    Expect(Value, Nothing),
}

/// What is read of an item: what its key holds, and the other fields.
type Read = fn(Value, Value) -> Result<What, (String, String)>;

/// A kind of item.
pub struct Row {
    /// The field that says so.
    pub key: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Whether it is an event, which may say what all events may.
    pub is_event: bool,
    read: Read,
    key_schema: fn(&mut SchemaGenerator) -> Schema,
    rest_schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Reads a value; the error is its path and what is wrong.
fn typed<T: DeserializeOwned>(value: Value, key: &str) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = match (e.path().to_string(), key) {
            (path, "") if path == "." => String::new(),
            (path, key) if path == "." => key.to_owned(),
            (path, "") => path,
            (path, key) => format!("{key}.{path}"),
        };
        (path, e.inner().to_string().replace("invalid type: ", ""))
    })
}

macro_rules! rows {
    ($($key:literal $event:literal $what:ident ($of:ty, $rest:ty) $about:literal;)*) => {
        /// Every kind of item, by the field that says so.
        pub static ROWS: &[Row] = &[$(Row {
            key: $key,
            about: $about,
            is_event: $event,
            read: |key, rest| Ok(What::$what(typed::<$of>(key, $key)?, typed::<$rest>(rest, "")?)),
            key_schema: |g| g.subschema_for::<$of>(),
            rest_schema: |g| <$rest>::json_schema(g),
        },)* Row {
            key: "perf_event",
            about: "a sample of a performance event",
            is_event: true,
            read: |key, rest| {
                typed::<Nothing>(rest, "")?;
                Ok(What::PerfEvent(typed::<Sample>(key, "perf_event")?))
            },
            key_schema: |g| g.subschema_for::<Sample>(),
            rest_schema: |g| Nothing::json_schema(g),
        }];
    };
}

rows! {
    "tracepoint" true Tracepoint(String, Record) "a tracepoint, `category:name`";
    "kprobe" true Call(String, Call) "the start of a kernel function";
    "kretprobe" true Call(String, Call) "the end of a kernel function";
    "ksyscall" true Call(String, Call) "the start of a system call";
    "kretsyscall" true Call(String, Call) "the end of a system call";
    "uprobe" true Call(String, Call) "the start of a function of a process, `binary:symbol`";
    "uretprobe" true Call(String, Call) "the end of a function of a process";
    "usdt" true Call(String, Call) "a static probe of a process, `binary:provider:name`";
    "fentry" true Call(String, Call) "the start of a kernel function";
    "fexit" true Call(String, Call) "the end of a kernel function";
    "fmod_ret" true Call(String, Call) "a kernel function whose return value may be changed";
    "raw_tracepoint" true Call(String, Call) "a tracepoint with its arguments as numbers";
    "tp_btf" true Call(String, Call) "a tracepoint with typed arguments";
    "lsm" true Call(String, Call) "a security hook";
    "struct_ops" true Call(String, Call) "an operation of a struct_ops map, `map.member` or `member`";
    "iter" true Iter(String, IterOver) "an iterator is read, `task`, `tcp`, `bpf_map_elem`...";
    "syscall" true Syscall(Typed, Nothing) "a `syscall` program is called with this context";
    "packet" true Packet(String, PacketAt) "a packet: hexadecimal bytes, or in words";
    "capture" true Capture(String, PacketAt) "packets of a capture";
    "connect4" true Address(String, SockAddr) "a task connects, `address:port`";
    "connect6" true Address(String, SockAddr) "a task connects";
    "bind4" true Address(String, SockAddr) "a task binds a socket";
    "bind6" true Address(String, SockAddr) "a task binds a socket";
    "sendmsg4" true Address(String, SockAddr) "a task sends a datagram to an address";
    "sendmsg6" true Address(String, SockAddr) "a task sends a datagram to an address";
    "recvmsg4" true Address(String, SockAddr) "a task is told where a datagram came from";
    "recvmsg6" true Address(String, SockAddr) "a task is told where a datagram came from";
    "getpeername4" true Address(String, SockAddr) "a task asks for the other end";
    "getpeername6" true Address(String, SockAddr) "a task asks for the other end";
    "getsockname4" true Address(String, SockAddr) "a task asks for its own end";
    "getsockname6" true Address(String, SockAddr) "a task asks for its own end";
    "sock_create" true Socket(SockSpec, Nothing) "a task makes a socket";
    "sock_release" true Socket(SockSpec, Nothing) "a socket is closed";
    "post_bind4" true Bound(String, SockSpec) "a socket was bound, `address:port`";
    "post_bind6" true Bound(String, SockSpec) "a socket was bound";
    "setsockopt" true Option(Constant, SockOpt) "a task sets a socket option, by name or number";
    "getsockopt" true Option(Constant, SockOpt) "a task reads a socket option";
    "sysctl" true Sysctl(String, SysctlAccess) "a task reads or writes a sysctl, `net/ipv4/ip_forward`";
    "cgroup_device" true Device(String, DeviceAccess) "a task uses a device, `c 1:3`";
    "sockops" true SockOps(Constant, SockOps) "something happens to a TCP connection: `tcp_connect`, `state`, `rto`...";
    "sk_msg" true Data(String, SockData) "a task sends bytes, hexadecimal or with `text:` before them";
    "sk_reuseport" true Data(String, SockData) "a packet, in words or as what follows its ends, reaches sockets that share a port";
    "sk_lookup" true Lookup(String, SockData) "a packet looks for a socket at `address:port`";
    "lirc" true Lirc(u32, Nothing) "a sample of a remote control";
    "attach" false Attach(String, Attach) "what a program is attached to, where its loader decides";
    "variables" false Variables(Map<String, Value>, Nothing) "global variables by name; constants before the first event";
    "map" false Map(String, MapSet) "contents of a map";
    "mock" false Mock(String, Mock) "what a helper or kernel function gives instead of what it does";
    "records" false Records(String, Records) "the type of the records of a ring buffer or perf event array";
    "new_task" false Task(TaskSpec, Nothing) "a task that there is";
    "object" false Object(Typed, Nothing) "an object, with `$id` and `$type`, that later events may name";
    "time" false Time(Time, Nothing) "time passes, timers fire";
    "expect" false Expect(Value, Nothing) "what the event before has to have done; what is given of it has to be equal";
}

/// An item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its line.
    pub line: usize,
    /// The field that says what it is.
    pub key: &'static str,
    /// What it says.
    pub what: What,
    /// What every event may say.
    pub common: Common,
    /// The item as it stands in the file, where it has several lines.
    pub(crate) node: Option<Box<Node>>,
}

impl Item {
    /// The line that a problem is about, which begins with the path of a field (`args[1].name: ...`).
    pub fn line_of(&self, problem: &str) -> usize {
        let path = problem.split(": ").next().filter(|p| !p.contains(' '));
        self.node.as_ref().zip(path).map_or(self.line, |(node, path)| node.line_at(path))
    }
}

/// Names of the fields that a schema has.
fn properties(schema: &Schema) -> Vec<String> {
    let found = schema.get("properties").and_then(Value::as_object);
    found.map_or_else(Vec::new, |p| p.keys().cloned().collect())
}

/// Names of the fields of a row's own, and of those that all events have.
type Names = (Vec<String>, Vec<String>);

/// Names of the fields that an item of a row may have besides its key.
fn fields(row: &Row) -> Names {
    let mut generator = SchemaGenerator::default();
    let common = if row.is_event { properties(&Common::json_schema(&mut generator)) } else { Vec::new() };
    (properties(&(row.rest_schema)(&mut generator)), common)
}

/// The field names of all rows, made once: reading goes on for millions of items.
fn known_fields(row: &Row) -> &'static Names {
    static KNOWN: std::sync::OnceLock<BTreeMap<&'static str, Names>> = std::sync::OnceLock::new();
    static NONE: Names = (Vec::new(), Vec::new());
    KNOWN.get_or_init(|| ROWS.iter().map(|r| (r.key, fields(r))).collect()).get(row.key).unwrap_or(&NONE)
}

/// What an item says.
pub fn read(node: &Node) -> Result<Item, ReadError> {
    let fail = |path: &str, problem: String| ReadError { line: node.line_at(path), path: path.to_owned(), problem };
    let Value::Object(mut members) = node.to_json() else {
        return Err(fail("", "expected an object such as {\"kprobe\": \"do_unlinkat\"}".into()));
    };
    // Some words are keys of one kind and fields of another: the row that takes all fields is meant.
    let fits = |row: &&Row| {
        let (own, common) = known_fields(row);
        members.keys().all(|name| name == row.key || own.contains(name) || common.contains(name))
    };
    let has_key = |row: &&Row| members.contains_key(row.key);
    let row = ROWS.iter().filter(has_key).find(fits).or_else(|| ROWS.iter().find(has_key));
    let Some(row) = row else { return Err(fail("", unknown_kind(&members))) };
    let (own, common_names) = known_fields(row);
    let all = || own.iter().chain(common_names).map(String::as_str);
    if let Some(name) = members.keys().find(|name| *name != row.key && !all().any(|n| n == *name)) {
        let meant = match nearest(name, all()) {
            Some(like) => format!("did you mean `{like}`?"),
            None => format!("`{}` items have {}", row.key, all().collect::<Vec<_>>().join(", ")),
        };
        return Err(fail(name, format!("there is no such field; {meant}")));
    }
    let key = members.remove(row.key).unwrap_or_default();
    let (mut common, mut rest) = (Map::new(), Map::new());
    for (name, value) in members {
        let to = if own.contains(&name) { &mut rest } else { &mut common };
        to.insert(name, value);
    }
    let what = (row.read)(key, Value::Object(rest)).map_err(|(path, problem)| fail(&path, problem))?;
    let common = typed::<Common>(Value::Object(common), "").map_err(|(path, problem)| fail(&path, problem))?;
    let lines = matches!(node.value, crate::parse::Tree::Object(_)).then(|| Box::new(node.clone()));
    Ok(Item { line: node.line, key: row.key, what, common, node: lines })
}

fn unknown_kind(members: &Map<String, Value>) -> String {
    let keys = || ROWS.iter().map(|r| r.key);
    let like = members.keys().find_map(|name| nearest(name, keys()).map(|like| (name, like)));
    match like {
        Some((name, like)) => format!("`{name}`: there is no such event; did you mean `{like}`?"),
        None => format!("nothing says what it is; expected one of {}", keys().collect::<Vec<_>>().join(", ")),
    }
}

/// The JSON Schema of one item.
pub fn json_schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let mut kinds = Vec::new();
    for row in ROWS {
        let mut properties = Map::new();
        let mut of_key = (row.key_schema)(&mut generator).to_value();
        if let Some(object) = of_key.as_object_mut() {
            object.insert("description".into(), row.about.into());
        }
        properties.insert(row.key.into(), of_key);
        let mut required = vec![Value::from(row.key)];
        let common = row.is_event.then(|| Common::json_schema(&mut generator));
        for part in [Some((row.rest_schema)(&mut generator)), common].into_iter().flatten() {
            if let Some(Value::Object(fields)) = part.get("properties") {
                properties.extend(fields.clone());
            }
            if let Some(Value::Array(names)) = part.get("required") {
                required.extend(names.iter().cloned());
            }
        }
        kinds.push(json!({
            "title": row.key,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false
        }));
    }
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ebpfkit events: one item",
        "oneOf": kinds,
        "$defs": definitions
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, Items};

    fn error(text: &str) -> String {
        let node = Items::new(text.as_bytes(), Format::JsonLines).expect("lines").next().expect("one").expect("JSON");
        read(&node).expect_err("is wrong").to_string()
    }

    #[test]
    fn errors_name_the_field_and_what_was_meant() {
        assert_eq!(error(r#"{"kprobes": "f"}"#), "line 1: `kprobes`: there is no such event; did you mean `kprobe`?");
        assert_eq!(error(r#"{"kprobe": "f", "arg": 1}"#), "line 1: arg: there is no such field; did you mean `args`?");
        assert_eq!(error(r#"{"kprobe": 5}"#), "line 1: kprobe: integer `5`, expected a string");
        assert_eq!(error(r#"{"kprobe": "f", "cpu": "x"}"#), "line 1: cpu: string \"x\", expected u32");
        assert!(error(r#"{"time": "5 parsecs"}"#).starts_with("line 1: time: \"5 parsecs\"; expected a time"));
        assert!(error("7").contains("expected an object"));
        assert!(error(r#"{"kprobe": "f", "task": {"name": 1}}"#).starts_with("line 1: task"));
    }

    #[test]
    fn times() {
        assert_eq!(Time::parse("+1.5ms"), Some(Time::After(1_500_000)));
        assert_eq!(Time::parse("2 s"), Some(Time::At(2_000_000_000)));
        assert_eq!(Time::parse("5"), None);
    }
}
