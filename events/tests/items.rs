//! Every kind of item is read, and what is wrong with one is said with its line, its field and what was expected.

use ebpfkit_events::parse::{Format, Items};
use ebpfkit_events::schema::{self, Item, ROWS, What};

fn items(text: &str, format: Format) -> Vec<Result<Item, String>> {
    let nodes = Items::new(text.as_bytes(), format).unwrap_or_else(|e| panic!("{text}: {e}"));
    nodes.map(|node| node.and_then(|node| schema::read(&node)).map_err(|e| e.to_string())).collect()
}

fn item(text: &str) -> Item {
    match &mut items(text, Format::JsonLines)[..] {
        [Ok(item)] => item.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

fn error(text: &str) -> String {
    let found = items(text, Format::JsonLines).into_iter().find_map(Result::err);
    found.unwrap_or_else(|| panic!("{text}: nothing is wrong with it"))
}

/// One of each kind, with all fields of its own.
const ALL: &[(&str, &str)] = &[
    ("tracepoint", r#"{"tracepoint": "syscalls:sys_exit_openat", "args": {"dfd": -100}, "ret": 3}"#),
    ("kprobe", r#"{"kprobe": "do_unlinkat", "args": [-100, {"name": "/tmp/x"}], "ret": 0}"#),
    ("kretprobe", r#"{"kretprobe": "do_unlinkat", "ret": -2}"#),
    ("ksyscall", r#"{"ksyscall": "unlinkat", "args": {"dfd": -100}}"#),
    ("kretsyscall", r#"{"kretsyscall": "unlinkat", "ret": -13}"#),
    ("uprobe", r#"{"uprobe": "bash:readline", "args": ["text"]}"#),
    ("uretprobe", r#"{"uretprobe": "/bin/bash:readline", "ret": "ls"}"#),
    ("usdt", r#"{"usdt": "node:node:http__request", "args": [1, 2]}"#),
    ("fentry", r#"{"fentry": "tcp_connect", "args": [{"$id": "c", "$type": "tcp_sock"}]}"#),
    ("fexit", r#"{"fexit": "tcp_connect", "args": ["$c"], "ret": 0}"#),
    ("fmod_ret", r#"{"fmod_ret": "should_failslab", "args": {}}"#),
    ("raw_tracepoint", r#"{"raw_tracepoint": "sys_enter", "args": [0, 59]}"#),
    ("tp_btf", r#"{"tp_btf": "sched_switch", "args": {"preempt": true}}"#),
    ("lsm", r#"{"lsm": "file_open", "args": {"file": "/etc/passwd"}}"#),
    ("struct_ops", r#"{"struct_ops": "cubic.ssthresh", "args": [null]}"#),
    ("perf_event", r#"{"perf_event": {"sample_period": 1000, "addr": 1, "ip": 2, "counter": [1, 2, 3]}}"#),
    ("iter", r#"{"iter": "tcp", "elements": [{"sk_common": "tcp 192.0.2.1:80"}], "map": "m"}"#),
    ("syscall", r#"{"syscall": {"number": 1}}"#),
    ("packet", r#"{"packet": "00", "hook": "xdp", "device": "eth0", "number": 1, "fields": {"mark": 1}}"#),
    ("capture", r#"{"capture": "in.pcap", "number": 3}"#),
    (
        "connect4",
        r#"{"connect4": "10.0.0.1:80", "protocol": "tcp", "source": "10.0.0.2", "local": "10.0.0.2:1", "fields": {}}"#,
    ),
    ("connect6", r#"{"connect6": "[::1]:80"}"#),
    ("bind4", r#"{"bind4": "0.0.0.0:80"}"#),
    ("bind6", r#"{"bind6": "[::]:80"}"#),
    ("sendmsg4", r#"{"sendmsg4": "10.0.0.1:53"}"#),
    ("sendmsg6", r#"{"sendmsg6": "[::1]:53"}"#),
    ("recvmsg4", r#"{"recvmsg4": "10.0.0.1:53"}"#),
    ("recvmsg6", r#"{"recvmsg6": "[::1]:53"}"#),
    ("getpeername4", r#"{"getpeername4": "10.0.0.1:53"}"#),
    ("getpeername6", r#"{"getpeername6": "[::1]:53"}"#),
    ("getsockname4", r#"{"getsockname4": "10.0.0.1:53"}"#),
    ("getsockname6", r#"{"getsockname6": "[::1]:53"}"#),
    ("sock_create", r#"{"sock_create": {"family": "inet", "protocol": "icmp", "fields": {"mark": 1}}}"#),
    ("sock_release", r#"{"sock_release": {}}"#),
    ("post_bind4", r#"{"post_bind4": "10.0.0.1:80", "protocol": "tcp"}"#),
    ("post_bind6", r#"{"post_bind6": "[::1]:80"}"#),
    ("setsockopt", r#"{"setsockopt": "SO_MARK", "level": 1, "value": 7, "len": 4}"#),
    ("getsockopt", r#"{"getsockopt": 36, "value": "text:x", "ret": 0}"#),
    ("sysctl", r#"{"sysctl": "net/ipv4/ip_forward", "current": "0", "write": "1", "position": 0}"#),
    ("cgroup_device", r#"{"cgroup_device": "c 1:3", "access": "rw"}"#),
    ("sockops", r#"{"sockops": "rto", "local": "10.0.0.1:1", "remote": "10.0.0.2:2", "args": [1], "packet": "00"}"#),
    ("sk_msg", r#"{"sk_msg": "text:GET /", "local": "10.0.0.1:1", "remote": "10.0.0.2:2", "protocol": "tcp"}"#),
    ("sk_reuseport", r#"{"sk_reuseport": "udp 10.0.0.1:1 > 10.0.0.2:2", "fields": {"hash": 1}}"#),
    ("sk_lookup", r#"{"sk_lookup": "10.0.0.1:80", "remote": "10.0.0.2:2"}"#),
    ("lirc", r#"{"lirc": 16777716}"#),
    ("attach", r#"{"attach": "f", "to": "tcp_connect"}"#),
    ("variables", r#"{"variables": {"limit": 5}}"#),
    ("map", r#"{"map": "m", "set": [{"key": 1, "value": 2}], "delete": [3]}"#),
    ("mock", r#"{"mock": "bpf_task_from_pid", "return": null, "call": 2, "args": [7, null]}"#),
    ("records", r#"{"records": "ring", "fields": ["u32 pid"]}"#),
    ("new_task", r#"{"new_task": {"comm": "bash", "pid": 7, "tid": 8, "ppid": 1, "uid": 2, "gid": 3, "cgroup": 4}}"#),
    ("object", r#"{"object": {"$id": "x", "$type": "sock"}}"#),
    ("time", r#"{"time": "+5ms"}"#),
    ("expect", r#"{"expect": {"result": "allowed"}}"#),
];

#[test]
fn every_kind_is_read() {
    for (key, text) in ALL {
        assert_eq!(item(text).key, *key, "{text}");
    }
    let missing: Vec<&str> = ROWS.iter().map(|r| r.key).filter(|k| !ALL.iter().any(|(key, _)| key == k)).collect();
    assert!(missing.is_empty(), "no item here is of the kinds {missing:?}");
}

#[test]
fn every_event_may_say_where_it_happens() {
    let common = r#""task": {"comm": "a", "fields": {}}, "cpu": 1, "programs": ["f"], "at": "+1s", "cookie": 1,
        "kernel_stack": [1], "user_stack": [2], "note": "x""#;
    let common = common.replace('\n', " ");
    for (key, text) in ALL {
        let with = text.replacen('{', &format!("{{{common}, "), 1);
        let is_event = ROWS.iter().any(|r| r.key == *key && r.is_event);
        match &items(&with, Format::JsonLines)[..] {
            [Ok(item)] => assert!(is_event && item.common.cpu == Some(1), "{with}"),
            [Err(e)] => assert!(!is_event, "{with}: {e}"),
            other => panic!("{with}: {other:?}"),
        }
    }
}

#[test]
fn yaml_says_the_same() {
    let yaml = "# a remark\n- kprobe: do_unlinkat\n  args: [-100, {name: /tmp/x}]\n- time: +5ms\n";
    let read = items(yaml, Format::Yaml);
    let keys: Vec<&str> = read.iter().map(|i| i.as_ref().map_or("wrong", |i| i.key)).collect();
    assert_eq!(keys, ["kprobe", "time"]);
    let lines: Vec<usize> = read.iter().flatten().map(|i| i.line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn null_is_something_that_a_mock_gives() {
    let What::Mock(_, mock) = item(r#"{"mock": "f", "return": null}"#).what else { panic!("no mock") };
    assert!(mock.value.is_some());
    let What::Mock(_, mock) = item(r#"{"mock": "f", "errno": "EPERM"}"#).what else { panic!("no mock") };
    assert!(mock.value.is_none());
}

#[test]
fn what_is_wrong_is_said_with_line_field_and_expectation() {
    let cases = [
        ("{\"time\": 1}\n\n# remark\n{\"kprobe\": 1}", "line 4: kprobe: integer `1`, expected a string"),
        (r#"{"kprobe": "f", "task": {"pid": -1}}"#, "line 1: task"),
        (r#"{"packet": "00", "devise": "eth0"}"#, "line 1: devise: there is no such field; did you mean `device`?"),
        (r#"{"packet": "00", "fields": 1}"#, "line 1: fields: integer `1`, expected a map"),
        (r#"{"perf_event": {"counter": [1]}}"#, "line 1: perf_event.counter"),
        (r#"{"mock": "f", "call": "first"}"#, "line 1: call: string \"first\", expected u64"),
        (r#"{"mock": "f", "args": ["x"]}"#, "line 1: args[0]: string \"x\", expected i64"),
        (r#"{"iter": "tcp", "elements": {}}"#, "line 1: elements: map, expected a sequence"),
        (r#"{"connect4": "10.0.0.1:80", "source": "here"}"#, "line 1: source: invalid IP address syntax"),
        (r#"{"sock_create": "tcp"}"#, "line 1: sock_create: string \"tcp\", expected struct SockSpec"),
        (r#"{"attach": "f"}"#, "line 1: missing field `to`"),
        (r#"{"task": "bash"}"#, "line 1: "),
        ("{", "line 1: "),
        ("[1]", "line 1: expected an object"),
    ];
    for (text, expected) in cases {
        let found = error(text);
        assert!(found.starts_with(expected), "{text}\nsays     {found}\nexpected {expected}");
    }
}
