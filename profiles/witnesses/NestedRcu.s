# An RCU region stands inside another.
# with: accepted
# without: rejected
# without message: nested rcu read lock (kernel function bpf_rcu_read_lock)
.license "GPL"
.kfunc void bpf_rcu_read_lock(void)
.kfunc void bpf_rcu_read_unlock(void)
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_rcu_read_lock
    call bpf_rcu_read_lock
    call bpf_rcu_read_unlock
    call bpf_rcu_read_unlock
    r0 = 0
    exit
