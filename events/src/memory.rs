//! Memory that pointers of events lead to: the kernel's structs, strings of processes. It is laid out by the kernel's
//! types at addresses that are the same in each run, with gaps between the objects, so that a read beyond one fails.

use crate::packet;
use ebpfkit_abi::net::ETH_HLEN;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_vm::show::{Mismatch, Pointers, Value, describe, member, write_untyped, write_with};
use ebpfkit_vm::{Image, Images, Space};
use std::collections::{BTreeMap, VecDeque};

/// Where the kernel's objects begin: in the part of the address space where a kernel on x86-64 has its own.
const KERNEL_START: u64 = 0xffff_8880_0000_1000;
/// Where the objects of processes begin.
const USER_START: u64 = 0x7f00_0000_1000;
/// Bytes that are left free between two objects, at least.
const GAP: u64 = 64;
/// Bytes of unnamed objects that are kept; of more, the oldest go.
const MAX_KEPT: usize = 64 << 20;
/// Most bytes of objects with a name, which are kept.
const MAX_NAMED: usize = 512 << 20;
/// Most bytes of all objects of one event.
const MAX_EVENT: usize = 64 << 20;
/// Strings are followed by zeros up to a multiple of so many bytes.
const STRING: usize = 256;
/// Deepest nesting of objects behind pointers.
const MAX_DEPTH: usize = 48;
/// Longest chain of folders in a path.
const MAX_FOLDERS: usize = 128;

/// The objects that there are.
#[derive(Debug, Default)]
pub struct Memory {
    /// Their bytes.
    pub images: Images,
    kernel_next: u64,
    user_next: u64,
    /// Objects without a name, oldest first, and their bytes.
    kept: VecDeque<(u64, usize)>,
    kept_bytes: usize,
    /// Bytes of those with a name.
    named_bytes: usize,
    /// Bytes that the current event has taken.
    taken: usize,
    /// Objects by name.
    named: BTreeMap<String, u64>,
    /// The path of a file that the current event has named last.
    pub path: Option<String>,
}

impl Memory {
    /// Begins an event: what it takes is counted from here.
    pub fn begin(&mut self) {
        self.taken = 0;
        self.path = None;
    }

    /// An address for so many bytes.
    fn allocate(&mut self, len: usize, space: Space, is_named: bool) -> Result<u64, Mismatch> {
        self.taken = self.taken.saturating_add(len);
        if self.taken > MAX_EVENT {
            return Err(Mismatch::new(format!("{} bytes of objects", self.taken), "at most 64 MiB in one event"));
        }
        let (next, start) = match space {
            Space::User => (&mut self.user_next, USER_START),
            _ => (&mut self.kernel_next, KERNEL_START),
        };
        if *next == 0 {
            *next = start;
        }
        let address = *next;
        *next += (len as u64).next_multiple_of(64) + GAP;
        if is_named {
            self.named_bytes += len;
            if self.named_bytes > MAX_NAMED {
                return Err(Mismatch::new("objects with names, files and tasks", "at most 512 MiB of them"));
            }
        } else {
            self.kept.push_back((address, len));
            self.kept_bytes += len;
            while self.kept_bytes > MAX_KEPT
                && let Some((old, len)) = self.kept.pop_front()
            {
                self.images.remove(old);
                self.kept_bytes -= len;
            }
        }
        Ok(address)
    }

    /// Puts bytes somewhere and gives their address.
    pub fn store(&mut self, bytes: Vec<u8>, space: Space) -> Result<u64, Mismatch> {
        let address = self.allocate(bytes.len(), space, false)?;
        self.images.insert(Image { address, bytes, writable: true, space });
        Ok(address)
    }

    /// How many objects have names.
    pub fn count_named(&self) -> usize {
        self.named.len()
    }

    /// The address of a named object.
    pub fn named(&self, name: &str) -> Option<u64> {
        self.named.get(name).copied()
    }
}

/// Lays out values by types.
pub struct Builder<'m> {
    /// Where the objects go.
    pub memory: &'m mut Memory,
    /// Which reads find strings.
    pub strings: Space,
    depth: usize,
}

impl<'m> Builder<'m> {
    /// A builder whose strings are found by reads of kernel and of user memory.
    pub fn new(memory: &'m mut Memory) -> Self {
        Self { memory, strings: Space::Any, depth: 0 }
    }

    /// The bytes of a value of a type.
    pub fn bytes(&mut self, btf: &Btf, ty: TypeId, value: &Value) -> Result<Vec<u8>, Mismatch> {
        let size = btf.size_of(ty).ok_or_else(|| Mismatch::new(describe(value), "a type with a size"))? as usize;
        let mut bytes = vec![0; size];
        write_with(btf, ty, value, &mut bytes, self)?;
        Ok(bytes)
    }

    /// An argument of a function in its register. `ty` is zero for one whose type is unknown.
    pub fn argument(&mut self, btf: Option<&Btf>, ty: TypeId, value: &Value) -> Result<u64, Mismatch> {
        let Some(btf) = btf.filter(|b| ty != 0 && b.size_of(ty).is_some_and(|s| (1..=8).contains(&s))) else {
            return self.untyped(btf, value);
        };
        let size = btf.size_of(ty).unwrap_or(8) as usize;
        let bytes = self.bytes(btf, ty, value)?;
        let mut word = [0; 8];
        word[..size].copy_from_slice(&bytes[..size]);
        let word = u64::from_ne_bytes(word);
        // Registers hold signed numbers with their sign.
        let signed = matches!(btf.get(btf.resolve(ty)), Some(Type::Int { encoding, .. }) if encoding.signed);
        let shift = 64 - 8 * size as u32;
        Ok(if signed { ((word << shift) as i64 >> shift) as u64 } else { word })
    }

    /// A register whose type is unknown: a number, a text that it points to, an object whose type is named with `$type`.
    fn untyped(&mut self, btf: Option<&Btf>, value: &Value) -> Result<u64, Mismatch> {
        match value {
            Value::Int(n) => Ok(*n as u64),
            Value::Bool(b) => Ok((*b).into()),
            Value::Pointer(p) => Ok(*p),
            Value::Text(text) => self.text(text),
            Value::Struct(members) if let Some(btf) = btf => {
                if let Some(address) = self.reference(members)? {
                    return Ok(address);
                }
                let ty = named_type(btf, members)?.ok_or_else(|| {
                    Mismatch::new("an object", "its type, as the kernel does not say: {\"$type\": \"file\", ...}")
                })?;
                self.object(btf, ty, ty, value)
            }
            other => Err(Mismatch::new(describe(other), "a number, a text or an object with its $type")),
        }
    }

    /// A text: an address where it is one (`0x1000`), a named object (`$name`), otherwise a string with its zero byte.
    fn text(&mut self, text: &str) -> Result<u64, Mismatch> {
        if let Some(address) = self.by_name(text)? {
            return Ok(address);
        }
        self.string(text)
    }

    fn string(&mut self, text: &str) -> Result<u64, Mismatch> {
        let mut bytes = text.as_bytes().to_vec();
        // Programs that copy as many bytes as their buffer has find more memory behind a text, as nearly always.
        bytes.resize((bytes.len() + 1).next_multiple_of(STRING), 0);
        let space = self.strings;
        self.memory.store(bytes, space)
    }

    /// What a text names: an address or an object.
    fn by_name(&self, text: &str) -> Result<Option<u64>, Mismatch> {
        if let Some(name) = text.strip_prefix('$') {
            let found = self.memory.named(name);
            return found.map(Some).ok_or_else(|| unknown_name(name, self.memory));
        }
        Ok(text.strip_prefix("0x").and_then(|t| u64::from_str_radix(t, 16).ok()))
    }

    /// The object that `{"$ref": "name"}` means.
    fn reference(&self, members: &[(String, Value)]) -> Result<Option<u64>, Mismatch> {
        let Some((_, value)) = members.iter().find(|(name, _)| name == "$ref") else { return Ok(None) };
        let Value::Text(name) = value else { return Err(Mismatch::new(describe(value), "an object's name")) };
        let name = name.trim_start_matches('$');
        self.memory.named(name).map(Some).ok_or_else(|| unknown_name(name, self.memory))
    }

    /// Lays out an object of a type; the answer is its address.
    pub fn pointee(&mut self, btf: &Btf, ty: TypeId, value: &Value) -> Result<u64, Mismatch> {
        self.object(btf, ty, ty, value)
    }

    /// Lays out an object that says its type with `$type`.
    pub fn declared(&mut self, btf: &Btf, value: &Value) -> Result<u64, Mismatch> {
        self.untyped(Some(btf), value)
    }

    /// Lays out an object that a pointer to `pointee` leads to, as a `ty`.
    fn object(&mut self, btf: &Btf, pointee: TypeId, ty: TypeId, value: &Value) -> Result<u64, Mismatch> {
        self.depth += 1;
        let laid_out = if self.depth > MAX_DEPTH {
            Err(Mismatch::new("objects behind objects", format!("at most {MAX_DEPTH} deep")))
        } else {
            self.lay_out(btf, pointee, ty, value)
        };
        self.depth -= 1;
        laid_out
    }

    fn lay_out(&mut self, btf: &Btf, pointee: TypeId, ty: TypeId, value: &Value) -> Result<u64, Mismatch> {
        let size = btf.size_of(ty).unwrap_or(0) as usize;
        let expanded = match value {
            Value::Text(text) => self.expand(btf, ty, text)?,
            _ => None,
        };
        let value = expanded.as_ref().unwrap_or(value);
        let (mut own, mut name) = (value.clone(), None);
        if let Value::Struct(members) = &mut own {
            if let Some(address) = self.reference(members)? {
                return Ok(address);
            }
            if let Some(at) = members.iter().position(|(n, _)| n == "$id") {
                let Value::Text(id) = members.remove(at).1 else {
                    return Err(Mismatch::new("$id", "an object's name"));
                };
                name = Some(id.trim_start_matches('$').to_owned());
            }
            members.retain(|(n, _)| n != "$type");
        }
        // An object that exists already gets what is said of it now.
        let known = name.as_ref().and_then(|n| self.memory.named(n));
        let known = known.filter(|a| self.memory.images.get(*a, size, Space::Any).is_some());
        let address = match known {
            Some(address) => address,
            None => {
                let address = self.memory.allocate(size, Space::Kernel, name.is_some())?;
                let image = Image { address, bytes: vec![0; size], writable: true, space: Space::Kernel };
                self.memory.images.insert(image);
                address
            }
        };
        if let Some(name) = name {
            self.memory.named.insert(name, address);
        }
        let mut bytes = self.memory.images.get(address, size, Space::Any).map(<[u8]>::to_vec).unwrap_or_default();
        self.fill(btf, (pointee, ty), own, &mut bytes)?;
        if let Some(target) = self.memory.images.get_mut(address, size) {
            target.copy_from_slice(&bytes);
        }
        Ok(address)
    }

    /// Writes a value that may name members of the larger struct and of the one at its start.
    fn fill(
        &mut self,
        btf: &Btf,
        (pointee, ty): (TypeId, TypeId),
        value: Value,
        bytes: &mut [u8],
    ) -> Result<(), Mismatch> {
        let inner = btf.size_of(pointee).unwrap_or(0) as usize;
        match value {
            Value::Struct(members) if pointee != ty && inner <= bytes.len() => {
                let (of_inner, of_outer): (Vec<_>, Vec<_>) =
                    members.into_iter().partition(|(name, _)| member(btf, pointee, name).is_some());
                write_with(btf, ty, &Value::Struct(of_outer), bytes, self)?;
                write_with(btf, pointee, &Value::Struct(of_inner), &mut bytes[..inner], self)
            }
            value => write_with(btf, ty, &value, bytes, self),
        }
    }

    /// A list behind a pointer: its elements one after the other. A list of texts ends with a null pointer, as the
    /// kernel's lists of arguments do.
    fn list(&mut self, btf: &Btf, element: TypeId, items: &[Value]) -> Result<u64, Mismatch> {
        let size = btf.size_of(element).unwrap_or(0) as usize;
        if size == 0 {
            return Err(Mismatch::new("a list", "elements of a type with a size"));
        }
        let ends = matches!(btf.get(btf.resolve(element)), Some(Type::Ptr(_)));
        let mut bytes = vec![0; size.saturating_mul(items.len() + usize::from(ends)).min(MAX_EVENT)];
        for (n, (item, part)) in items.iter().zip(bytes.chunks_exact_mut(size)).enumerate() {
            write_with(btf, element, item, part, self).map_err(|e| e.inside(&format!("[{n}]")))?;
        }
        let space = if ends { self.strings } else { Space::Any };
        self.memory.store(bytes, space)
    }
}

fn unknown_name(name: &str, memory: &Memory) -> Mismatch {
    let like = ebpfkit_object::nearest(name, memory.named.keys().map(String::as_str));
    let expected = match like {
        Some(like) => format!("the $id of an object before it, such as `{like}`"),
        None => "the $id of an object before it".into(),
    };
    Mismatch::new(format!("${name}"), expected)
}

/// The type that an object says it has.
fn named_type(btf: &Btf, members: &[(String, Value)]) -> Result<Option<TypeId>, Mismatch> {
    let Some((_, value)) = members.iter().find(|(name, _)| name == "$type") else { return Ok(None) };
    let Value::Text(text) = value else { return Err(Mismatch::new(describe(value), "a type's name")) };
    let (name, kinds): (&str, &[Kind]) = match text.split_once(' ') {
        Some(("struct", name)) => (name, &[Kind::Struct]),
        Some(("union", name)) => (name, &[Kind::Union]),
        _ => (text, &[Kind::Struct, Kind::Union, Kind::Typedef, Kind::Int]),
    };
    let found = kinds.iter().find_map(|kind| btf.find(name, *kind));
    found.map(Some).ok_or_else(|| Mismatch::new(format!("$type `{text}`"), "a type of the kernel"))
}

/// Whether a type is one byte, so that a pointer to it leads to a text.
pub fn is_byte(btf: &Btf, ty: TypeId) -> bool {
    matches!(btf.get(btf.resolve(ty)), Some(Type::Int { size: 1, .. }))
}

impl Pointers for Builder<'_> {
    fn address(&mut self, btf: &Btf, ty: TypeId, value: &Value) -> Result<Option<u64>, Mismatch> {
        let Some(Type::Ptr(pointee)) = btf.get(ty) else { return Ok(None) };
        match value {
            Value::Int(_) | Value::Pointer(_) => Ok(None),
            Value::Text(text) if is_byte(btf, pointee) && !text.starts_with('$') => self.string(text).map(Some),
            Value::Text(text) => {
                if let Some(address) = self.by_name(text)? {
                    return Ok(Some(address));
                }
                let target = btf.resolve(pointee);
                match btf.get(target) {
                    Some(Type::Struct(_) | Type::Union(_)) => match self.expand(btf, target, text)? {
                        Some(full) => self.object(btf, target, larger(btf, target, text), &full).map(Some),
                        None => {
                            Err(Mismatch::new(format!("{text:?}"), format!("an object, struct {}", btf.name(target))))
                        }
                    },
                    _ => self.string(text).map(Some),
                }
            }
            Value::Struct(members) => {
                if let Some(address) = self.reference(members)? {
                    return Ok(Some(address));
                }
                let target = btf.resolve(pointee);
                let ty = named_type(btf, members)?.unwrap_or(target);
                self.object(btf, if target == 0 { ty } else { target }, ty, value).map(Some)
            }
            Value::List(items) => self.list(btf, pointee, items).map(Some),
            Value::Address(_) => {
                let size = btf.size_of(pointee).unwrap_or(0) as usize;
                let mut bytes = vec![0; size];
                write_untyped(value, &mut bytes)?;
                self.memory.store(bytes, Space::Any).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn expand(&mut self, btf: &Btf, ty: TypeId, text: &str) -> Result<Option<Value>, Mismatch> {
        if matches!(btf.name(ty), "file" | "path") && text.starts_with('/') {
            self.memory.path = Some(text.to_owned());
        }
        match btf.name(ty) {
            "qstr" => Ok(Some(qstr(text))),
            "filename" => Ok(Some(object([("name", self::text(text)), ("uptr", self::text(text))]))),
            "path" => Ok(Some(object([("dentry", self::text(text)), ("mnt", object([("mnt_flags", Value::Int(0))]))]))),
            "dentry" => self.dentry(btf, text).map(Some),
            "inode" => Ok(Some(object([("$id", self::text(&format!("inode {text}"))), ("i_ino", number_of(text))]))),
            "file" => {
                let inode = if text.starts_with('/') { self::text(text) } else { Value::Pointer(0) };
                Ok(Some(object([("f_path", self::text(text)), ("f_inode", inode)])))
            }
            "cgroup" => Ok(Some(object([("kn", object([("name", self::text(text))]))]))),
            "sock" | "sock_common" => socket(btf, ty, text).map(Some),
            "sk_buff" => self.packet(btf, text).map(Some),
            _ => Ok(None),
        }
    }
}

/// The type that an object of a short form really has: sockets of TCP are larger than what all sockets share.
fn larger(btf: &Btf, ty: TypeId, text: &str) -> TypeId {
    let name = match (btf.name(ty), text.split(' ').next()) {
        ("sock" | "sock_common", Some("tcp")) => "tcp_sock",
        ("sock" | "sock_common", Some("udp")) => "udp_sock",
        _ => return ty,
    };
    btf.find(name, Kind::Struct).unwrap_or(ty)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn qstr(name: &str) -> Value {
    object([("name", text(name)), ("len", Value::Int(name.len() as i128))])
}

/// A number for a file that is the same in each run (FNV-1a).
fn number_of(path: &str) -> Value {
    let hash = path.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    Value::Int((hash | 1).into())
}

impl Builder<'_> {
    /// A file's name in its folder, with the folders above it up to the root, which is its own parent.
    fn dentry(&mut self, btf: &Btf, path: &str) -> Result<Value, Mismatch> {
        let has_inode = member(btf, btf.find("dentry", Kind::Struct).unwrap_or(0), "d_inode").is_some();
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        if parts.len() > MAX_FOLDERS {
            return Err(Mismatch::new(format!("{} folders", parts.len()), format!("at most {MAX_FOLDERS}")));
        }
        let entry = |path: &str, name: &str, parent: Value| {
            let Value::Struct(mut members) =
                object([("$id", text(&format!("dentry {path}"))), ("d_name", qstr(name)), ("d_parent", parent)])
            else {
                return Value::Pointer(0);
            };
            if has_inode {
                members.push(("d_inode".into(), text(path)));
            }
            Value::Struct(members)
        };
        let Some(ty) = btf.find("dentry", Kind::Struct) else {
            return Err(Mismatch::new("a path", "struct dentry among the kernel's types"));
        };
        let mut parent = if path.starts_with('/') {
            // By its name, which it has before its members are written.
            self.object(btf, ty, ty, &entry("/", "/", text("$dentry /")))?
        } else {
            0
        };
        let mut full = String::new();
        for (n, name) in parts.iter().enumerate() {
            if n != 0 || path.starts_with('/') {
                full.push('/');
            }
            full += name;
            let value = entry(&full, name, Value::Pointer(parent));
            if n + 1 == parts.len() {
                return Ok(value);
            }
            parent = self.object(btf, ty, ty, &value)?;
        }
        Ok(entry("/", "/", text("$dentry /")))
    }

    /// A packet as the kernel keeps it: its bytes behind `head`, its headers by their offsets.
    fn packet(&mut self, btf: &Btf, description: &str) -> Result<Value, Mismatch> {
        let frame = packet::frame(description).map_err(|e| Mismatch::new(format!("{description:?}"), e))?;
        self.packet_of(btf, &frame)
    }

    /// A frame as a `struct sk_buff`.
    pub fn packet_of(&mut self, btf: &Btf, frame: &[u8]) -> Result<Value, Mismatch> {
        const HEADROOM: usize = 64;
        let mut bytes = vec![0; HEADROOM];
        bytes.extend_from_slice(frame);
        let head = self.memory.store(bytes, Space::Kernel)?;
        let protocol = frame.get(12..14).map_or(0, |p| u16::from_ne_bytes([p[0], p[1]]));
        let header = match frame.get(14) {
            Some(v) if v >> 4 == 4 => usize::from(v & 15) * 4,
            Some(v) if v >> 4 == 6 => 40,
            _ => 0,
        };
        let network = HEADROOM + ETH_HLEN.min(frame.len());
        let number = |n: usize| Value::Int(n as i128);
        let ends = |n: usize| number(HEADROOM + n);
        let is_offset = !matches!(
            member(btf, btf.find("sk_buff", Kind::Struct).unwrap_or(0), "end").map(|m| btf.get(btf.resolve(m.ty))),
            Some(Some(Type::Ptr(_)))
        );
        let mut members = vec![
            ("head", Value::Pointer(head)),
            ("data", Value::Pointer(head + network as u64)),
            ("len", number(frame.len().saturating_sub(ETH_HLEN))),
            ("protocol", Value::Int(protocol.into())),
            ("mac_header", number(HEADROOM)),
            ("network_header", number(network)),
            ("transport_header", number(network + header)),
            ("mac_len", number(ETH_HLEN)),
        ];
        if is_offset {
            members.extend([("tail", ends(frame.len())), ("end", ends(frame.len()))]);
        }
        Ok(Value::Struct(members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()))
    }
}

/// A socket in short: `tcp 192.0.2.1:40000 > 198.51.100.1:443 established`.
fn socket(btf: &Btf, ty: TypeId, text: &str) -> Result<Value, Mismatch> {
    const STATES: [&str; 12] = [
        "established",
        "syn_sent",
        "syn_recv",
        "fin_wait1",
        "fin_wait2",
        "time_wait",
        "close",
        "close_wait",
        "last_ack",
        "listen",
        "closing",
        "new_syn_recv",
    ];
    let wrong = || {
        Mismatch::new(
            format!("{text:?}"),
            "a socket such as \"tcp 192.0.2.1:40000 > 198.51.100.1:443 established\", or an object",
        )
    };
    let mut words = text.split_whitespace();
    let tcp = match words.next() {
        Some("tcp") => true,
        Some("udp") => false,
        _ => return Err(wrong()),
    };
    let local: std::net::SocketAddr = words.next().and_then(|w| w.parse().ok()).ok_or_else(wrong)?;
    let mut word = words.next();
    let mut remote: Option<std::net::SocketAddr> = None;
    if word == Some(">") {
        remote = Some(words.next().and_then(|w| w.parse().ok()).ok_or_else(wrong)?);
        word = words.next();
    }
    let state = match word {
        Some(name) => 1 + STATES.iter().position(|s| *s == name).ok_or_else(wrong)?,
        None if remote.is_some() => 1,
        None if tcp => 10,
        None => 7,
    };
    let (own, peer) =
        if local.is_ipv4() { ("skc_rcv_saddr", "skc_daddr") } else { ("skc_v6_rcv_saddr", "skc_v6_daddr") };
    let mut common = vec![
        ("skc_family".to_owned(), Value::Int(if local.is_ipv4() { 2 } else { 10 })),
        ("skc_state".to_owned(), Value::Int(state as i128)),
        ("skc_num".to_owned(), Value::Int(local.port().into())),
        (own.to_owned(), Value::Address(local.ip())),
    ];
    if let Some(remote) = remote {
        common.push((peer.to_owned(), Value::Address(remote.ip())));
        common.push(("skc_dport".to_owned(), Value::Int(u16::from_ne_bytes(remote.port().to_be_bytes()).into())));
    }
    if btf.name(ty) == "sock_common" {
        return Ok(Value::Struct(common));
    }
    Ok(object([
        ("__sk_common", Value::Struct(common)),
        ("sk_protocol", Value::Int(if tcp { 6 } else { 17 })),
        ("sk_type", Value::Int(if tcp { 1 } else { 2 })),
    ]))
}
