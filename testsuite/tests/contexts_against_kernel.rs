//! Contexts and sockets byte by byte, and return values, held against the running kernel.

use ebpfkit_abi::{AttachType as A, ProgType as P};
use ebpfkit_isa::Insn;
use ebpfkit_object::Program;
use ebpfkit_testsuite::against_kernel::{KINDS, differences, insn, program, report};

/// Attach types that change what a context shows, besides those of [`KINDS`].
const MORE_KINDS: &[(P, A, u32)] = &[
    (P::CgroupSock, A::CgroupInetSockRelease, 0),
    (P::CgroupSockAddr, A::CgroupInet6Bind, 0),
    (P::CgroupSockAddr, A::CgroupInet4Connect, 0),
    (P::CgroupSockAddr, A::CgroupUdp6Sendmsg, 0),
    (P::CgroupSockAddr, A::CgroupUdp4Recvmsg, 0),
    (P::CgroupSockAddr, A::CgroupInet6Getpeername, 0),
    (P::CgroupSockAddr, A::CgroupInet4Getsockname, 0),
    (P::CgroupSockAddr, A::CgroupInet6Getsockname, 0),
    (P::CgroupSockAddr, A::CgroupUnixSendmsg, 0),
    (P::CgroupSockAddr, A::CgroupUnixRecvmsg, 0),
    (P::CgroupSockAddr, A::CgroupUnixGetpeername, 0),
    (P::CgroupSockAddr, A::CgroupUnixGetsockname, 0),
    (P::Xdp, A::XdpCpumap, 0),
    (P::SkSkb, A::SkSkbStreamParser, 0),
    (P::SkReuseport, A::SkReuseportSelectOrMigrate, 0),
    (P::SchedCls, A::TcxIngress, 0),
    (P::Kprobe, A::TraceKprobeSession, 0),
    (P::Kprobe, A::TraceUprobeSession, 0),
    (P::Kprobe, A::TraceUprobeMulti, 0),
];

fn kinds() -> impl Iterator<Item = (P, A, u32)> {
    KINDS.iter().chain(MORE_KINDS).copied()
}

/// A value that this kind of program may return.
fn fine(kind: (P, A, u32)) -> i32 {
    i32::from(kind.0 != P::Tracepoint)
}

/// Size bits of loads and stores of 1, 2, 4 and 8 bytes.
const SIZES: [u8; 4] = [0x10, 0x08, 0x00, 0x18];

fn finish(kind: (P, A, u32), mut code: Vec<Insn>) -> Program {
    code.extend([insn(0xb7, 0, 0, 0, fine(kind)), insn(0x95, 0, 0, 0, 0)]);
    program(kind, code)
}

#[test]
fn every_byte_of_a_context() {
    let mut cases = Vec::new();
    for kind in kinds() {
        let end = if kind.0 == P::Tracepoint { 24 } else { 240 };
        for off in -4..end {
            for size in SIZES {
                let name = |what| format!("{} {} {what} {off} {size:#x}", kind.0, kind.1);
                cases.push((name("load"), finish(kind, vec![insn(0x61 | size, 2, 1, off, 0)])));
                cases
                    .push((name("store"), finish(kind, vec![insn(0xb7, 2, 0, 0, 0), insn(0x63 | size, 1, 2, off, 0)])));
            }
            let name = format!("{} {} signed load {off}", kind.0, kind.1);
            cases.push((name, finish(kind, vec![insn(0x81, 2, 1, off, 0)])));
        }
    }
    report(differences("every_byte_of_a_context", Vec::new(), cases));
}

#[test]
fn what_a_context_gives() {
    let mut cases = Vec::new();
    for kind in kinds() {
        for off in (0..240).step_by(4) {
            for size in [0x00, 0x18] {
                let load = insn(0x61 | size, 2, 1, off, 0);
                let name = |what: &str| format!("{} {} {what} of {off} {size:#x}", kind.0, kind.1);
                // The messages name the kind of the register.
                cases.push((name("byte"), finish(kind, vec![load, insn(0x71, 0, 2, 0, 0)])));
                cases.push((name("sum"), finish(kind, vec![load, insn(0x07, 2, 0, 0, 8), insn(0x0f, 2, 1, 0, 0)])));
                let checked = vec![load, insn(0x55, 2, 0, 2, 0), insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
                let mut after = checked.clone();
                after.push(insn(0x71, 0, 2, 0, 0));
                cases.push((name("checked byte"), finish(kind, after)));
            }
        }
    }
    report(differences("what_a_context_gives", Vec::new(), cases));
}

#[test]
fn every_byte_of_a_socket() {
    let mut cases = Vec::new();
    let leave = [insn(0x55, 6, 0, 2, 0), insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
    // skb->sk, then the full socket (95) or the TCP socket (96) behind it.
    for helper in [0, 95, 96] {
        let mut head = vec![insn(0x79, 6, 1, 168, 0)];
        head.extend(leave);
        if helper != 0 {
            head.extend([insn(0xbf, 1, 6, 0, 0), insn(0x85, 0, 0, 0, helper), insn(0xbf, 6, 0, 0, 0)]);
            head.extend(leave);
        }
        for off in -4..120 {
            for size in SIZES {
                let mut code = head.clone();
                code.push(insn(0x61 | size, 2, 6, off, 0));
                cases.push((format!("socket {helper} {off} {size:#x}"), finish((P::SchedCls, A(0), 0), code)));
            }
        }
        let mut code = head.clone();
        code.push(insn(0x62, 6, 0, 0, 0));
        cases.push((format!("store to socket {helper}"), finish((P::SchedCls, A(0), 0), code)));
    }
    report(differences("every_byte_of_a_socket", Vec::new(), cases));
}

#[test]
fn return_values() {
    let mut cases = Vec::new();
    let exit = insn(0x95, 0, 0, 0, 0);
    for kind in kinds() {
        for value in [-1, 0, 1, 2, 3, 4] {
            let name = format!("{} {} returns {value}", kind.0, kind.1);
            cases.push((name, program(kind, vec![insn(0xb7, 0, 0, 0, value), exit])));
        }
        for (what, code) in [
            ("nothing", vec![]),
            ("its context", vec![insn(0xbf, 0, 1, 0, 0)]),
            ("anything", vec![insn(0x85, 0, 0, 0, 7)]),
            ("a byte", vec![insn(0x85, 0, 0, 0, 7), insn(0x57, 0, 0, 0, 255)]),
            ("a bit", vec![insn(0x85, 0, 0, 0, 7), insn(0x57, 0, 0, 0, 1)]),
        ] {
            let name = format!("{} {} returns {what}", kind.0, kind.1);
            cases.push((name, program(kind, code.into_iter().chain([exit]).collect())));
        }
    }
    report(differences("return_values", Vec::new(), cases));
}
