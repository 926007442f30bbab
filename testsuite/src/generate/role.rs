//! What a generated function is for.

/// A function's part in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The program.
    Main,
    /// Called with three numbers.
    Static,
    /// The same, verified on its own.
    Global,
    /// Called where a check has failed; does not return.
    Panic,
    /// A callback of `bpf_loop`; with eight bytes of its caller's stack, or none.
    Iteration { stack: bool },
    /// A callback of `bpf_for_each_map_elem` for an array.
    Element { map: usize, stack: bool },
}
