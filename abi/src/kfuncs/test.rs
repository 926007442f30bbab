//! Functions that kernels before 6.4 have for their own tests; later ones have them in a module.

use super::{Hooks as H, Kfunc, KfuncFlags as F, Only};

const TESTS: H = H::TC.union(H::TRACING).union(H::SYSCALL);

const fn row(name: &'static str, flags: F) -> Kfunc {
    Kfunc { name, since: None, flags, hooks: TESTS, only: Only::Any }
}

const GIVES: F = F::ACQUIRE.union(F::RET_NULL);

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_kfunc_call_test1", F::empty()),
    row("bpf_kfunc_call_test2", F::empty()),
    row("bpf_kfunc_call_test3", F::empty()),
    row("bpf_kfunc_call_test_acquire", GIVES),
    row("bpf_kfunc_call_memb_acquire", GIVES),
    row("bpf_kfunc_call_memb1_release", F::RELEASE),
    row("bpf_kfunc_call_test_kptr_get", GIVES),
    row("bpf_kfunc_call_test_get_rdwr_mem", F::RET_NULL),
    row("bpf_kfunc_call_test_get_rdonly_mem", F::RET_NULL),
    row("bpf_kfunc_call_test_acq_rdonly_mem", GIVES),
    row("bpf_kfunc_call_int_mem_release", F::RELEASE),
    row("bpf_kfunc_call_test_pass_ctx", F::empty()),
    row("bpf_kfunc_call_test_pass1", F::empty()),
    row("bpf_kfunc_call_test_pass2", F::empty()),
    row("bpf_kfunc_call_test_fail1", F::empty()),
    row("bpf_kfunc_call_test_fail2", F::empty()),
    row("bpf_kfunc_call_test_fail3", F::empty()),
    row("bpf_kfunc_call_test_mem_len_pass1", F::empty()),
    row("bpf_kfunc_call_test_mem_len_fail1", F::empty()),
    row("bpf_kfunc_call_test_mem_len_fail2", F::empty()),
    row("bpf_kfunc_call_test_ref", F::TRUSTED_ARGS),
    row("bpf_kfunc_call_test_destructive", F::DESTRUCTIVE),
];
