//! Many small programs, held against the running kernel one by one.

use crate::running;
use ebpfkit_abi::{AttachType as A, ProgType as P};
use ebpfkit_isa::Insn;
use ebpfkit_kernel::{LogLevel, Session};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::{Map, Object, Prepared, Program, ProgramFlags};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};

/// Kinds of programs that the kernel loads without attaching them anywhere: type, attach type, flags.
pub const KINDS: &[(P, A, u32)] = &[
    (P::SocketFilter, A(0), 0),
    (P::Kprobe, A(0), 0),
    (P::Kprobe, A(0), ProgramFlags::SLEEPABLE),
    (P::Kprobe, A::TraceKprobeMulti, 0),
    (P::SchedCls, A(0), 0),
    (P::SchedAct, A(0), 0),
    (P::Tracepoint, A(0), 0),
    (P::Xdp, A(0), 0),
    (P::Xdp, A::XdpDevmap, 0),
    (P::PerfEvent, A(0), 0),
    (P::CgroupSkb, A::CgroupInetIngress, 0),
    (P::CgroupSkb, A::CgroupInetEgress, 0),
    (P::CgroupSock, A::CgroupInetSockCreate, 0),
    (P::CgroupSock, A::CgroupInet4PostBind, 0),
    (P::CgroupSock, A::CgroupInet6PostBind, 0),
    (P::LwtIn, A(0), 0),
    (P::LwtOut, A(0), 0),
    (P::LwtXmit, A(0), 0),
    (P::SockOps, A::CgroupSockOps, 0),
    (P::SkSkb, A::SkSkbStreamVerdict, 0),
    (P::CgroupDevice, A::CgroupDevice, 0),
    (P::SkMsg, A::SkMsgVerdict, 0),
    (P::RawTracepoint, A(0), 0),
    (P::CgroupSockAddr, A::CgroupInet4Bind, 0),
    (P::CgroupSockAddr, A::CgroupInet6Connect, 0),
    (P::CgroupSockAddr, A::CgroupUnixConnect, 0),
    (P::CgroupSockAddr, A::CgroupUdp4Sendmsg, 0),
    (P::CgroupSockAddr, A::CgroupUdp6Recvmsg, 0),
    (P::CgroupSockAddr, A::CgroupInet4Getpeername, 0),
    (P::LwtSeg6local, A(0), 0),
    (P::SkReuseport, A::SkReuseportSelect, 0),
    (P::FlowDissector, A::FlowDissector, 0),
    (P::CgroupSysctl, A::CgroupSysctl, 0),
    (P::RawTracepointWritable, A(0), 0),
    (P::CgroupSockopt, A::CgroupGetsockopt, 0),
    (P::CgroupSockopt, A::CgroupSetsockopt, 0),
    (P::SkLookup, A::SkLookup, 0),
    (P::Syscall, A(0), ProgramFlags::SLEEPABLE),
    (P::Netfilter, A::Netfilter, 0),
];

/// An instruction.
pub const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// A program of a kind.
pub fn program(kind: (P, A, u32), insns: Vec<Insn>) -> Program {
    Program {
        name: "p".into(),
        prog_type: kind.0,
        attach_type: kind.1,
        flags: ProgramFlags(kind.2),
        insns,
        ..Program::default()
    }
}

/// The last line of what we say of a program; empty when we accept it.
///
/// # Errors
/// What is not modelled, when that decides it.
pub fn message(model: &KernelModel, prepared: &Prepared, program: usize) -> Result<String, String> {
    match verify(model, &prepared.object, program, Options::default(), &mut Silent).verdict {
        Verdict::Accepted(_) => Ok(String::new()),
        Verdict::Rejected(r) => Ok(r.text.clone().trim_end().lines().last().unwrap_or_default().to_owned()),
        Verdict::Unsupported { what, .. } => Err(what),
    }
}

/// Differences between our verdicts and the kernel's, and how many programs need what is not modelled; `None`
/// without a kernel.
///
/// # Panics
/// When the kernel does not take the maps' types at all.
pub fn differences(test: &str, maps: Vec<Map>, cases: Vec<(String, Program)>) -> Option<(Vec<String>, usize)> {
    let kernel = running::or_skip(test)?;
    let model = running::model();
    let (names, programs): (Vec<String>, Vec<Program>) = cases.into_iter().unzip();
    let unloadable = vec![None; programs.len()];
    let object = Object { license: "GPL".into(), programs, maps, ..Object::default() };
    let prepared = Prepared { object, unloadable };
    let session = Session::new(kernel, &prepared).expect("maps");
    let (mut different, mut open) = (Vec::new(), 0);
    for (at, name) in names.iter().enumerate() {
        let ours = match message(&model, &prepared, at) {
            Ok(ours) => ours,
            Err(what) => {
                open += 1;
                if std::env::var_os("EBPFKIT_SHOW_OPEN").is_some() {
                    eprintln!("{name}: {what}");
                }
                continue;
            }
        };
        let loaded = match session.load(at, LogLevel::FAILING_PATH) {
            Ok(loaded) => loaded,
            Err(e) => {
                different.push(format!("{name}: {e}"));
                continue;
            }
        };
        let message = || {
            // One message ends without a line end, so that the figures follow on the same line.
            let message = loaded.summary().message;
            message.split("processed ").next().unwrap_or_default().to_owned()
        };
        let theirs = if loaded.program.is_ok() { String::new() } else { message() };
        if ours != theirs {
            different.push(format!("{name}: ours {ours:?}, the kernel's {theirs:?}"));
        }
    }
    eprintln!("{test}: {} programs, {open} not decided, {} different", names.len(), different.len());
    Some((different, open))
}

/// Fails when there are differences.
///
/// # Panics
/// When there are.
pub fn report(found: Option<(Vec<String>, usize)>) {
    if let Some((different, _)) = found {
        assert!(different.is_empty(), "{}", different.join("\n"));
    }
}

/// Types of the kernel that typed programs attach to.
pub fn typed_kinds() -> Vec<(P, A, u32, u32)> {
    let Some(btf) = running::model().btf().cloned() else { return Vec::new() };
    let raw_tp = btf.find("btf_trace_sched_switch", Kind::Typedef);
    let iter = btf.find("bpf_iter_task", Kind::Func);
    let mut kinds = Vec::new();
    kinds.extend(raw_tp.map(|id| (P::Tracing, A::TraceRawTp, 0, id)));
    kinds.extend(iter.map(|id| (P::Tracing, A::TraceIter, 0, id)));
    kinds
}
