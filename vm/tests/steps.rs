//! What runs in steps gives what it gives instruction by instruction, as it goes with a watcher.

use ebpfkit_isa::Insn;
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Loader, Run, World, interp};
use proptest::prelude::*;

const EXIT: Insn = Insn::new(0x95, 0, 0, 0, 0);
/// Holds the address of [`PACKET`] bytes.
const MEMORY: u8 = 6;
const PACKET: i16 = 64;

/// A few registers, so that instructions that follow each other often name the same.
fn reg() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..4u8, 1 => Just(5u8), 1 => Just(7u8)]
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        4 => prop::sample::select(vec![0, 1, 2, 3, 7, 8, 16, 31, 32, 33, 57, 63, -1, 255, 0xffff]),
        1 => any::<i32>(),
    ]
}

/// Mostly near; where it leads out of the program, the end takes its place.
fn distance() -> impl Strategy<Value = i16> {
    prop_oneof![8 => 0..6i16, 2 => -12..0i16, 1 => -800..1600i16]
}

fn alu() -> impl Strategy<Value = Insn> {
    let op = prop::sample::select(vec![0x00u8, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0]);
    (op, any::<bool>(), prop::option::of(reg()), reg(), number()).prop_map(|(op, wide, src, dst, imm)| {
        let class = if wide { 7 } else { 4 };
        match src {
            Some(src) => Insn::new(op | class | 8, dst, src, 0, 0),
            None => Insn::new(op | class, dst, 0, 0, if matches!(op, 0x60 | 0x70 | 0xc0) { imm & 31 } else { imm }),
        }
    })
}

fn memory() -> impl Strategy<Value = Insn> {
    let size = prop::sample::select(vec![(0x10u8, 1i16), (0x08, 2), (0x00, 4), (0x18, 8)]);
    let offset = prop_oneof![200 => 0..PACKET - 8, 1 => -3..PACKET + 3];
    (size, offset, 0..4u8, any::<bool>(), reg(), number()).prop_map(|((code, bytes), at, how, frame, r, imm)| {
        let (base, off) = if frame { (10, -8 - at / bytes * bytes) } else { (MEMORY, at) };
        match how {
            0 | 1 => Insn::new(0x61 | code, r, base, off, 0),
            2 => Insn::new(0x63 | code, base, r, off, 0),
            _ => Insn::new(0x62 | code, base, 0, off, imm),
        }
    })
}

fn jump() -> impl Strategy<Value = Insn> {
    let op =
        prop::sample::select((0x10u8..=0xd0).step_by(16).filter(|op| *op != 0x80 && *op != 0x90).collect::<Vec<_>>());
    (op, any::<bool>(), prop::option::of(reg()), reg(), number(), distance()).prop_map(
        |(op, wide, src, dst, imm, off)| {
            let class = if wide { 5 } else { 6 };
            match src {
                Some(src) => Insn::new(op | class | 8, dst, src, off, 0),
                None => Insn::new(op | class, dst, 0, off, imm),
            }
        },
    )
}

/// Instructions as compilers write them one behind the other.
fn run_of() -> impl Strategy<Value = Vec<Insn>> {
    let pair = (alu(), alu(), reg()).prop_map(|(mut a, mut b, r)| {
        (a.dst, b.dst) = (r, r);
        vec![a, b]
    });
    let copied = (reg(), reg(), alu()).prop_map(|(d, s, mut b)| {
        b.dst = d;
        vec![Insn::new(0xbf, d, s, 0, 0), b]
    });
    let copies = (reg(), reg(), reg(), reg())
        .prop_map(|(a, b, c, d)| vec![Insn::new(0xbf, a, b, 0, 0), Insn::new(0xbf, c, d, 0, 0)]);
    let product = (reg(), number(), number())
        .prop_map(|(r, a, b)| vec![Insn::new(0x27, r, 0, 0, a), Insn::new(0x07, r, 0, 0, b)]);
    let bound = (reg(), reg(), reg(), number(), distance(), any::<bool>()).prop_map(|(d, s, e, n, off, less)| {
        let jump = if less { Insn::new(0xad, e, d, off, 0) } else { Insn::new(0x2d, d, e, off, 0) };
        vec![Insn::new(0xbf, d, s, 0, 0), Insn::new(0x07, d, 0, 0, n), jump]
    });
    let zext = reg().prop_map(|r| vec![Insn::new(0x67, r, 0, 0, 32), Insn::new(0x77, r, 0, 0, 32)]);
    let rotation = (reg(), reg(), 1..64i32).prop_map(|(x, t, n)| {
        vec![
            Insn::new(0xbf, t, x, 0, 0),
            Insn::new(0x77, t, 0, 0, 64 - n),
            Insn::new(0x67, x, 0, 0, n),
            Insn::new(0x4f, x, t, 0, 0),
        ]
    });
    let counted = (alu(), jump(), reg()).prop_map(|(mut a, mut j, r)| {
        (a.dst, j.dst) = (r, r);
        vec![a, j]
    });
    let compared = (memory(), jump(), reg()).prop_map(|(mut a, mut j, r)| {
        if a.code & 7 == 1 {
            (a.dst, j.dst) = (r, r);
        }
        vec![a, j]
    });
    let used = (memory(), alu(), reg()).prop_map(|(mut a, mut b, r)| {
        if a.code & 7 == 1 {
            (a.dst, b.src) = (r, if b.code & 8 != 0 { r } else { 0 });
        }
        vec![a, b]
    });
    prop_oneof![pair, copied, copies, product, bound, zext, rotation, counted, compared, used]
}

fn some() -> impl Strategy<Value = Vec<Insn>> {
    let call = Just(vec![Insn::new(0x85, 0, 1, 0, 0)]);
    let skip = distance().prop_map(|off| vec![Insn::new(0x05, 0, 0, off, 0)]);
    let one = |i| vec![i];
    prop_oneof![
        12 => alu().prop_map(one),
        6 => memory().prop_map(one),
        4 => jump().prop_map(one),
        16 => run_of(),
        1 => call,
        1 => skip,
    ]
}

/// A program: the body, all registers in one, and a function that calls go to.
fn program(body: Vec<Vec<Insn>>, function: Vec<Insn>) -> Vec<Insn> {
    let mut insns = vec![Insn::new(0xbf, MEMORY, 1, 0, 0), Insn::new(0xb7, 5, 0, 0, 3)];
    insns.extend(body.into_iter().flatten());
    let end = insns.len() as i64;
    for r in [1, 2, 3, 4, 5, 7] {
        insns.push(Insn::new(0x27, 0, 0, 0, 31));
        insns.push(Insn::new(0x0f, 0, r, 0, 0));
    }
    insns.push(EXIT);
    let function_at = insns.len() as i64;
    for (at, insn) in insns.iter_mut().enumerate().take(end as usize) {
        let next = at as i64 + 1;
        match insn.code {
            0x85 => insn.imm = (function_at - next) as i32,
            code if matches!(code & 7, 5 | 6) => {
                let target = next + i64::from(insn.off);
                insn.off = (if (2..end).contains(&target) { target } else { end } - next) as i16;
            }
            _ => {}
        }
    }
    insns.extend(function);
    insns.extend([Insn::new(0xb7, 0, 0, 0, 9), EXIT]);
    insns
}

/// The result, with what is left of the budget and the packet.
fn outcome(run: &mut Run) -> (Result<u64, ebpfkit_vm::Fault>, u64, Vec<u8>) {
    run.set_packet(&[0x5a; PACKET as usize]);
    let args = run.packet_args();
    let result = interp::run_with(run, args);
    (result, run.left(), run.packet().bytes().to_vec())
}

fn same_watched(insns: &[Insn], budget: u64) -> Result<(), TestCaseError> {
    let program = Loader::new(insns).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    run.set_budget(budget);
    let unwatched = outcome(&mut run);
    run.set_watcher(Some(Watcher::new(|_, _, _| Ok(()))));
    let watched = outcome(&mut run);
    prop_assert_eq!(unwatched, watched);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn short_programs(
        body in prop::collection::vec(some(), 1..30),
        function in prop::collection::vec(alu(), 0..6),
        budget in prop_oneof![Just(0u64), 1..60u64, Just(20_000)],
    ) {
        same_watched(&program(body, function), budget)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn long_programs(
        body in prop::collection::vec(some(), 900..1600),
        function in prop::collection::vec(alu(), 0..800),
        budget in prop_oneof![1..2000u64, Just(100_000)],
    ) {
        same_watched(&program(body, function), budget)?;
    }
}

/// A chain of jumps forward, a straight line and loops, each longer than the stack would allow if steps nested.
#[test]
fn a_million_steps_nest_no_calls() {
    const N: usize = 1_000_000;
    let line = vec![Insn::new(0x07, 0, 0, 0, 1); N];
    let hops = vec![Insn::new(0x05, 0, 0, 1, 0); N];
    let back = [Insn::new(0xb7, 1, 0, 0, N as i32), Insn::new(0x17, 1, 0, 0, 1), Insn::new(0x55, 1, 0, -2, 0)];
    let calls = [
        Insn::new(0xb7, 6, 0, 0, N as i32),
        Insn::new(0x85, 0, 1, 0, 3),
        Insn::new(0x17, 6, 0, 0, 1),
        Insn::new(0x55, 6, 0, -3, 0),
        EXIT,
        Insn::new(0xb7, 0, 0, 0, 4),
    ];
    for (what, insns, expected) in
        [("line", &line[..], N as u64), ("hops", &hops, 0), ("back", &back, 0), ("calls", &calls, 4)]
    {
        let insns = [insns, &[EXIT, EXIT]].concat();
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let result = thread.spawn(move || {
            let program = Loader::new(&insns).load().expect("loads");
            interp::run(&mut Run::new(&program, World::default()))
        });
        assert_eq!(result.expect("starts").join().expect("ends"), Ok(expected), "{what}");
    }
}
