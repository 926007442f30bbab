//! What gives back the objects that calls acquire, which neither prototypes nor the kernel's types say.

/// What a function that gives an object back takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// The object.
    Object,
    /// The object and a zero: flags, or what the loader fills in.
    ObjectAndZero,
    /// Something else, such as the place of a dynptr or iterator.
    Other,
}

/// How objects are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    /// Helpers and kernel functions that acquire such objects.
    pub acquired_by: &'static [&'static str],
    /// The helper or kernel function that gives them back.
    pub by: &'static str,
    /// Another one, which uses what was made before it is given back.
    pub or: Option<&'static str>,
    /// What it takes.
    pub takes: Takes,
    /// The kernel's struct, where all objects are of one.
    pub of: &'static str,
}

const fn row(acquired_by: &'static [&'static str], by: &'static str, takes: Takes, of: &'static str) -> Release {
    Release { acquired_by, by, or: None, takes, of }
}

/// All of them. Iterators are given back by the function that ends in `_destroy` where the one that made them ends in
/// `_new`.
pub static RELEASES: &[Release] = &[
    Release {
        or: Some("bpf_ringbuf_submit"),
        ..row(&["bpf_ringbuf_reserve"], "bpf_ringbuf_discard", Takes::ObjectAndZero, "")
    },
    Release {
        or: Some("bpf_ringbuf_submit_dynptr"),
        ..row(&["bpf_ringbuf_reserve_dynptr"], "bpf_ringbuf_discard_dynptr", Takes::Other, "")
    },
    // Looking a socket up in a map of sockets acquires it too.
    row(
        &["bpf_sk_lookup_tcp", "bpf_sk_lookup_udp", "bpf_skc_lookup_tcp", "bpf_map_lookup_elem"],
        "bpf_sk_release",
        Takes::Object,
        "",
    ),
    row(
        &["bpf_task_acquire", "bpf_task_from_pid", "bpf_task_from_vpid"],
        "bpf_task_release",
        Takes::Object,
        "task_struct",
    ),
    row(
        &["bpf_cgroup_acquire", "bpf_cgroup_ancestor", "bpf_cgroup_from_id", "bpf_task_get_cgroup1"],
        "bpf_cgroup_release",
        Takes::Object,
        "cgroup",
    ),
    row(&["bpf_cpumask_create", "bpf_cpumask_acquire"], "bpf_cpumask_release", Takes::Object, "bpf_cpumask"),
    row(&["bpf_obj_new_impl", "bpf_refcount_acquire_impl"], "bpf_obj_drop_impl", Takes::ObjectAndZero, ""),
    row(&["bpf_percpu_obj_new_impl"], "bpf_percpu_obj_drop_impl", Takes::ObjectAndZero, ""),
    row(&["bpf_skb_ct_lookup", "bpf_xdp_ct_lookup", "bpf_ct_insert_entry"], "bpf_ct_release", Takes::Object, "nf_conn"),
    row(&["bpf_skb_ct_alloc", "bpf_xdp_ct_alloc"], "bpf_ct_insert_entry", Takes::Other, "nf_conn___init"),
    row(
        &["bpf_crypto_ctx_create", "bpf_crypto_ctx_acquire"],
        "bpf_crypto_ctx_release",
        Takes::Object,
        "bpf_crypto_ctx",
    ),
    row(&["bpf_get_task_exe_file"], "bpf_put_file", Takes::Object, "file"),
    row(&["bpf_lookup_user_key", "bpf_lookup_system_key"], "bpf_key_put", Takes::Object, "bpf_key"),
    row(&["bpf_local_irq_save"], "bpf_local_irq_restore", Takes::Other, ""),
];

/// What gives back what a call acquired.
pub fn release_of(acquired_by: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|r| r.acquired_by.contains(&acquired_by))
}

/// What gives back an object of one of the kernel's structs, whatever acquired it.
pub fn release_of_struct(name: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|r| !name.is_empty() && r.of == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_helper_or_kernel_function_and_acquires_in_one_row() {
        let known = |n: &str| crate::helpers::by_name(n).is_some() || crate::kfuncs::find(n).is_some();
        for release in RELEASES {
            let names = release.acquired_by.iter().chain([&release.by]).chain(release.or.as_ref());
            for name in names {
                assert!(known(name), "{name}");
            }
            for name in release.acquired_by {
                assert_eq!(RELEASES.iter().filter(|r| r.acquired_by.contains(name)).count(), 1, "{name}");
            }
        }
    }
}
