//! The attribute structures of bpf(2), one for each group of commands, laid out as in the kernel's
//! `include/uapi/linux/bpf.h` (`union bpf_attr`). Trailing fields that are not used are left out: the kernel takes a
//! shorter structure as one whose rest is zero.

use crate::sys::Attr;
use ebpfkit_abi::limits::OBJECT_NAME_SIZE;

/// A name as the kernel takes it: cut to 15 bytes, characters that it refuses replaced.
pub(crate) fn object_name(name: &str) -> [u8; OBJECT_NAME_SIZE] {
    let mut out = [0; OBJECT_NAME_SIZE];
    for (to, from) in out.iter_mut().take(OBJECT_NAME_SIZE - 1).zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() || from == b'_' || from == b'.' { from } else { b'_' };
    }
    out
}

macro_rules! attrs {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name { $(pub $field: $ty,)* }
        // SAFETY: all fields are integers; callers keep what addresses point to alive during the call.
        unsafe impl Attr for $name {}
    )*};
}

attrs! {
    /// `BPF_MAP_CREATE`
    struct MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; OBJECT_NAME_SIZE],
        map_ifindex: u32,
        btf_fd: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        btf_vmlinux_value_type_id: u32,
        map_extra: u64,
    }
    /// `BPF_MAP_*_ELEM`, `BPF_MAP_GET_NEXT_KEY`, `BPF_MAP_FREEZE`
    struct MapElem {
        map_fd: u32,
        pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    /// `BPF_MAP_*_BATCH`
    struct MapBatch {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
    /// `BPF_PROG_LOAD`
    struct ProgLoad {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; OBJECT_NAME_SIZE],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_prog_fd: u32,
        core_relo_cnt: u32,
        fd_array: u64,
        core_relos: u64,
        core_relo_rec_size: u32,
        log_true_size: u32,
    }
    /// `BPF_PROG_TEST_RUN`
    struct TestRunAttr {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        ctx_size_in: u32,
        ctx_size_out: u32,
        ctx_in: u64,
        ctx_out: u64,
        flags: u32,
        cpu: u32,
        batch_size: u32,
        pad: u32,
    }
    /// `BPF_BTF_LOAD`
    struct BtfLoad {
        btf: u64,
        btf_log_buf: u64,
        btf_size: u32,
        btf_log_size: u32,
        btf_log_level: u32,
        btf_log_true_size: u32,
    }
}
