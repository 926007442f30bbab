//! What `BPF_PROG_TEST_RUN` takes of programs, and what it gives back. Source: observed behaviour of Linux 6.18.

use crate::{AttachType, Errno, ProgType};

/// How the kernel runs programs of some types on what a user gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// Program types.
    pub types: &'static [ProgType],
    /// There has to be a packet.
    pub packet: bool,
    /// What a context is; `None` where none is taken.
    pub context: Option<&'static str>,
    /// Without a context nothing runs.
    pub needs_context: bool,
    /// What comes back besides the result; empty for nothing.
    pub gives: &'static str,
    /// The context comes back in a buffer of its own. Where it does not, programs may have written to the one given.
    pub gives_context: bool,
    /// Programs run as often as they are asked to, and are timed.
    pub repeats: bool,
}

/// Why a program has no test-run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTestRun {
    /// What the kernel answers; `None` where it does something else than running the program.
    pub errno: Option<Errno>,
    /// Why, in a sentence.
    pub why: &'static str,
}

const PACKET: TestRun = TestRun {
    types: &[],
    packet: true,
    context: Some("__sk_buff"),
    needs_context: false,
    gives: "packet",
    gives_context: true,
    repeats: true,
};
const BYTES: TestRun =
    TestRun { packet: false, gives: "", gives_context: false, repeats: false, context: None, ..PACKET };

/// The struct of operations whose methods the kernel has for tests.
pub const OPERATIONS: &str = "bpf_dummy_ops";

/// Those that there are.
#[rustfmt::skip]
pub static ROWS: &[TestRun] = &[
    TestRun { types: &[ProgType::Xdp], context: Some("xdp_md"), ..PACKET },
    TestRun { types: &[ProgType::SchedCls, ProgType::SchedAct, ProgType::SocketFilter, ProgType::CgroupSkb,
                       ProgType::LwtIn, ProgType::LwtOut, ProgType::LwtXmit], ..PACKET },
    TestRun { types: &[ProgType::FlowDissector], context: None, gives: "flow keys", gives_context: false, ..PACKET },
    TestRun { types: &[ProgType::Netfilter], context: Some("nf_hook_state"), gives: "", gives_context: false, ..PACKET },
    TestRun { types: &[ProgType::SkLookup], context: Some("bpf_sk_lookup"), needs_context: true, gives_context: true,
              repeats: true, ..BYTES },
    TestRun { types: &[ProgType::RawTracepoint], context: Some("arguments"), ..BYTES },
    TestRun { types: &[ProgType::Syscall], context: Some("bytes"), gives: "context, in its place", ..BYTES },
    TestRun { types: &[ProgType::StructOps], context: Some("arguments of a method of bpf_dummy_ops"),
              needs_context: true, gives: "what the first argument leads to", ..BYTES },
];

/// The test-run of a program.
///
/// # Errors
/// Where the kernel does not run it.
pub fn of(kind: ProgType, attach: AttachType) -> Result<&'static TestRun, NoTestRun> {
    if kind == ProgType::Xdp && [AttachType::XdpDevmap, AttachType::XdpCpumap].contains(&attach) {
        let why = "the kernel runs no programs of devmaps and cpumaps";
        return Err(NoTestRun { errno: Some(Errno::EINVAL), why });
    }
    if let Some(row) = ROWS.iter().find(|r| r.types.contains(&kind)) {
        return Ok(row);
    }
    let trampoline = [AttachType::TraceFentry, AttachType::TraceFexit, AttachType::ModifyReturn].contains(&attach);
    Err(match kind {
        ProgType::Tracing if trampoline => NoTestRun {
            errno: None,
            why: "the kernel calls test functions of its own, at which only programs run that are attached to them",
        },
        ProgType::Tracing => NoTestRun { errno: Some(Errno::EFAULT), why: "the kernel runs none of this attach type" },
        _ => NoTestRun { errno: Some(Errno::ENOTSUPP), why: "the kernel runs none of this type" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_row() {
        for kind in ProgType::ALL {
            assert!(ROWS.iter().filter(|r| r.types.contains(kind)).count() < 2, "{kind}");
        }
        assert!(of(ProgType::Kprobe, AttachType(0)).is_err_and(|no| no.errno == Some(Errno::ENOTSUPP)));
        assert!(of(ProgType::Tracing, AttachType::TraceFexit).is_err_and(|no| no.errno.is_none()));
    }
}
