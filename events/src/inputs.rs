//! What events give to programs: contexts, and packets and sockets around them.

use crate::calls::{self, Prototype};
use crate::fields;
use crate::hooks::{self, PacketHook};
use crate::memory::Builder;
use crate::packet;
use crate::schema::{Item, MapSet, PacketAt, Typed, What};
use crate::session::Session;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::helpers::attach_socket;
use ebpfkit_vm::input::{Origin, set_frame};
use ebpfkit_vm::show::Value;
use ebpfkit_vm::{Run, Socket, Space, hex};
use std::net::SocketAddr;

/// Most sockets that are told apart.
const MAX_SOCKETS: usize = 65536;
/// Longest packet of an event, in bytes.
const MAX_FRAME: usize = 65535;
/// `/proc/sys` values are at most a page.
const MAX_SYSCTL: usize = 4096;

/// What all programs of an event get alike.
pub enum Input {
    /// A context of plain bytes.
    Plain(Vec<u8>),
    /// What a tracepoint's record says; its layout depends on the program.
    Record,
    /// A frame.
    Frame(Vec<u8>),
    /// The fields of a struct, from the item.
    Fields,
}

impl Session<'_> {
    /// What an event gives to all its programs.
    pub(crate) fn input(&mut self, item: &Item, hook: Option<&PacketHook>) -> Result<Input, String> {
        let types = self.types.clone();
        let btf = types.as_deref();
        let mut builder = Builder::new(&mut self.memory);
        Ok(match &item.what {
            What::Call(to, call) => match item.key {
                "fentry" | "fexit" | "fmod_ret" | "tp_btf" | "raw_tracepoint" | "lsm" | "struct_ops" => {
                    let prototype = match item.key {
                        "tp_btf" | "raw_tracepoint" => Prototype::of_tracepoint(btf, to),
                        "lsm" => Prototype::of_function(btf, &format!("bpf_lsm_{to}")),
                        "struct_ops" => self::member_prototype(self.object, btf, to),
                        _ => Prototype::of_function(btf, to),
                    };
                    let mut words = prototype.words(btf, call.args.as_ref(), &mut builder)?;
                    if matches!(item.key, "fexit" | "fmod_ret" | "lsm") {
                        words.push(prototype.returned(btf, call.ret.as_ref(), &mut builder)?);
                    }
                    Input::Plain(words.iter().flat_map(|w| w.to_ne_bytes()).collect())
                }
                key => Input::Plain(calls::registers(key, to, btf, call, &mut builder)?),
            },
            What::Tracepoint(..) => Input::Record,
            What::PerfEvent(sample) => {
                self.world.perf_event = sample.counter;
                Input::Plain(calls::sample(sample.ip, sample.sample_period, sample.addr))
            }
            What::Lirc(n, _) => Input::Plain(n.to_ne_bytes().to_vec()),
            What::Packet(text, at) => {
                let mut frame = packet::frame(text).map_err(|e| format!("packet: {e}"))?;
                if frame.len() > MAX_FRAME {
                    return Err(format!("packet: {} bytes; at most {MAX_FRAME}", frame.len()));
                }
                if let Some(name) = &at.device
                    && !self.world.devices.iter().any(|d| d.name == *name)
                {
                    // Devices get the index that comes next.
                    let index = self.world.devices.iter().map(|d| d.index).max().unwrap_or(0) + 1;
                    let device = ebpfkit_vm::Device { index, name: name.clone(), mtu: 1500, ..Default::default() };
                    self.world.devices.push(device);
                }
                if hook.is_some_and(|h| h.name == "netfilter") {
                    return self.netfilter(at, &frame);
                }
                if hook.is_some_and(|h| h.name.starts_with("sk-skb")) && !text.starts_with(['t', 'u', 'i']) {
                    // Programs see bytes of the stream; what is written in words is a packet around them.
                    frame.splice(0..0, [0; 14]);
                }
                Input::Frame(frame)
            }
            What::Syscall(..) => Input::Record,
            _ => Input::Fields,
        })
    }

    /// The structs that a netfilter program gets, around a packet.
    fn netfilter(&mut self, at: &PacketAt, frame: &[u8]) -> Result<Input, String> {
        let types = self.types.clone();
        let btf = types.as_deref().ok_or("netfilter: no types are known")?;
        let fail = |e: ebpfkit_vm::show::Mismatch| e.to_string();
        let mut builder = Builder::new(&mut self.memory);
        let skb = builder.packet_of(btf, frame).map_err(fail)?;
        let find = |name: &str| btf.find(name, Kind::Struct).ok_or_else(|| format!("no struct {name} among the types"));
        let skb = builder.pointee(btf, find("sk_buff")?, &skb).map_err(fail)?;
        let ipv6 = frame.get(12..14) == Some(&[0x86, 0xdd]);
        let mut state = vec![("pf".to_owned(), Value::Int(if ipv6 { 10 } else { 2 }))];
        for (name, value) in at.fields.iter().flatten() {
            state.push((name.clone(), value.0.clone()));
        }
        let state = Value::Struct(state);
        let state = builder.pointee(btf, find("nf_hook_state")?, &state).map_err(|e| e.inside("fields").to_string())?;
        Ok(Input::Plain([state, skb].iter().flat_map(|w| w.to_ne_bytes()).collect()))
    }

    /// Puts an event's input into a run; the answer is the context as it was before.
    pub(crate) fn set_up(
        &mut self,
        item: &Item,
        hook: Option<&PacketHook>,
        n: usize,
        input: &Input,
        run: &mut Run,
    ) -> Result<Vec<u8>, String> {
        run.begin_event(0);
        match input {
            Input::Plain(bytes) => {
                run.set_ctx(bytes);
                if item.key == "usdt" {
                    self.set_usdt(item, n)?;
                }
                if let (What::Packet(text, _), Some("netfilter")) = (&item.what, hook.map(|h| h.name)) {
                    let frame = packet::frame(text).unwrap_or_default();
                    run.set_packet(frame.get(14..).unwrap_or_default());
                }
            }
            Input::Record => {
                let bytes = self.record(item, n)?;
                run.set_ctx(&bytes);
                return Ok(bytes);
            }
            Input::Frame(frame) => {
                let What::Packet(_, at) = &item.what else { return Ok(Vec::new()) };
                let index = at
                    .device
                    .as_ref()
                    .map_or(1, |name| self.world.devices.iter().find(|d| d.name == *name).map_or(1, |d| d.index));
                // Nothing is left of the packet before.
                let size = run.ctx().layout().layout().map_or(0, |l| usize::from(l.size));
                run.set_ctx(&vec![0; size]);
                run.set_ctx_field("ingress_ifindex", index.into());
                run.set_ctx_field("ifindex", index.into());
                self.enter(run);
                set_frame(run, self.object.programs[n].prog_type, Origin::Wire, frame);
                self.leave(run);
                for (name, value) in at.fields.iter().flatten() {
                    fields::set(run, name, &value.0)?;
                }
            }
            Input::Fields => self.set_fields(item, run)?,
        }
        Ok(fields::snapshot(run))
    }

    /// The context of a program whose own types say how it is laid out.
    fn record(&mut self, item: &Item, n: usize) -> Result<Vec<u8>, String> {
        let program = &self.object.programs[n];
        let own = self.object.btf.as_deref();
        let context = own.and_then(|btf| Some((btf, context_type(btf, program)?)));
        let types = self.types.clone();
        match &item.what {
            What::Tracepoint(name, record) => {
                let layout = calls::layout(name, types.as_deref(), context)?;
                calls::record(&layout, types.as_deref(), record, &mut self.memory)
            }
            What::Syscall(Typed(value), _) => {
                let Some((btf, ty)) = context else {
                    return match value {
                        Value::Pointer(0) => Ok(Vec::new()),
                        _ => Err("syscall: the program does not say what its context is; give null".into()),
                    };
                };
                let mut builder = Builder::new(&mut self.memory);
                match value {
                    Value::Pointer(0) => Ok(vec![0; btf.size_of(ty).unwrap_or(0) as usize]),
                    value => builder.bytes(btf, ty, value).map_err(|e| e.inside("syscall").to_string()),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Says to libbpf's part of a program where the arguments of a static probe are: they are constants here.
    fn set_usdt(&mut self, item: &Item, n: usize) -> Result<(), String> {
        let What::Call(_, call) = &item.what else { return Ok(()) };
        let mut builder = Builder::new(&mut self.memory);
        builder.strings = Space::User;
        let words = Prototype::default().words(None, call.args.as_ref(), &mut builder)?;
        // Specifications are found by the cookie of the link, or by the address of the probe on kernels without them.
        self.world.attach_cookie = n as u64;
        crate::maps::set_usdt(self.object, &self.instance, n as u32, &words, item.common.cookie.unwrap_or(0))
    }

    /// Contents of a map whose values are sockets, with cookies in the place of their descriptions.
    pub(crate) fn with_sockets(&mut self, name: &str, set: &MapSet) -> Result<MapSet, String> {
        use ebpfkit_abi::MapType as M;
        let mut set = set.clone();
        let kinds = [M::Sockmap, M::Sockhash, M::ReuseportSockarray];
        if !self.object.maps.iter().any(|m| m.name == name && kinds.contains(&m.map_type)) {
            return Ok(set);
        }
        let values = match &mut set.set {
            Some(serde_json::Value::Array(entries)) => entries.iter_mut().filter_map(|e| e.get_mut("value")).collect(),
            Some(serde_json::Value::Object(entries)) => entries.values_mut().collect(),
            _ => Vec::new(),
        };
        for value in values {
            if let Some(text) = value.as_str() {
                let (tcp, local, remote) = fields::socket(text)?;
                let number = self.socket(Some(local), remote, tcp).unwrap_or(0);
                *value = (number as u64 + 1).into();
            }
        }
        Ok(set)
    }

    /// The number of a socket of the world between two ends, which is added where it is new.
    fn socket(&mut self, local: Option<SocketAddr>, remote: Option<SocketAddr>, tcp: bool) -> Option<usize> {
        let local = local.or_else(|| remote.map(|r| SocketAddr::new(unspecified(r), 0)))?;
        let found = self.world.sockets.iter().position(|s| s.local == local && s.remote == remote && s.tcp == tcp);
        if found.is_none() && self.world.sockets.len() >= MAX_SOCKETS {
            return None;
        }
        Some(found.unwrap_or_else(|| {
            let uid = self.world.task.uid;
            self.world.sockets.push(Socket { local, remote, tcp, cookie: 0, uid, mark: 0, device: 0 });
            self.world.sockets.len() - 1
        }))
    }

    /// Sets the fields of a context that is a struct.
    fn set_fields(&mut self, item: &Item, run: &mut Run) -> Result<(), String> {
        let end = |name: &str, text: &Option<String>| text.as_ref().map(|t| fields::end(name, t)).transpose();
        let size = run.ctx().layout().layout().map_or(0, |l| usize::from(l.size));
        run.set_ctx(&vec![0; size]);
        let mut more = None;
        match &item.what {
            What::Address(text, address) => {
                let to = fields::end(item.key, text)?;
                let by_key = if item.key.ends_with('4') { to.is_ipv4() } else { to.is_ipv6() };
                if !by_key {
                    return Err(format!("{}: \"{text}\" is an address of the other family", item.key));
                }
                let protocol = match (&address.protocol, item.key) {
                    (Some(p), _) => p.as_str(),
                    (None, "sendmsg4" | "sendmsg6" | "recvmsg4" | "recvmsg6") => "udp",
                    (None, _) => "tcp",
                };
                fields::set_user(run, to, protocol, address.source)?;
                let local = end("local", &address.local)?;
                // A socket stays the same whatever it is connected to; one of which nothing is said is told from others by
                // where it leads.
                self.attach(run, local, Some(to).filter(|_| local.is_none()), protocol == "tcp");
                more = address.fields.as_ref();
            }
            What::Socket(spec, _) => {
                let ipv6 = family(spec.family.as_deref())?;
                fields::set_sock(run, ipv6, spec.protocol.as_deref().unwrap_or("tcp"), None)?;
                more = spec.fields.as_ref();
            }
            What::Bound(text, spec) => {
                let bound = fields::end(item.key, text)?;
                fields::set_sock(run, bound.is_ipv6(), spec.protocol.as_deref().unwrap_or("tcp"), Some(bound))?;
                more = spec.fields.as_ref();
            }
            What::Option(name, option) => {
                let (level, number) = crate::options::find(name, option.level.as_ref())?;
                let value = crate::options::bytes(option.value.as_ref(), option.len)?;
                run.set_ctx_field("level", level as u64);
                run.set_ctx_field("optname", number as u64);
                run.set_ctx_field("optlen", option.len.map_or(value.len() as u64, u64::from));
                run.set_ctx_field("retval", option.ret.unwrap_or(0) as u64);
                run.set_option_value(&value);
                run.begin_event(option.ret.unwrap_or(0));
            }
            What::Sysctl(name, access) => {
                let bytes = |text: &String| {
                    let bytes = text.as_bytes().to_vec();
                    if bytes.len() > MAX_SYSCTL {
                        Err("sysctl: a value has at most 4096 bytes".to_owned())
                    } else {
                        Ok(bytes)
                    }
                };
                self.world.sysctl = ebpfkit_vm::Sysctl {
                    name: name.clone(),
                    current: access.current.as_ref().map(bytes).transpose()?.unwrap_or_default(),
                    new: access.write.as_ref().map(bytes).transpose()?,
                };
                run.set_ctx_field("write", access.write.is_some().into());
                run.set_ctx_field("file_pos", access.position.into());
            }
            What::Device(text, access) => {
                let (kind, major, minor) = device(text)?;
                let mut bits = 0;
                for c in access.access.chars() {
                    bits |= match c {
                        'm' => 1,
                        'r' => 2,
                        'w' => 4,
                        c => return Err(format!("access: `{c}`; expected r, w, m")),
                    };
                }
                run.set_ctx_field("access_type", bits << 16 | kind);
                run.set_ctx_field("major", major);
                run.set_ctx_field("minor", minor);
            }
            What::SockOps(op, ops) => {
                let op = crate::options::sockops(op)?;
                let (local, remote) = (end("local", &ops.local)?, end("remote", &ops.remote)?);
                run.set_ctx_field("op", op);
                run.set_ctx_field("is_fullsock", 1);
                for (n, arg) in ops.args.iter().enumerate().take(4) {
                    run.set_ctx_element("args", n, (*arg).into());
                }
                fields::set_ends(run, local, remote);
                if let Some(text) = &ops.packet {
                    let frame = packet::frame(text).map_err(|e| format!("packet: {e}"))?;
                    run.set_packet(&frame);
                    run.set_ctx_field("skb_len", frame.len() as u64);
                }
                self.attach(run, local, remote, true);
                more = ops.fields.as_ref();
            }
            What::Data(text, data) => {
                let (mut local, mut remote) = (end("local", &data.local)?, end("remote", &data.remote)?);
                let (bytes, frame) = match packet::is_described(text) {
                    true if item.key == "sk_msg" => {
                        return Err("sk_msg: a message is bytes, or `text:` and a text; it has no headers".into());
                    }
                    true => (Vec::new(), Some(packet::frame(text).map_err(|e| format!("{}: {e}", item.key))?)),
                    false => (crate::options::payload(text).map_err(|e| format!("{}: {e}", item.key))?, None),
                };
                let said = data.protocol.as_deref();
                let protocol = match &frame {
                    Some(_) => text.split(' ').next().unwrap_or("udp"),
                    None => said.unwrap_or(if item.key == "sk_msg" { "tcp" } else { "udp" }),
                };
                // Who chooses a socket sees the packet from its transport header on.
                let frame = match (frame, local, remote) {
                    (None, Some(to), Some(from)) if item.key == "sk_reuseport" => {
                        let hex = hex::encode(&bytes);
                        let payload = if hex.is_empty() { String::new() } else { format!(" hex {hex}") };
                        packet::frame(&format!("{protocol} {from} > {to}{payload}")).ok()
                    }
                    (frame, ..) => frame,
                };
                let bytes = match &frame {
                    Some(frame) => {
                        let ends = packet::ends(frame);
                        local = local.or(ends.map(|(_, to)| to));
                        remote = remote.or(ends.map(|(from, _)| from));
                        let transport = packet::transport(frame);
                        run.set_transport(frame, transport);
                        frame[transport.min(frame.len())..].to_vec()
                    }
                    None => {
                        run.set_packet(&bytes);
                        bytes
                    }
                };
                let (number, _) = fields::protocol(protocol)?;
                fields::set_ends(run, local, remote);
                for (name, value) in
                    [("size", bytes.len() as u64), ("len", bytes.len() as u64), ("ip_protocol", number)]
                {
                    run.set_ctx_field(name, value);
                }
                let ipv6 = local.or(remote).is_some_and(|e| e.is_ipv6());
                let ethertype: u16 = if ipv6 { 0x86dd } else { 0x0800 };
                run.set_ctx_field("eth_protocol", u16::from_ne_bytes(ethertype.to_be_bytes()).into());
                self.attach(run, local, remote, protocol == "tcp");
                more = data.fields.as_ref();
            }
            What::Lookup(text, data) => {
                let local = fields::end(item.key, text)?;
                let remote = end("remote", &data.remote)?;
                let protocol = data.protocol.as_deref().unwrap_or("tcp");
                fields::set_ends(run, Some(local), remote);
                run.set_ctx_field("protocol", fields::protocol(protocol)?.0);
                run.set_ctx_field("ingress_ifindex", 1);
                more = data.fields.as_ref();
            }
            _ => {}
        }
        more.into_iter().flatten().try_for_each(|(name, value)| fields::set(run, name, &value.0))
    }

    /// Makes the socket between two ends the one that the context points to.
    fn attach(&mut self, run: &mut Run, local: Option<SocketAddr>, remote: Option<SocketAddr>, tcp: bool) {
        if let Some(number) = self.socket(local, remote, tcp) {
            self.enter(run);
            attach_socket(run, number);
            self.leave(run);
        }
    }
}

fn unspecified(like: SocketAddr) -> std::net::IpAddr {
    if like.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() }
}

fn family(name: Option<&str>) -> Result<bool, String> {
    match name {
        None | Some("inet") => Ok(false),
        Some("inet6") => Ok(true),
        Some(other) => Err(format!("family: `{other}`; expected inet or inet6")),
    }
}

/// A device as `c 1:3` or `b 8:0`: kind, major and minor number.
fn device(text: &str) -> Result<(u64, u64, u64), String> {
    let wrong = || format!("cgroup_device: \"{text}\"; expected a device such as \"c 1:3\"");
    let (kind, numbers) = text.split_once(' ').ok_or_else(wrong)?;
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    let kind = match kind {
        "b" => 1,
        "c" => 2,
        _ => return Err(wrong()),
    };
    Ok((kind, major.parse().map_err(|_| wrong())?, minor.parse().map_err(|_| wrong())?))
}

/// The struct that a program's main function says it gets, in the object's types.
pub fn context_type(btf: &Btf, program: &ebpfkit_object::Program) -> Option<TypeId> {
    let func = program.func_info.iter().find(|f| f.insn == 0)?.type_id;
    let Some(Type::Func { proto, .. }) = btf.get(func) else { return None };
    let Some(Type::Ptr(to)) = btf.get(btf.resolve(btf.params(proto).next()?.ty)) else { return None };
    let ty = btf.resolve(to);
    matches!(btf.kind(ty), Some(Kind::Struct | Kind::Union)).then_some(ty)
}

/// The prototype of an operation of a struct_ops map.
fn member_prototype(object: &Object, btf: Option<&Btf>, to: &str) -> Prototype {
    let found = hooks::struct_ops(object, btf, to).first().copied();
    found.map_or_else(Prototype::default, |(map, at, _)| {
        Prototype::of_member(btf, object.maps[map].kernel_value_type, at)
    })
}
