//! What a file of events may say: one schema, from which files are read and the published JSON Schema is made.
//!
//! An item is an object. One of its fields says what it is (`tracepoint`, `packet`, `map`...); [`ROWS`] lists these. The
//! others belong to that, or to every event ([`Common`]).

mod values;

pub use values::*;

use crate::parse::{Node, ReadError};
use ebpfkit_object::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

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
}
