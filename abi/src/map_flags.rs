//! Flags of maps: those of creation (`BPF_F_*` of `BPF_MAP_CREATE`) and those of element access.

macro_rules! creation_flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $kernel:literal, $short:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = 1 << $bit;)*

        /// Short name, kernel's name and value of each creation flag.
        static CREATION: &[(&str, &str, u32)] = &[$(($short, $kernel, 1 << $bit)),*];
    };
}

creation_flags! {
    /// Elements are allocated when they are made.
    NO_PREALLOC = 0, "BPF_F_NO_PREALLOC", "no_prealloc";
    /// Each CPU has its own list of least recently used elements.
    NO_COMMON_LRU = 1, "BPF_F_NO_COMMON_LRU", "no_common_lru";
    /// The memory is of one NUMA node.
    NUMA_NODE = 2, "BPF_F_NUMA_NODE", "numa_node";
    /// User space only reads.
    RDONLY = 3, "BPF_F_RDONLY", "rdonly";
    /// User space only writes.
    WRONLY = 4, "BPF_F_WRONLY", "wronly";
    /// Stack traces hold build IDs.
    STACK_BUILD_ID = 5, "BPF_F_STACK_BUILD_ID", "stack_build_id";
    /// The hash has the seed zero.
    ZERO_SEED = 6, "BPF_F_ZERO_SEED", "zero_seed";
    /// Programs only read.
    RDONLY_PROG = 7, "BPF_F_RDONLY_PROG", "rdonly_prog";
    /// Programs only write.
    WRONLY_PROG = 8, "BPF_F_WRONLY_PROG", "wronly_prog";
    /// A socket that is cloned has its storage cloned.
    CLONE = 9, "BPF_F_CLONE", "clone";
    /// User space may map the memory.
    MMAPABLE = 10, "BPF_F_MMAPABLE", "mmapable";
    /// Perf events stay when the descriptor of the map is closed.
    PRESERVE_ELEMS = 11, "BPF_F_PRESERVE_ELEMS", "preserve_elems";
    /// An inner map whose size may differ from the template's.
    INNER_MAP = 12, "BPF_F_INNER_MAP", "inner_map";
    /// A struct_ops map is attached through a link.
    LINK = 13, "BPF_F_LINK", "link";
    /// Paths are given by descriptor.
    PATH_FD = 14, "BPF_F_PATH_FD", "path_fd";
    /// The value type is in a module's BTF.
    VTYPE_BTF_OBJ_FD = 15, "BPF_F_VTYPE_BTF_OBJ_FD", "vtype_btf_obj_fd";
    /// A token gives the right to make the map.
    TOKEN_FD = 16, "BPF_F_TOKEN_FD", "token_fd";
    /// User space gets a signal for a page of an arena that is not there.
    SEGV_ON_FAULT = 17, "BPF_F_SEGV_ON_FAULT", "segv_on_fault";
    /// Pointers into an arena are not translated for user space.
    NO_USER_CONV = 18, "BPF_F_NO_USER_CONV", "no_user_conv";
    /// A ring buffer drops its oldest records.
    RB_OVERWRITE = 19, "BPF_F_RB_OVERWRITE", "rb_overwrite";
}

/// Restrictions of access for user space.
pub const USER_ACCESS: u32 = RDONLY | WRONLY;
/// Restrictions of access for programs.
pub const PROG_ACCESS: u32 = RDONLY_PROG | WRONLY_PROG;
/// Restrictions of access.
pub const ACCESS: u32 = USER_ACCESS | PROG_ACCESS;

/// Update flag: create or replace.
pub const ANY: u64 = 0;
/// Update flag: create only.
pub const NOEXIST: u64 = 1;
/// Update flag: replace only.
pub const EXIST: u64 = 2;
/// Access flag: take the value's own lock.
pub const LOCK: u64 = 4;

/// The value of a creation flag by its short name or the kernel's.
pub fn find(name: &str) -> Option<u32> {
    CREATION.iter().find(|f| f.0 == name || f.1 == name).map(|f| f.2)
}

/// Short names and values of all creation flags.
pub fn all() -> impl Iterator<Item = (&'static str, u32)> {
    CREATION.iter().map(|f| (f.0, f.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!((find("mmapable"), find("BPF_F_CLONE"), find("x")), (Some(1024), Some(512), None));
        assert!(all().enumerate().all(|(i, f)| f.1 == 1 << i));
    }
}
