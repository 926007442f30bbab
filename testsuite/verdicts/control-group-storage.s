// Storage of control groups is found by its kind: a program has one map of each.
.license "GPL"
.map one cgroup_storage key_size=16 value_size=8
.map two cgroup_storage key_size=16 value_size=8
.map each percpu_cgroup_storage key_size=16 value_size=8
.section cgroup_skb/egress
.func one_of_each
    r1 = one ll
    r2 = 0
    call bpf_get_local_storage
    r1 = each ll
    r2 = 0
    call bpf_get_local_storage
    r0 = 1
    exit
.func two_of_a_kind
    r1 = one ll
    r2 = 0
    call bpf_get_local_storage
    r1 = two ll
    r2 = 0
    call bpf_get_local_storage
    r0 = 1
    exit
