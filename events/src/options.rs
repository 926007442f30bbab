//! Names of socket options, of operations on TCP connections, and bytes as people write them.

use crate::packet;
use crate::schema::Constant;

/// Levels of socket options.
const LEVELS: &[(&str, i64)] = &[
    ("IPPROTO_IP", 0),
    ("SOL_IP", 0),
    ("SOL_SOCKET", 1),
    ("IPPROTO_TCP", 6),
    ("SOL_TCP", 6),
    ("IPPROTO_UDP", 17),
    ("IPPROTO_IPV6", 41),
    ("SOL_IPV6", 41),
];

/// Options: name, level, number.
#[rustfmt::skip]
const OPTIONS: &[(&str, i64, i64)] = &[
    ("SO_DEBUG", 1, 1), ("SO_REUSEADDR", 1, 2), ("SO_TYPE", 1, 3), ("SO_ERROR", 1, 4), ("SO_DONTROUTE", 1, 5),
    ("SO_BROADCAST", 1, 6), ("SO_SNDBUF", 1, 7), ("SO_RCVBUF", 1, 8), ("SO_KEEPALIVE", 1, 9), ("SO_OOBINLINE", 1, 10),
    ("SO_PRIORITY", 1, 12), ("SO_LINGER", 1, 13), ("SO_REUSEPORT", 1, 15), ("SO_RCVLOWAT", 1, 18),
    ("SO_RCVTIMEO", 1, 20), ("SO_SNDTIMEO", 1, 21), ("SO_BINDTODEVICE", 1, 25), ("SO_ATTACH_FILTER", 1, 26),
    ("SO_PEERNAME", 1, 28), ("SO_TIMESTAMP", 1, 29), ("SO_SNDBUFFORCE", 1, 32), ("SO_RCVBUFFORCE", 1, 33),
    ("SO_MARK", 1, 36), ("SO_BUSY_POLL", 1, 46), ("SO_MAX_PACING_RATE", 1, 47), ("SO_INCOMING_CPU", 1, 49),
    ("SO_ATTACH_BPF", 1, 50), ("SO_ZEROCOPY", 1, 60), ("SO_TXTIME", 1, 61), ("SO_BINDTOIFINDEX", 1, 62),
    ("IP_TOS", 0, 1), ("IP_TTL", 0, 2), ("IP_HDRINCL", 0, 3), ("IP_OPTIONS", 0, 4), ("IP_RECVOPTS", 0, 6),
    ("IP_PKTINFO", 0, 8), ("IP_MTU_DISCOVER", 0, 10), ("IP_TRANSPARENT", 0, 19), ("IP_BIND_ADDRESS_NO_PORT", 0, 24),
    ("IP_MULTICAST_TTL", 0, 33), ("IP_MULTICAST_LOOP", 0, 34), ("IP_ADD_MEMBERSHIP", 0, 35),
    ("TCP_NODELAY", 6, 1), ("TCP_MAXSEG", 6, 2), ("TCP_CORK", 6, 3), ("TCP_KEEPIDLE", 6, 4), ("TCP_KEEPINTVL", 6, 5),
    ("TCP_KEEPCNT", 6, 6), ("TCP_SYNCNT", 6, 7), ("TCP_LINGER2", 6, 8), ("TCP_DEFER_ACCEPT", 6, 9),
    ("TCP_WINDOW_CLAMP", 6, 10), ("TCP_INFO", 6, 11), ("TCP_QUICKACK", 6, 12), ("TCP_CONGESTION", 6, 13),
    ("TCP_USER_TIMEOUT", 6, 18), ("TCP_FASTOPEN", 6, 23), ("TCP_NOTSENT_LOWAT", 6, 25), ("TCP_SAVE_SYN", 6, 27),
    ("TCP_FASTOPEN_CONNECT", 6, 30), ("TCP_ULP", 6, 31),
    ("IPV6_UNICAST_HOPS", 41, 16), ("IPV6_V6ONLY", 41, 26), ("IPV6_RECVPKTINFO", 41, 49), ("IPV6_TCLASS", 41, 67),
];

/// Operations on TCP connections.
const OPERATIONS: &[(&str, u64)] = &[
    ("timeout_init", 1),
    ("rwnd_init", 2),
    ("tcp_connect", 3),
    ("active_established", 4),
    ("passive_established", 5),
    ("needs_ecn", 6),
    ("base_rtt", 7),
    ("rto", 8),
    ("retrans", 9),
    ("state", 10),
    ("tcp_listen", 11),
    ("rtt", 12),
    ("parse_hdr_opt", 13),
    ("hdr_opt_len", 14),
    ("write_hdr_opt", 15),
];

fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    ebpfkit_object::nearest(name, names).map_or_else(String::new, |like| format!("; did you mean `{like}`?"))
}

/// Level and number of an option.
pub fn find(option: &Constant, level: Option<&Constant>) -> Result<(i64, i64), String> {
    let level = match level {
        None => None,
        Some(Constant::Number(n)) => Some(*n),
        Some(Constant::Name(name)) => {
            let found = LEVELS.iter().find(|(n, _)| n == name).map(|(_, n)| *n);
            let wrong = || format!("level: `{name}` is unknown{}", nearest(name, LEVELS.iter().map(|l| l.0)));
            Some(found.ok_or_else(wrong)?)
        }
    };
    match option {
        Constant::Number(n) => Ok((level.ok_or("level: an option by its number needs its level")?, *n)),
        Constant::Name(name) => {
            let found = OPTIONS.iter().find(|(n, ..)| n == name);
            let wrong = || format!("the option `{name}` is unknown{}", nearest(name, OPTIONS.iter().map(|o| o.0)));
            let (_, of, number) = found.ok_or_else(wrong)?;
            Ok((level.unwrap_or(*of), *number))
        }
    }
}

/// The number of an operation.
pub fn sockops(op: &Constant) -> Result<u64, String> {
    match op {
        Constant::Number(n) => Ok(*n as u64),
        Constant::Name(name) => {
            let name = name.to_ascii_lowercase();
            let short = name.trim_start_matches("bpf_sock_ops_").trim_end_matches("_cb");
            let found = OPERATIONS.iter().find(|(n, _)| *n == short || n.trim_end_matches("_cb") == short);
            let wrong = || format!("sockops: `{name}` is unknown{}", nearest(short, OPERATIONS.iter().map(|o| o.0)));
            found.map(|(_, n)| *n).ok_or_else(wrong)
        }
    }
}

/// Most bytes of an option's value.
const MAX_VALUE: usize = 65536;

/// The bytes of an option's value.
pub fn bytes(value: Option<&Constant>, len: Option<u32>) -> Result<Vec<u8>, String> {
    let mut bytes = match value {
        None => Vec::new(),
        Some(Constant::Number(n)) => (*n as u32).to_ne_bytes().to_vec(),
        Some(Constant::Name(text)) => payload(text).map_err(|e| format!("value: {e}"))?,
    };
    let len = len.map_or(bytes.len(), |n| n as usize).max(bytes.len());
    if len > MAX_VALUE {
        return Err(format!("len: {len}; at most {MAX_VALUE} bytes"));
    }
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Bytes that people write: `text:` and a text, hexadecimal digits, or a packet in words.
pub fn payload(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix("text:") {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => packet::frame(text)
            .map_err(|_| format!("\"{text}\"; expected hexadecimal bytes, or a text with `text:` before it")),
    }
}
