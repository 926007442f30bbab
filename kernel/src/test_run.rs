//! Running a loaded program on given input (`BPF_PROG_TEST_RUN`).

use crate::attr::TestRunAttr;
use crate::error::KernelError;
use crate::{Kernel, LoadedProgram, raw, sys};
use ebpfkit_abi::{AttachType, ProgType, test_run};

/// Input of a test-run.
#[derive(Clone, Debug, Default)]
pub struct TestRun<'a> {
    /// Packet; empty for program types that take none.
    pub data: &'a [u8],
    /// Context as the user sees it (`struct xdp_md`, `struct __sk_buff`, ...); empty for none.
    pub ctx: &'a [u8],
    /// Runs; zero is one.
    pub repeat: u32,
    /// `BPF_F_TEST_*`.
    pub flags: u32,
    /// CPU, with `BPF_F_TEST_RUN_ON_CPU`.
    pub cpu: u32,
    /// The program type gives packets and contexts back.
    pub wants_output: bool,
    /// It takes no packet, and gives contexts back.
    pub wants_context: bool,
}

/// Output of a test-run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRunResult {
    /// Return value.
    pub retval: u32,
    /// Nanoseconds of one run, on average.
    pub duration_ns: u32,
    /// Packet afterwards.
    pub data: Vec<u8>,
    /// Context afterwards.
    pub ctx: Vec<u8>,
}

/// Room for what a program adds to a packet: more than a socket buffer or a frame in fragments can hold.
const GROWTH: usize = 256 << 10;
/// Bytes of the largest context that comes back longer than it was given.
const CONTEXT: usize = 512;
/// Context of a raw tracepoint whose arguments are all zero (`MAX_BPF_FUNC_ARGS`).
const NO_ARGUMENTS: [u8; 12 * 8] = [0; 12 * 8];

impl<'a> TestRun<'a> {
    /// Input in the form that the kernel takes for a program type.
    pub fn of(kind: ProgType, data: Option<&'a [u8]>, ctx: &'a [u8], repeat: u32) -> Self {
        let ctx = if ctx.is_empty() && kind == ProgType::RawTracepoint { &NO_ARGUMENTS } else { ctx };
        let row = test_run::of(kind, AttachType::default()).ok();
        Self {
            data: data.unwrap_or_default(),
            ctx,
            repeat: if Self::runs_once(kind) { 0 } else { repeat },
            wants_output: data.is_some() && row.is_none_or(|r| !r.gives.is_empty()),
            wants_context: row.is_some_and(|r| !r.packet && r.gives_context),
            ..Self::default()
        }
    }

    /// Whether the kernel runs programs of this type once, without packet, and does not time them.
    pub fn runs_once(kind: ProgType) -> bool {
        test_run::of(kind, AttachType::default()).map_or(kind == ProgType::Tracing, |row| !row.repeats)
    }
}

impl Kernel {
    /// Runs a program.
    pub fn test_run(&self, program: &LoadedProgram, input: &TestRun<'_>) -> Result<TestRunResult, KernelError> {
        let size = |n: usize, what| u32::try_from(n).map_err(|_| KernelError::TooLarge { what });
        let mut data = vec![0u8; if input.wants_output { input.data.len() + GROWTH } else { 0 }];
        // A context that has no place of its own to go to is written back to where it came from.
        let mut ctx_in = input.ctx.to_vec();
        let comes_back = !ctx_in.is_empty() && (input.wants_output || input.wants_context);
        let mut ctx = vec![0u8; if comes_back { ctx_in.len().max(CONTEXT) } else { 0 }];
        let address = |b: &[u8]| if b.is_empty() { 0 } else { b.as_ptr() as u64 };
        let mut attr = TestRunAttr {
            prog_fd: raw(program) as u32,
            data_size_in: size(input.data.len(), "a packet")?,
            data_size_out: size(data.len(), "a packet")?,
            data_in: address(input.data),
            data_out: if data.is_empty() { 0 } else { data.as_mut_ptr() as u64 },
            repeat: input.repeat,
            ctx_size_in: size(ctx_in.len(), "a context")?,
            ctx_size_out: size(ctx.len(), "a context")?,
            ctx_in: if ctx_in.is_empty() { 0 } else { ctx_in.as_mut_ptr() as u64 },
            ctx_out: if ctx.is_empty() { 0 } else { ctx.as_mut_ptr() as u64 },
            flags: input.flags,
            cpu: input.cpu,
            ..TestRunAttr::default()
        };
        sys::call(sys::PROG_TEST_RUN, &mut attr).map_err(|e| match e {
            libc::ENOSPC => KernelError::Grown { size: attr.data_size_out },
            _ => KernelError::call("BPF_PROG_TEST_RUN", e),
        })?;
        data.truncate(attr.data_size_out as usize);
        ctx.truncate(attr.ctx_size_out as usize);
        if !(input.wants_output || input.wants_context) {
            ctx = ctx_in;
        }
        Ok(TestRunResult { retval: attr.retval, duration_ns: attr.duration, data, ctx })
    }
}
