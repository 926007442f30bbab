//! What each class of rejection means and how it is usually mended.

mod accesses;
mod calls;
mod kernel_objects;
mod rights;

/// One class of rejections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Parts of the kernel's message that must occur in this order.
    pub pattern: &'static [&'static str],
    /// Why the proof is missing.
    pub cause: &'static str,
    /// What to change.
    pub remedy: &'static str,
}

/// Every class, in the order in which they are tried.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    let tables = [kernel_objects::ENTRIES, ENTRIES, calls::ENTRIES, accesses::ENTRIES, rights::ENTRIES];
    tables.into_iter().flatten()
}

/// The class a kernel message belongs to; the first one that fits.
pub fn find(message: &str) -> Option<&'static Entry> {
    entries().find(|e| {
        let mut rest = message;
        e.pattern.iter().all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    })
}

pub(crate) const fn entry(pattern: &'static [&'static str], cause: &'static str, remedy: &'static str) -> Entry {
    Entry { pattern, cause, remedy }
}

/// Every class, the more specific ones first.
#[rustfmt::skip]
pub static ENTRIES: &[Entry] = &[
    entry(&["R", "offset is outside of the packet"],
        "nothing proves that these bytes lie before data_end: this pointer was not compared, or the comparison was on another copy of it",
        "compare `pointer + size > data_end` on this very pointer, right before the access"),
    entry(&["invalid mem access 'map_value_or_null'"],
        "bpf_map_lookup_elem returns NULL when there is no such key, and this path has not ruled that out",
        "return or skip when the looked-up pointer is NULL, before it is used"),
    entry(&["invalid mem access '", "_or_null'"],
        "the pointer may be NULL on this path",
        "check the pointer for NULL before it is used, in the same function and on the same variable"),
    entry(&["invalid mem access 'scalar'"],
        "the register holds a number here, not a pointer that the verifier follows: it was merged with NULL, truncated to 32 bits, partly overwritten in memory, or invalidated by a helper that changes the packet",
        "keep the pointer in one 64-bit variable on every path; load packet pointers again after helpers that change the packet; read kernel memory with bpf_probe_read_kernel"),
    entry(&["!read_ok"],
        "the register has no value on this path: it was never set, or a call overwrote it (r1 to r5 do not survive a call)",
        "set it on every path; keep values that must survive a call in r6 to r9 or on the stack"),
    entry(&["max value is outside of the allowed memory range"],
        "the index may be too large: no comparison bounds it from above, or the comparison does not count the size of the access",
        "mask the index (`i &= N - 1`) or return when `i >= N`, on an unsigned variable, next to the access"),
    entry(&["min value is outside of the allowed memory range"],
        "the index may be negative",
        "use an unsigned variable, or return when it is below zero"),
    entry(&["min value is negative"],
        "a size or index may be negative when seen as a signed number",
        "use an unsigned variable, mask it (`n &= 0xff`), or return when it is below zero"),
    entry(&["unbounded memory access"],
        "nothing bounds this size or index from above",
        "mask it (`n &= 0xff`) or compare it with a constant before the access"),
    entry(&["invalid zero-sized read"],
        "the size may be zero, and this helper does not allow that",
        "return when the size is zero, or make it at least one"),
    entry(&["math between", "register with unbounded min value"],
        "a number that may be negative or huge is added to a pointer",
        "bound the number on both sides before the addition"),
    entry(&["invalid bpf_context access"],
        "this program type has no such field in its context, or the field cannot be accessed with this width or direction",
        "read only the fields of this program type's context, with their own width"),
    entry(&["dereference of modified ctx ptr"],
        "the context pointer was changed before the access; the verifier wants the offset in the instruction",
        "access the field directly through the context pointer"),
    entry(&["program of this type cannot use helper"],
        "this helper is not offered to this program type",
        "use another program type, or a helper that it offers"),
    entry(&["misaligned stack access"],
        "a stack access is not aligned to its size",
        "align the variable (`__attribute__((aligned(8)))`) and avoid packed structs on the stack"),
    entry(&["invalid", "stack R"],
        "the access lies outside the 512 bytes of stack, or in bytes that were never written",
        "check the offset and size; use a per-CPU map for larger buffers; initialise the buffer"),
    entry(&["Leaking reference id=", "Release it first"],
        "what the call releases is still needed by something else that the program holds",
        "release what was acquired last first"),
    entry(&["would lead to reference leak"],
        "something that the program acquired is not released on this path",
        "release it on every path, early returns included"),
    entry(&["Unreleased reference id="],
        "something that the program acquired is not released on this path",
        "release it on every path, early returns included"),
    entry(&["cannot be mixed with socket references"],
        "the load may end the program while it holds something that it acquired",
        "release it before the load, or read the packet directly"),
    entry(&["bpf_spin_unlock is missing"],
        "a lock is still held where the program or the function ends",
        "unlock on every path, early returns included"),
    entry(&[" missing"],
        "a region that the program entered is still open where it ends",
        "leave it on every path, early returns included"),
    entry(&["BPF program is too large"],
        "the verifier followed one million instructions without reaching an end: too many paths, or a loop whose states never meet",
        "use bpf_loop or bounded iterators, move parts into global functions, keep fewer values alive across the loop"),
    entry(&["infinite loop detected"],
        "the loop came back to the same state: nothing that the verifier tracks makes progress",
        "count with a bounded variable, or use bpf_loop"),
    entry(&["At program exit the register R0"],
        "this program type may return only certain values",
        "return one of the values in the range, as a constant"),
    entry(&["pointer arithmetic on", "prohibited"],
        "this kind of pointer cannot be computed with",
        "check it for NULL first where it may be NULL; otherwise take the offset into the access itself"),
    entry(&["unreachable insn"],
        "no path leads to this instruction",
        "remove it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specific_class_comes_first() {
        let null = find("R0 invalid mem access 'map_value_or_null'").expect("class");
        assert!(null.cause.contains("no such key"));
        let other = find("R0 invalid mem access 'sock_or_null'").expect("class");
        assert!(other.cause.contains("may be NULL"));
        assert!(find("something that no kernel says").is_none());
    }

    #[test]
    fn every_rejection_has_a_class() {
        use ebpfkit_verifier::reason::{Wording, messages};
        let usual = messages().filter(|m| m.by == Wording::Usual).map(|m| m.template);
        // Some rejections have no message, and some say in a field which bound is missing.
        let said = |m: &str| m.lines().last().unwrap_or_default().replace("{bound}", "max");
        let missing: Vec<String> = usual.map(said).filter(|m| !m.is_empty() && find(m).is_none()).collect();
        assert!(
            missing.is_empty(),
            "rows of verifier/src/reason without a class: add one in explain/src/catalogue/mod.rs or a file of its subject \
             beside it for {missing:#?}"
        );
    }

    #[test]
    fn no_class_is_hidden_by_an_earlier_one() {
        for (i, e) in entries().enumerate() {
            let message = e.pattern.concat();
            let first = entries().position(|x| std::ptr::eq(x, find(&message).expect("own class")));
            assert_eq!(first, Some(i), "an earlier class takes the messages of this one, so put it first: {message}");
        }
    }
}
