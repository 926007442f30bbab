//! Flags of maps (`BPF_F_*` of `BPF_MAP_CREATE`).

/// Short name, kernel's name and value of each flag.
static FLAGS: [(&str, &str, u32); 19] = [
    ("no_prealloc", "BPF_F_NO_PREALLOC", 1 << 0),
    ("no_common_lru", "BPF_F_NO_COMMON_LRU", 1 << 1),
    ("numa_node", "BPF_F_NUMA_NODE", 1 << 2),
    ("rdonly", "BPF_F_RDONLY", 1 << 3),
    ("wronly", "BPF_F_WRONLY", 1 << 4),
    ("stack_build_id", "BPF_F_STACK_BUILD_ID", 1 << 5),
    ("zero_seed", "BPF_F_ZERO_SEED", 1 << 6),
    ("rdonly_prog", "BPF_F_RDONLY_PROG", 1 << 7),
    ("wronly_prog", "BPF_F_WRONLY_PROG", 1 << 8),
    ("clone", "BPF_F_CLONE", 1 << 9),
    ("mmapable", "BPF_F_MMAPABLE", 1 << 10),
    ("preserve_elems", "BPF_F_PRESERVE_ELEMS", 1 << 11),
    ("inner_map", "BPF_F_INNER_MAP", 1 << 12),
    ("link", "BPF_F_LINK", 1 << 13),
    ("path_fd", "BPF_F_PATH_FD", 1 << 14),
    ("vtype_btf_obj_fd", "BPF_F_VTYPE_BTF_OBJ_FD", 1 << 15),
    ("token_fd", "BPF_F_TOKEN_FD", 1 << 16),
    ("segv_on_fault", "BPF_F_SEGV_ON_FAULT", 1 << 17),
    ("no_user_conv", "BPF_F_NO_USER_CONV", 1 << 18),
];

/// The value of a flag by its short name or the kernel's.
pub fn map_flag(name: &str) -> Option<u32> {
    FLAGS.iter().find(|f| f.0 == name || f.1 == name).map(|f| f.2)
}

/// Short names and values of all flags.
pub fn map_flags() -> impl Iterator<Item = (&'static str, u32)> {
    FLAGS.iter().map(|f| (f.0, f.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!((map_flag("mmapable"), map_flag("BPF_F_CLONE"), map_flag("x")), (Some(1024), Some(512), None));
        assert!(map_flags().enumerate().all(|(i, f)| f.1 == 1 << i));
    }
}
