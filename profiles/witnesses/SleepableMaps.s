# A program that sleeps uses a per-CPU array.
# with: accepted
# without: rejected
# without message: Sleepable programs can only use array and hash maps
.license "GPL"
.map hits percpu_array value=u64 max_entries=1
.section lsm.s/bprm_committed_creds
.func int witness(u64 *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = hits ll
    call bpf_map_lookup_elem
    r0 = 0
    exit
