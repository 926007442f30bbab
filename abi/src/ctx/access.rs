//! Which loads and stores of a context's or socket's fields are allowed, and what a load gives.
//!
//! On top of the fields that a program type may touch ([`super::context_of`]) come widths, and fields that only some
//! attach types have.

use super::{Context, Field, FieldKind, Layout, SOCK, TCP_SOCK, XDP_SOCK, context_of};
use crate::{AttachType as A, ProgType as P};

/// A load or store of `size` bytes at `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Byte offset.
    pub off: i32,
    /// 1, 2, 4 or 8.
    pub size: u16,
    /// A store.
    pub write: bool,
}

/// What a load gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A number.
    Number,
    /// Start of the packet.
    Packet,
    /// End of the packet.
    PacketEnd,
    /// Start of the metadata before the packet.
    PacketMeta,
    /// The flow dissector's keys.
    FlowKeys,
    /// A socket.
    Socket,
    /// A socket, or null.
    SocketOrNull,
    /// A socket of which only the common part is known, or null.
    SockCommonOrNull,
    /// The buffer of a writable tracepoint.
    TracepointBuffer,
    /// A pointer to a struct of the kernel that the kernel vouches for.
    Struct(&'static str),
}

/// A socket that programs hold a pointer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// `bpf_sock`, all of it.
    Full,
    /// `bpf_sock`, what request and time-wait sockets have of it.
    Common,
    /// `bpf_tcp_sock`.
    Tcp,
    /// `bpf_xdp_sock`.
    Xdp,
}

/// Widths in which a field may be loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Widths {
    /// That of the field, or of an element.
    Whole,
    /// That, or less.
    Narrow,
    /// Anything that stays inside the field.
    Within,
    /// Eight bytes of an address, or as `Narrow`.
    Wide,
    /// Eight bytes of an address, or as `Whole`.
    WholeOrWide,
    /// Half of the field, or all of it.
    Half,
    /// From the field's start, that of the field or less.
    FromStart,
}

impl Touch {
    fn fits(self, field: &Field, widths: Widths) -> bool {
        match widths {
            Widths::Whole => self.size == field.size,
            Widths::Narrow => self.size <= field.size,
            Widths::Within => self.off as u32 + u32::from(self.size) <= u32::from(field.offset + field.bytes()),
            Widths::Wide if self.size == 8 => self.fits(field, Widths::Within),
            Widths::Wide => self.size <= field.size,
            Widths::WholeOrWide if self.size == 8 => self.fits(field, Widths::Within),
            Widths::WholeOrWide => self.size == field.size,
            Widths::FromStart => self.size <= field.size && self.off == i32::from(field.offset),
            Widths::Half => self.size <= field.size && self.size * 2 >= field.size,
        }
    }

    /// Whether all of it lies in `0..bytes`, aligned.
    fn inside(self, bytes: u32) -> bool {
        self.off >= 0 && self.off as u32 + u32::from(self.size) <= bytes && self.aligned()
    }

    fn aligned(self) -> bool {
        self.off % i32::from(self.size) == 0
    }
}

/// The widths in which a struct's field may be loaded.
fn load_widths(layout: &Layout, field: &Field) -> Widths {
    use Widths::*;
    match (layout.name, field.name) {
        ("__sk_buff", "cb") => Within,
        ("__sk_buff", "remote_ip4" | "local_ip4" | "remote_ip6" | "local_ip6" | "tstamp" | "hwtstamp") => Whole,
        ("__sk_buff", _) if field.kind == FieldKind::Number => Narrow,
        ("bpf_sock", "bound_dev_if" | "mark" | "priority") => Whole,
        ("bpf_sock", "family" | "type" | "protocol" | "src_port" | "state" | "rx_queue_mapping") => FromStart,
        ("bpf_sock", _) => Narrow,
        ("bpf_sock_addr", "user_ip6" | "msg_src_ip6") => Wide,
        ("bpf_sock_addr", "user_ip4" | "msg_src_ip4" | "user_port") => Narrow,
        ("bpf_sock_ops", "skb_tcp_flags") => FromStart,
        ("sk_reuseport_md", "eth_protocol") => Half,
        ("sk_reuseport_md", "ip_protocol" | "bind_inany" | "len") => Narrow,
        ("bpf_sk_lookup", _) if field.kind == FieldKind::Number => Narrow,
        ("bpf_cgroup_dev_ctx", "access_type") => Narrow,
        ("bpf_sysctl", _) => Narrow,
        _ => Whole,
    }
}

/// The widths in which a struct's field may be stored.
fn store_widths(layout: &Layout, field: &Field) -> Widths {
    match (layout.name, field.name) {
        ("__sk_buff", "cb") => Widths::Within,
        ("bpf_sock_addr", "user_ip6" | "msg_src_ip6") => Widths::WholeOrWide,
        _ => Widths::Whole,
    }
}

/// Whether an attach type has the field.
fn attached_with(kind: P, attach: A, field: &Field, write: bool) -> bool {
    let is_one_of = |types: &[A]| types.contains(&attach);
    match (kind, field.name) {
        (P::Xdp, "egress_ifindex") => attach == A::XdpDevmap,
        (P::CgroupSock, "bound_dev_if" | "mark" | "priority") => {
            is_one_of(&[A::CgroupInetSockCreate, A::CgroupInetSockRelease])
        }
        (P::CgroupSock, "src_ip4") => attach == A::CgroupInet4PostBind,
        (P::CgroupSock, "src_ip6") => attach == A::CgroupInet6PostBind,
        (P::CgroupSock, "src_port") => is_one_of(&[A::CgroupInet4PostBind, A::CgroupInet6PostBind]),
        (P::CgroupSockAddr, "user_ip4") => is_one_of(&[
            A::CgroupInet4Bind,
            A::CgroupInet4Connect,
            A::CgroupInet4Getpeername,
            A::CgroupInet4Getsockname,
            A::CgroupUdp4Sendmsg,
            A::CgroupUdp4Recvmsg,
        ]),
        (P::CgroupSockAddr, "user_ip6") => is_one_of(&[
            A::CgroupInet6Bind,
            A::CgroupInet6Connect,
            A::CgroupInet6Getpeername,
            A::CgroupInet6Getsockname,
            A::CgroupUdp6Sendmsg,
            A::CgroupUdp6Recvmsg,
        ]),
        (P::CgroupSockAddr, "msg_src_ip4") => attach == A::CgroupUdp4Sendmsg,
        (P::CgroupSockAddr, "msg_src_ip6") => attach == A::CgroupUdp6Sendmsg,
        (P::CgroupSockopt, "retval") => attach == A::CgroupGetsockopt,
        (P::CgroupSockopt, "level" | "optname") if write => attach == A::CgroupSetsockopt,
        _ => true,
    }
}

/// The half of a port's four bytes that holds nothing.
fn is_port_padding(layout: &Layout, field: &Field, off: i32) -> bool {
    layout.name == "bpf_sock" && field.name == "dst_port" && off >= i32::from(field.offset) + 2
}

/// The upper half of a TCP socket's 64-bit counters: the kernel lets the load pass and fails to translate it.
pub fn is_upper_half(kind: SocketKind, touch: Touch) -> bool {
    kind == SocketKind::Tcp && touch.size == 4 && (touch.off == 84 || touch.off == 92)
}

fn pointer(kind: P, field: &Field) -> Loaded {
    match (field.kind, kind, field.name) {
        (FieldKind::PacketData | FieldKind::OptVal, ..) => Loaded::Packet,
        (FieldKind::PacketEnd | FieldKind::OptValEnd, ..) => Loaded::PacketEnd,
        (FieldKind::PacketMeta, ..) => Loaded::PacketMeta,
        (FieldKind::FlowKeys, ..) => Loaded::FlowKeys,
        (FieldKind::Socket, P::SockOps | P::SkLookup, _) => Loaded::SocketOrNull,
        (FieldKind::Socket, P::SkReuseport, "migrating_sk") => Loaded::SockCommonOrNull,
        (FieldKind::Socket, P::SkReuseport | P::SkMsg | P::CgroupSockAddr | P::CgroupSockopt, _) => Loaded::Socket,
        (FieldKind::Socket, ..) => Loaded::SockCommonOrNull,
        (FieldKind::Number | FieldKind::Padding, ..) => Loaded::Number,
    }
}

/// What an access to the context of a program gives; `None` when it is not allowed. The typed contexts of tracing,
/// LSM, struct_ops and extension programs are not decided here.
pub fn access(kind: P, attach: A, touch: Touch) -> Option<Loaded> {
    let Some(Context::Fields { layout, hidden, writable }) = context_of(kind) else {
        return plain_access(kind, touch);
    };
    if touch.off < 0 || touch.off >= i32::from(layout.size) || !touch.aligned() {
        return None;
    }
    let field = layout.at(touch.off as u16).filter(|f| !is_port_padding(layout, f, touch.off))?;
    if hidden.contains(&field.name) || !attached_with(kind, attach, field, touch.write) {
        return None;
    }
    if touch.write {
        // Of the arguments and the reply of a socket operation, only the reply is written.
        let reply = layout.name != "bpf_sock_ops" || field.name != "args" || touch.off == i32::from(field.offset);
        let ok = writable.contains(&field.name) && reply && touch.fits(field, store_widths(layout, field));
        return ok.then_some(Loaded::Number);
    }
    touch.fits(field, load_widths(layout, field)).then(|| pointer(kind, field))
}

/// Contexts that are no struct whose fields are translated.
fn plain_access(kind: P, touch: Touch) -> Option<Loaded> {
    let reads = !touch.write && touch.aligned();
    match kind {
        P::Kprobe => (reads && touch.inside(168)).then_some(Loaded::Number),
        // Offsets below zero pass as large ones; attaching fails then.
        P::Tracepoint => (reads && !(0..8).contains(&touch.off) && touch.off < 8192).then_some(Loaded::Number),
        P::RawTracepointWritable if touch.off == 0 => {
            (!touch.write && touch.size == 8).then_some(Loaded::TracepointBuffer)
        }
        P::RawTracepoint | P::RawTracepointWritable => {
            (reads && (0..96).contains(&touch.off)).then_some(Loaded::Number)
        }
        P::PerfEvent => {
            let narrow = (168..184).contains(&touch.off);
            (reads && (0..184).contains(&touch.off) && (narrow || touch.size == 8)).then_some(Loaded::Number)
        }
        P::Netfilter if reads && touch.size == 8 => match touch.off {
            0 => Some(Loaded::Struct("nf_hook_state")),
            8 => Some(Loaded::Struct("sk_buff")),
            _ => None,
        },
        P::LircMode2 => (!touch.write && touch.off == 0 && touch.size == 4).then_some(Loaded::Number),
        P::Syscall => (touch.aligned() && (0..i32::from(u16::MAX)).contains(&touch.off)).then_some(Loaded::Number),
        _ => None,
    }
}

/// Whether a field of a socket may be loaded.
pub fn socket_access(kind: SocketKind, off: i32, size: u16) -> bool {
    let touch = Touch { off, size, write: false };
    let layout = match kind {
        SocketKind::Full | SocketKind::Common => &SOCK,
        SocketKind::Tcp => &TCP_SOCK,
        SocketKind::Xdp => &XDP_SOCK,
    };
    if kind == SocketKind::Common && (8..24).contains(&off) {
        return false;
    }
    if off < 0 || off >= i32::from(layout.size) || !touch.aligned() {
        return false;
    }
    let field = layout.at(off as u16).filter(|f| !is_port_padding(layout, f, off));
    field.is_some_and(|f| touch.fits(f, load_widths(layout, f)) || is_upper_half(kind, touch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(kind: P, attach: A, off: i32, size: u16) -> Option<Loaded> {
        access(kind, attach, Touch { off, size, write: false })
    }

    fn store(kind: P, attach: A, off: i32, size: u16) -> bool {
        access(kind, attach, Touch { off, size, write: true }).is_some()
    }

    #[test]
    fn packets() {
        let any = A::default();
        assert_eq!(load(P::SchedCls, any, 76, 4), Some(Loaded::Packet));
        assert_eq!(load(P::SchedCls, any, 76, 2), None);
        assert_eq!(load(P::SchedCls, any, 168, 8), Some(Loaded::SockCommonOrNull));
        assert_eq!(load(P::SchedCls, any, 180, 1), Some(Loaded::Number));
        assert_eq!(load(P::CgroupSkb, any, 180, 1), None);
        assert_eq!(load(P::Xdp, any, 20, 4), None);
        assert_eq!(load(P::Xdp, A::XdpDevmap, 20, 4), Some(Loaded::Number));
        assert_eq!(load(P::FlowDissector, any, 144, 8), Some(Loaded::FlowKeys));
        assert!(store(P::SchedCls, any, 48, 8));
        assert!(!store(P::SchedCls, any, 64, 8));
    }

    #[test]
    fn sockets() {
        assert_eq!(load(P::CgroupSockAddr, A::CgroupInet6Bind, 8, 8), Some(Loaded::Number));
        assert_eq!(load(P::CgroupSockAddr, A::CgroupInet4Bind, 8, 8), None);
        assert_eq!(load(P::CgroupSockAddr, A::CgroupUdp6Sendmsg, 56, 8), None);
        assert!(store(P::SockOps, A::CgroupSockOps, 4, 4));
        assert!(!store(P::SockOps, A::CgroupSockOps, 8, 4));
        assert!(socket_access(SocketKind::Full, 48, 4) && socket_access(SocketKind::Full, 48, 2));
        assert!(!socket_access(SocketKind::Full, 50, 2));
        assert!(socket_access(SocketKind::Full, 8, 1) && !socket_access(SocketKind::Common, 8, 1));
        assert!(socket_access(SocketKind::Tcp, 80, 8) && !socket_access(SocketKind::Tcp, 80, 4));
    }
}
