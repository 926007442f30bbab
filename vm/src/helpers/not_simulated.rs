//! Helpers that are not simulated, and why: each needs a part of the kernel that the simulated world does not have.

/// By name, without `bpf_`, what is missing.
#[rustfmt::skip]
const ROWS: &[(&str, &str)] = &[
    ("bprm_opts_set", "programs being executed"),
    ("btf_find_by_name_kind", "system calls"),
    ("kallsyms_lookup_name", "the kernel's symbols"),
    ("lwt_push_encap", "lightweight tunnels"),
    ("lwt_seg6_action", "lightweight tunnels"),
    ("lwt_seg6_adjust_srh", "lightweight tunnels"),
    ("lwt_seg6_store_bytes", "lightweight tunnels"),
    ("rc_keydown", "remote controls"),
    ("rc_pointer_rel", "remote controls"),
    ("rc_repeat", "remote controls"),
    ("skb_get_xfrm_state", "IPsec"),
    ("sock_from_file", "files"),
    ("sys_bpf", "system calls"),
    ("sys_close", "system calls"),
    ("tcp_raw_check_syncookie_ipv4", "SYN cookies"),
    ("tcp_raw_check_syncookie_ipv6", "SYN cookies"),
    ("tcp_raw_gen_syncookie_ipv4", "SYN cookies"),
    ("tcp_raw_gen_syncookie_ipv6", "SYN cookies"),
    ("tcp_send_ack", "TCP connections"),
];

/// What a helper needs that is not simulated; the name is without `bpf_`.
pub fn missing(name: &str) -> Option<&'static str> {
    ROWS.iter().find(|(n, _)| *n == name).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_abi::helpers::id;

    #[test]
    fn every_helper_is_simulated_or_stands_here() {
        for row in ebpfkit_abi::helpers::all() {
            // Tail calls are instructions of their own.
            let simulated = row.id == id::TAIL_CALL || crate::helpers::find(row.id).is_some();
            let name = row.name.trim_start_matches("bpf_");
            match (simulated, missing(name)) {
                (true, None) | (false, Some(_)) => {}
                (false, None) => panic!(
                    "{} has a row in abi/src/helpers, but nothing simulates it: implement it in a module of \
                     vm/src/helpers and add it to that module's ROWS, or say in vm/src/helpers/not_simulated.rs what \
                     it needs",
                    row.name
                ),
                (true, Some(_)) => {
                    panic!("{} is simulated: take its row out of vm/src/helpers/not_simulated.rs", row.name)
                }
            }
        }
        for (name, _) in ROWS {
            assert!(ebpfkit_abi::helper_id(name).is_some(), "{name} stands in not_simulated.rs, but is no helper");
        }
    }
}
