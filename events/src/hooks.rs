//! Which programs an event reaches: by what their sections say that they are attached to.

use crate::schema::{Item, What};
use ebpfkit_abi::{AttachType as A, ProgType as P};
use ebpfkit_object::btf::{Member, Type, TypeId};
use ebpfkit_object::{Btf, MapInit, Object, Program};

/// A place where packets meet programs.
pub struct PacketHook {
    /// Name in events.
    pub name: &'static str,
    /// Program types.
    pub types: &'static [P],
    /// Attach types; all where none is listed.
    pub attach: &'static [A],
}

/// The places, by name. Programs for both directions of tc or of a cgroup are reached by either.
pub static PACKET_HOOKS: &[PacketHook] = &[
    PacketHook { name: "xdp", types: &[P::Xdp], attach: &[A::Xdp, A::CgroupInetIngress] },
    PacketHook {
        name: "tc-ingress",
        types: &[P::SchedCls, P::SchedAct],
        attach: &[A::CgroupInetIngress, A::TcxIngress],
    },
    PacketHook { name: "tc-egress", types: &[P::SchedCls, P::SchedAct], attach: &[A::CgroupInetIngress, A::TcxEgress] },
    PacketHook { name: "netkit", types: &[P::SchedCls], attach: &[A::NetkitPrimary, A::NetkitPeer] },
    PacketHook { name: "cgroup-ingress", types: &[P::CgroupSkb], attach: &[A::CgroupInetIngress] },
    PacketHook { name: "cgroup-egress", types: &[P::CgroupSkb], attach: &[A::CgroupInetEgress] },
    PacketHook { name: "socket", types: &[P::SocketFilter], attach: &[] },
    PacketHook { name: "lwt-in", types: &[P::LwtIn], attach: &[] },
    PacketHook { name: "lwt-out", types: &[P::LwtOut], attach: &[] },
    PacketHook { name: "lwt-xmit", types: &[P::LwtXmit], attach: &[] },
    PacketHook { name: "lwt-seg6local", types: &[P::LwtSeg6local], attach: &[] },
    PacketHook { name: "flow-dissector", types: &[P::FlowDissector], attach: &[] },
    PacketHook { name: "sk-skb-parser", types: &[P::SkSkb], attach: &[A::SkSkbStreamParser] },
    PacketHook { name: "sk-skb-verdict", types: &[P::SkSkb], attach: &[A::SkSkbStreamVerdict, A::SkSkbVerdict] },
    PacketHook { name: "netfilter", types: &[P::Netfilter], attach: &[] },
];

impl PacketHook {
    fn takes(&self, program: &Program) -> bool {
        let attach = program.attach_type;
        let any = self.attach.is_empty() || self.attach.contains(&attach);
        // `cgroup/skb` and `cgroup_skb` say no direction.
        let both = program.prog_type == P::CgroupSkb && matches!(program.section.as_str(), "cgroup/skb" | "cgroup_skb");
        self.types.contains(&program.prog_type) && (any || both)
    }
}

/// The attach types of operations on addresses and sockets, by the event's key.
const SOCKET_HOOKS: &[(&str, A)] = &[
    ("connect4", A::CgroupInet4Connect),
    ("connect6", A::CgroupInet6Connect),
    ("bind4", A::CgroupInet4Bind),
    ("bind6", A::CgroupInet6Bind),
    ("sendmsg4", A::CgroupUdp4Sendmsg),
    ("sendmsg6", A::CgroupUdp6Sendmsg),
    ("recvmsg4", A::CgroupUdp4Recvmsg),
    ("recvmsg6", A::CgroupUdp6Recvmsg),
    ("getpeername4", A::CgroupInet4Getpeername),
    ("getpeername6", A::CgroupInet6Getpeername),
    ("getsockname4", A::CgroupInet4Getsockname),
    ("getsockname6", A::CgroupInet6Getsockname),
    ("sock_create", A::CgroupInetSockCreate),
    ("sock_release", A::CgroupInetSockRelease),
    ("post_bind4", A::CgroupInet4PostBind),
    ("post_bind6", A::CgroupInet6PostBind),
    ("setsockopt", A::CgroupSetsockopt),
    ("getsockopt", A::CgroupGetsockopt),
];

/// The key of the events that reach programs of an attach type.
pub fn socket_key(attach: A) -> Option<&'static str> {
    SOCKET_HOOKS.iter().find(|(_, a)| *a == attach).map(|(key, _)| *key)
}

/// How the kernel goes on after a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All programs run.
    All,
    /// The first that returns something other than zero is the last.
    UntilNonzero,
    /// The next runs after `TC_ACT_UNSPEC`.
    UntilVerdict,
    /// The hook has one program.
    One,
}

/// The order of the programs of an event with such a key, on a packet's hook of such a name.
pub fn order(key: &str, hook: Option<&str>) -> Order {
    match (key, hook) {
        ("lsm" | "fmod_ret", _) => Order::UntilNonzero,
        (_, Some("tc-ingress" | "tc-egress" | "netkit")) => Order::UntilVerdict,
        (_, Some("cgroup-ingress" | "cgroup-egress" | "socket" | "netfilter")) => Order::All,
        (_, Some(_)) => Order::One,
        ("sk_msg" | "sk_reuseport" | "struct_ops" | "iter" | "syscall", _) => Order::One,
        _ => Order::All,
    }
}

/// The first part of a section's name, without what says that the program may sleep.
pub fn kind_of(section: &str) -> &str {
    section.split('/').next().unwrap_or_default().trim_end_matches(".s")
}

/// Whether a name fits a pattern, in which `*` stands for anything and `?` for one character.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    (p, n) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// A function without an offset, and without a module before it.
fn function(target: &str) -> &str {
    let target = target.split('+').next().unwrap_or_default();
    target.rsplit(':').next().unwrap_or_default()
}

/// The name of a system call, out of that of the function that does it.
pub fn syscall_of(function: &str) -> Option<&str> {
    ["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__se_sys_", "__do_sys_"]
        .iter()
        .find_map(|p| function.strip_prefix(p))
}

/// Whether two names mean one function or tracepoint.
fn same_function(attached: &str, event: &str) -> bool {
    let (attached, event) = (function(attached), function(event));
    glob(attached, event)
}

/// Whether a probe of a process is meant: the binary by its name where one of the two has no folder.
fn same_probe(attached: &str, event: &str) -> bool {
    let split = |text: &str| text.split_once(':').map(|(b, rest)| (b.to_owned(), rest.to_owned()));
    let (Some((binary, probe)), Some((of, meant))) = (split(attached), split(event)) else { return false };
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let same_binary = binary == of || base(&binary) == base(&of);
    let without_offset = |p: &str| p.split('+').next().unwrap_or_default().to_owned();
    same_binary && glob(&without_offset(&probe), &without_offset(&meant))
}

/// Whether an event reaches a program. `hook` is where a packet is.
pub fn reaches(item: &Item, program: &Program, hook: Option<&PacketHook>) -> bool {
    let (kind, target) = (program.prog_type, program.attach_target.as_str());
    let section = kind_of(&program.section);
    match &item.what {
        What::Tracepoint(name, _) => kind == P::Tracepoint && target.replace('/', ":") == name.replace('/', ":"),
        What::Call(to, _) => match item.key {
            "kprobe" | "kretprobe" => {
                let with = if item.key == "kprobe" { ["kprobe", "ksyscall"] } else { ["kretprobe", "kretsyscall"] };
                let by_kind = with.contains(&section.trim_end_matches(".multi")) || section == "kprobe.session";
                kind == P::Kprobe && by_kind && same_kernel_function(section, target, to)
            }
            "ksyscall" | "kretsyscall" => {
                let of = if item.key == "ksyscall" { "kprobe" } else { "kretprobe" };
                let by_kind = section == item.key || section.trim_end_matches(".multi") == of;
                let attached = if section == item.key { Some(target) } else { syscall_of(function(target)) };
                kind == P::Kprobe && by_kind && attached.is_some_and(|a| glob(a, to))
            }
            "uprobe" | "uretprobe" => {
                let by_kind = section.trim_end_matches(".multi") == item.key || section == "uprobe.session";
                kind == P::Kprobe && by_kind && same_probe(target, to)
            }
            "usdt" => kind == P::Kprobe && section == "usdt" && same_probe(target, to),
            "fentry" | "fexit" | "fmod_ret" => {
                let attach: &[A] = match item.key {
                    "fentry" => &[A::TraceFentry, A::TraceFsession, A::TraceFentryMulti, A::TraceFsessionMulti],
                    "fexit" => &[A::TraceFexit, A::TraceFsession, A::TraceFexitMulti, A::TraceFsessionMulti],
                    _ => &[A::ModifyReturn],
                };
                kind == P::Tracing && attach.contains(&program.attach_type) && same_function(target, to)
            }
            "raw_tracepoint" => {
                matches!(kind, P::RawTracepoint | P::RawTracepointWritable) && function(target) == function(to)
            }
            "tp_btf" => kind == P::Tracing && program.attach_type == A::TraceRawTp && function(target) == function(to),
            "lsm" => kind == P::Lsm && target == to,
            // The map says which program an operation has.
            _ => false,
        },
        What::PerfEvent(_) => kind == P::PerfEvent,
        What::Iter(to, _) => kind == P::Tracing && program.attach_type == A::TraceIter && target == to,
        What::Syscall(..) => kind == P::Syscall,
        What::Packet(..) | What::Capture(..) => hook.is_some_and(|h| h.takes(program)),
        What::Address(..) | What::Socket(..) | What::Bound(..) | What::Option(..) => {
            let types = [P::CgroupSockAddr, P::CgroupSock, P::CgroupSockopt];
            let attach = SOCKET_HOOKS.iter().find(|(key, _)| *key == item.key).map(|(_, a)| *a);
            types.contains(&kind) && attach == Some(program.attach_type)
        }
        What::Sysctl(..) => kind == P::CgroupSysctl,
        What::Device(..) => kind == P::CgroupDevice,
        What::SockOps(..) => kind == P::SockOps,
        What::Data(..) if item.key == "sk_msg" => kind == P::SkMsg,
        What::Data(..) => kind == P::SkReuseport,
        What::Lookup(..) => kind == P::SkLookup,
        What::Lirc(..) => kind == P::LircMode2,
        _ => false,
    }
}

/// A program on a kernel function: one on a system call is reached by the function that does it too.
fn same_kernel_function(section: &str, target: &str, to: &str) -> bool {
    match syscall_of(function(to)) {
        Some(name) if section.ends_with("syscall") => glob(target, name),
        _ => same_function(target, to),
    }
}

/// A member of a struct or of those inside it, by its offset in bytes.
pub fn member_at(btf: &Btf, ty: TypeId, offset: u32) -> Option<Member<'_>> {
    let at = offset.checked_mul(8)?;
    let before = |m: &Member<'_>| m.bit_offset <= at && m.bitfield_size == 0;
    let m = btf.members(btf.resolve(ty)).filter(before).max_by_key(|m| m.bit_offset)?;
    match btf.get(btf.resolve(m.ty)) {
        Some(Type::Struct(_) | Type::Union(_)) => member_at(btf, m.ty, offset - m.bit_offset / 8),
        _ => (m.bit_offset == at).then_some(m),
    }
}

/// An operation of a struct_ops map: number of the map, offset of the member, program.
pub fn struct_ops(object: &Object, btf: Option<&Btf>, to: &str) -> Vec<(usize, u32, usize)> {
    let name_at = |ty, at| member_at(btf?, ty, at).map(|m| m.name);
    let (map, member) = to.split_once('.').map_or((None, to), |(map, member)| (Some(map), member));
    let mut found = Vec::new();
    for (n, def) in object.maps.iter().enumerate().filter(|(_, def)| map.is_none_or(|m| def.name == m)) {
        let MapInit::StructOps { programs, .. } = &def.init else { continue };
        let of_member = programs.iter().filter(|(at, _)| name_at(def.kernel_value_type, *at) == Some(member));
        found.extend(of_member.map(|(at, program)| (n, *at, *program)));
    }
    found
}

/// Where a packet is: what the event says, or the only place for which the object has programs.
pub fn packet_hook(name: Option<&str>, object: &Object) -> Result<&'static PacketHook, String> {
    let names = |hooks: &[&PacketHook]| hooks.iter().map(|h| h.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let all: Vec<&PacketHook> = PACKET_HOOKS.iter().collect();
        let found = PACKET_HOOKS.iter().find(|h| h.name == name);
        return found.ok_or_else(|| match ebpfkit_object::nearest(name, PACKET_HOOKS.iter().map(|h| h.name)) {
            Some(like) => format!("hook: `{name}`: there is no such hook; did you mean `{like}`?"),
            None => format!("hook: `{name}`: expected one of {}", names(&all)),
        });
    }
    let mut of_object: Vec<&PacketHook> = Vec::new();
    for hook in PACKET_HOOKS {
        // What is attached to both directions is reached by the first.
        let programs = || object.programs.iter().filter(|p| hook.takes(p));
        if programs().any(|p| !of_object.iter().any(|h| h.takes(p))) {
            of_object.push(hook);
        }
    }
    match of_object[..] {
        [one] => PACKET_HOOKS.iter().find(|h| h.name == one.name).ok_or_else(String::new),
        [] => Err("the object has no program that takes packets".into()),
        _ => Err(format!("which hook? Say one with `hook`: {}", names(&of_object))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(glob("vfs_*", "vfs_read") && glob("*", "x") && glob("a?c", "abc") && glob("*_read*", "vfs_readv"));
        assert!(!glob("vfs_*d", "vfs_write") && !glob("a", "ab") && !glob("ab", "a"));
        assert!(same_function("do_unlinkat", "do_unlinkat+0x10") && same_function("ext4:f", "f"));
        assert!(same_probe("/bin/bash:readline", "bash:readline") && !same_probe("/bin/bash:x", "bash:readline"));
    }
}
