//! Classes of rejections that only users without capabilities meet.

use crate::catalogue::{Entry, entry};

/// Every class, the more specific ones first.
#[rustfmt::skip]
pub(crate) static ENTRIES: &[Entry] = &[
    entry(&["programs of type", "need"],
        "users without this capability may load socket filters and cgroup skb programs only",
        "load the program with the capability, or have a privileged service load it"),
    entry(&["map '", "of type", "needs"],
        "users without this capability may not create maps of this kind",
        "use an array or a hash map, or load with the capability"),
    entry(&["instructions, and without CAP_BPF at most"],
        "programs of users without CAP_BPF are limited in size",
        "make the program smaller, split it with tail calls, or load it with CAP_BPF"),
    entry(&["tail_call abusing map_ptr"],
        "paths with different prog arrays reach one tail call, which cannot be protected against speculation",
        "use one prog array for each tail call"),
    entry(&["are required to use arena"],
        "arenas need both capabilities",
        "load with CAP_BPF and CAP_PERFMON, or use an array map"),
    entry(&["attempt to corrupt spilled pointer on stack"],
        "a part of a pointer that is kept on the stack would be overwritten",
        "keep the pointer and the data in different stack slots"),
    entry(&["leaking pointer from stack off"],
        "bytes of a pointer that is kept on the stack would be read as a number",
        "load whole pointers only"),
    entry(&["spilled ptr in range of var-offset stack write"],
        "a store at an unknown place of the stack might overwrite a pointer",
        "keep pointers out of the buffer that is indexed, or bound the index more tightly"),
    entry(&["leaks addr into"],
        "a kernel address would become readable for the user",
        "store a number instead of the pointer, or load with CAP_PERFMON"),
    entry(&["access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN"],
        "reading kernel structs needs the right to read kernel memory",
        "load with CAP_PERFMON"),
];
