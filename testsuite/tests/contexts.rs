//! Programs that read and write every field of every context, and follow each pointer that the verifier lets them
//! follow, run in both engines without a fault, with checks and without.
//!
//! The programs are made of pieces, each of which the verifier accepts by itself.

use ebpfkit_abi::ctx::{Context, FieldKind, context_of};
use ebpfkit_abi::{AttachType as A, ProgType as P};
use ebpfkit_isa::Insn;
use ebpfkit_jit::Jit;
use ebpfkit_object::btf::{Kind, TypeId};
use ebpfkit_object::{Object, Prepared, Program};
use ebpfkit_testsuite::against_kernel::{KINDS, insn, program};
use ebpfkit_testsuite::engines::verified;
use ebpfkit_testsuite::running;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine, Interpreter, Loader, Run, World, input};

/// Size bits of loads and stores of 1, 2, 4 and 8 bytes.
const SIZES: [(u8, i16); 4] = [(0x10, 1), (0x08, 2), (0x00, 4), (0x18, 8)];

/// Pieces in one program.
const PIECES: usize = 300;

/// A kind of program, and the type that it attaches to.
#[derive(Clone, Copy)]
struct Subject {
    kind: (P, A, u32),
    btf_id: TypeId,
}

/// Pieces that the verifier accepts, of one kind of program.
struct Found<'a> {
    model: &'a KernelModel,
    subject: Subject,
    pieces: Vec<Vec<Insn>>,
}

impl Subject {
    fn object(&self, pieces: &[Vec<Insn>], result: i32) -> Prepared {
        let mut insns = vec![insn(0xbf, 6, 1, 0, 0)];
        insns.extend(pieces.iter().flatten());
        insns.extend([insn(0xb7, 0, 0, 0, result), insn(0x95, 0, 0, 0, 0)]);
        let programs = vec![Program { attach_btf_id: self.btf_id, ..program(self.kind, insns) }];
        let object = Object { license: "GPL".into(), programs, ..Object::default() };
        Prepared { object, unloadable: vec![None] }
    }

    /// A value that such programs may return.
    fn result(&self, model: &KernelModel) -> Option<i32> {
        [0, 1].into_iter().find(|n| verified(model, &self.object(&[], *n)).is_ok())
    }
}

/// `r2` = a field of the context.
fn field(off: i16, size: u8) -> Insn {
    insn(0x61 | size, 2, 6, off, 0)
}

/// Instructions that run unless a register is zero.
fn unless_null(reg: u8, inner: Vec<Insn>) -> Vec<Insn> {
    let mut all = vec![insn(0x15, reg, 0, inner.len() as i16, 0)];
    all.extend(inner);
    all
}

impl Found<'_> {
    /// Keeps a piece if the verifier takes it.
    fn try_piece(&mut self, result: i32, piece: Vec<Insn>) -> bool {
        let fits = verified(self.model, &self.subject.object(std::slice::from_ref(&piece), result)).is_ok();
        if fits {
            self.pieces.push(piece);
        }
        fits
    }

    /// Everything through a pointer in `r2` that `head` has loaded.
    fn follow(&mut self, result: i32, head: &[Insn]) {
        let through = |inner: Vec<Insn>| [head, &unless_null(2, inner)].concat();
        let first = |found: &mut Self| {
            SIZES.iter().any(|&(size, _)| found.try_piece(result, through(vec![insn(0x61 | size, 3, 2, 0, 0)])))
                || found.try_piece(result, through(vec![insn(0x61, 3, 2, 4, 0)]))
        };
        if !first(self) {
            return;
        }
        let typed = self.subject.btf_id != 0;
        for (size, bytes) in SIZES {
            for off in (0..if typed { 160 } else { 100 }).step_by(bytes as usize) {
                self.try_piece(result, through(vec![insn(0x61 | size, 3, 2, off, 0)]));
                self.try_piece(result, through(vec![insn(0x62 | size, 2, 0, off, 0)]));
                if typed && bytes == 8 {
                    let deeper = unless_null(3, vec![insn(0x79, 4, 3, 0, 0), insn(0x61, 4, 3, 8, 0)]);
                    self.try_piece(result, through([vec![insn(0x79, 3, 2, off, 0)], deeper].concat()));
                }
            }
        }
    }

    /// Everything that the context holds.
    fn context(&mut self, result: i32) {
        let kind = self.subject.kind.0;
        let context = context_of(kind);
        let end = context.map_or(0, |c| c.size()).min(256) as i16;
        let far = [8184, 30000, 65526 - 32768].map(|n: i32| n as i16);
        for off in (0..end).chain(far) {
            for (size, bytes) in SIZES {
                if off % bytes != 0 {
                    continue;
                }
                self.try_piece(result, vec![insn(0x62 | size, 6, 0, off, 0)]);
                if self.try_piece(result, vec![field(off, size)]) && bytes >= 4 {
                    self.follow(result, &[field(off, size)]);
                }
            }
        }
        // A packet, or what is like one, has an end.
        let Some(Context::Fields { layout, .. }) = context else { return };
        let size = |bytes: u16| if bytes == 8 { 0x18 } else { 0 };
        for start in layout.fields {
            for stop in layout.fields {
                use FieldKind as K;
                let pair = matches!(
                    (start.kind, stop.kind),
                    (K::PacketData, K::PacketEnd) | (K::PacketMeta, K::PacketData) | (K::OptVal, K::OptValEnd)
                );
                if !pair {
                    continue;
                }
                let load = insn(0x61 | size(stop.size), 3, 6, stop.offset as i16, 0);
                let head = [field(start.offset as i16, size(start.size)), load];
                let bounds_check = [insn(0xbf, 4, 2, 0, 0), insn(0x07, 4, 0, 0, 8), insn(0x2d, 4, 3, 1, 0)];
                for access in [insn(0x79, 5, 2, 0, 0), insn(0x7a, 2, 0, 0, 0)] {
                    self.try_piece(result, [&head[..], &bounds_check, &[access]].concat());
                }
            }
        }
    }
}

/// Runs the pieces in every way; what went wrong.
fn run(model: &KernelModel, subject: Subject, pieces: &[Vec<Insn>], result: i32) -> Option<String> {
    let proof = match verified(model, &subject.object(pieces, result)) {
        Ok(proof) => proof,
        // Each is fine by itself; together they may be too much.
        Err(e) => return Some(format!("together: {e}")),
    };
    let program = match Loader::verified(&proof).load() {
        Ok(program) => program,
        Err(e) => return Some(e.to_string()),
    };
    let mut packet = [0; 80];
    packet[12] = 8;
    packet[14] = 0x45;
    let engines: [(&str, &dyn Engine); 2] = [("interpreter", &Interpreter), ("native code", &Jit)];
    for (name, engine) in engines {
        for checked in [false, true] {
            let mut run = Run::new(&program, World::default());
            run.set_checked(checked);
            let packet = input::takes_packet(subject.kind.0).then_some(&packet[..]);
            if let Err(e) = input::set_input(&mut run, packet, &[]) {
                return Some(e.to_string());
            }
            for _ in 0..2 {
                match engine.run(&mut run) {
                    Ok(r0) if r0 == result as u64 => {}
                    Ok(r0) => return Some(format!("{name}, checked {checked}: gives {r0}")),
                    Err(e) => return Some(format!("{name}, checked {checked}: {e}")),
                }
            }
        }
    }
    None
}

/// Programs that attach to types of the kernel: all iterators, and some of the tracepoints, hooks and functions.
fn typed(model: &KernelModel) -> Vec<Subject> {
    let Some(btf) = model.btf() else { return Vec::new() };
    let mut all = Vec::new();
    let mut counts = [0; 3];
    for btf_id in 1..btf.len() {
        let name = btf.name(btf_id);
        let (sort, kind, every) = match btf.kind(btf_id) {
            Some(Kind::Func) if name.starts_with("bpf_iter_") => (0, (P::Tracing, A::TraceIter, 0), 1),
            Some(Kind::Func) if name.starts_with("bpf_lsm_") => (1, (P::Lsm, A::LsmMac, 0), 12),
            Some(Kind::Typedef) if name.starts_with("btf_trace_") => (2, (P::Tracing, A::TraceRawTp, 0), 100),
            _ => continue,
        };
        counts[sort] += 1;
        if counts[sort] % every == 0 {
            all.push(Subject { kind, btf_id });
        }
    }
    for name in ["tcp_congestion_ops", "bpf_dummy_ops"] {
        let id = btf.find(name, Kind::Struct);
        all.extend(
            id.iter()
                .flat_map(|&btf_id| (0..16).map(move |member| Subject { kind: (P::StructOps, A(member), 0), btf_id })),
        );
    }
    all
}

#[test]
fn every_field_of_every_context() {
    let model = running::model();
    let plain = KINDS.iter().map(|kind| Subject { kind: *kind, btf_id: 0 });
    let typed = typed(&model);
    if typed.is_empty() {
        println!("1 skipped: contexts of kernel types: no BTF");
    }
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for subject in plain.chain(typed) {
        let Some(result) = subject.result(&model) else { continue };
        let mut found = Found { model: &model, subject, pieces: Vec::new() };
        found.context(result);
        for pieces in found.pieces.chunks(PIECES) {
            ran += pieces.len();
            let (kind, attach, _) = subject.kind;
            let said = run(&model, subject, pieces, result);
            wrong.extend(said.map(|e| format!("{kind} {attach} {}: {e}", subject.btf_id)));
        }
    }
    println!("{ran} accesses");
    assert!(ran > 1000, "{ran} accesses");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
