//! Control groups: identity, sysctl, return values.

use super::rows::helpers;
use super::words::{ANY, CAP_BPF, CTX, IN, INOUT, INT, OUT, SIZE, proto, v};
use crate::callers::set::{
    ADDR_BIND, ADDR_CONNECT, ADDR_CONNECT_UNIX, ADDR_SENDMSG, CGROUP_DEVICE, CGROUP_SOCK, CGROUP_SYSCTL, EVERY,
    LSM_CGROUP, SOCKOPT,
};

#[rustfmt::skip]
helpers! {
    GET_CURRENT_CGROUP_ID = 80, "bpf_get_current_cgroup_id", v(4, 18), [proto(&[], INT, CAP_BPF, EVERY)];
    SYSCTL_GET_NAME = 101, "bpf_sysctl_get_name", v(5, 2), [proto(&[CTX, INOUT, SIZE, ANY], INT, 0, CGROUP_SYSCTL)];
    SYSCTL_GET_CURRENT_VALUE = 102, "bpf_sysctl_get_current_value", v(5, 2), [proto(&[CTX, OUT, SIZE], INT, 0, CGROUP_SYSCTL)];
    SYSCTL_GET_NEW_VALUE = 103, "bpf_sysctl_get_new_value", v(5, 2), [proto(&[CTX, OUT, SIZE], INT, 0, CGROUP_SYSCTL)];
    SYSCTL_SET_NEW_VALUE = 104, "bpf_sysctl_set_new_value", v(5, 2), [proto(&[CTX, IN, SIZE], INT, 0, CGROUP_SYSCTL)];
    GET_CURRENT_ANCESTOR_CGROUP_ID = 123, "bpf_get_current_ancestor_cgroup_id", v(5, 7), [proto(&[ANY], INT, CAP_BPF, EVERY)];
    GET_RETVAL = 186, "bpf_get_retval", v(5, 18), [proto(&[], INT, 0, SOCKOPT | ADDR_BIND | ADDR_CONNECT | ADDR_CONNECT_UNIX | ADDR_SENDMSG | CGROUP_DEVICE | CGROUP_SOCK | CGROUP_SYSCTL | LSM_CGROUP)];
    SET_RETVAL = 187, "bpf_set_retval", v(5, 18), [proto(&[ANY], INT, 0, SOCKOPT | ADDR_BIND | ADDR_CONNECT | ADDR_CONNECT_UNIX | ADDR_SENDMSG | CGROUP_DEVICE | CGROUP_SOCK | CGROUP_SYSCTL | LSM_CGROUP)];
}
