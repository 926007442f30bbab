//! Iterator programs: what the kernel passes for each object that it visits.

use crate::TypeFlags;

/// An argument that is not simply a trusted pointer to what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IterArg {
    /// Byte offset in the context.
    pub offset: i32,
    /// Memory of unknown size rather than a typed pointer.
    pub buffer: bool,
    /// Modifiers of the pointer.
    pub flags: TypeFlags,
}

/// A kind of objects that can be visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IterTarget {
    /// Name, as in the function `bpf_iter_NAME`.
    pub name: &'static str,
    /// Arguments with rules of their own.
    pub args: &'static [IterArg],
}

const NULL: TypeFlags = TypeFlags::MAYBE_NULL;
const TRUSTED: TypeFlags = TypeFlags::MAYBE_NULL.union(TypeFlags::TRUSTED);
const UNTRUSTED: TypeFlags = TypeFlags::MAYBE_NULL.union(TypeFlags::UNTRUSTED);
const RDONLY: TypeFlags = TypeFlags::MAYBE_NULL.union(TypeFlags::RDONLY);

const fn object(offset: i32, flags: TypeFlags) -> IterArg {
    IterArg { offset, buffer: false, flags }
}

const fn buffer(offset: i32, flags: TypeFlags) -> IterArg {
    IterArg { offset, buffer: true, flags }
}

const fn row(name: &'static str, args: &'static [IterArg]) -> IterTarget {
    IterTarget { name, args }
}

/// The rows. The first argument of all is a trusted `bpf_iter_meta`.
#[rustfmt::skip]
pub static ROWS: &[IterTarget] = &[
    row("bpf_link", &[object(8, NULL)]),
    row("bpf_map", &[object(8, TRUSTED)]),
    row("bpf_map_elem", &[buffer(16, RDONLY), buffer(24, NULL)]),
    row("bpf_prog", &[object(8, NULL)]),
    row("bpf_sk_storage_map", &[object(16, NULL), buffer(24, NULL)]),
    row("cgroup", &[object(8, TRUSTED)]),
    row("dmabuf", &[object(8, NULL)]),
    row("ipv6_route", &[object(8, NULL)]),
    row("kmem_cache", &[object(8, UNTRUSTED)]),
    row("ksym", &[object(8, NULL)]),
    row("netlink", &[object(8, NULL)]),
    row("sockmap", &[buffer(16, RDONLY), object(24, NULL)]),
    row("task", &[object(8, TRUSTED)]),
    row("task_file", &[object(8, NULL), object(24, NULL)]),
    row("task_vma", &[object(8, NULL), object(16, NULL)]),
    row("tcp", &[object(8, TRUSTED)]),
    row("udp", &[object(8, TRUSTED)]),
    row("unix", &[object(8, NULL)]),
];

/// The row of a kind of objects.
pub fn find(name: &str) -> Option<&'static IterTarget> {
    ROWS.iter().find(|r| r.name == name)
}
