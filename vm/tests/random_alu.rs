//! Random straight-line arithmetic against a plain reading of RFC 9669 in wide numbers.

use ebpfkit_isa::{AluOp, Insn, Op, Operand, Width, encode};
use ebpfkit_vm::{Loader, Run, World, interp};
use proptest::prelude::*;

const OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];

/// The operation on numbers of `bits` bits, computed in 128.
fn reference(op: AluOp, bits: u32, a: u64, b: u64) -> u64 {
    let mask = (1u128 << bits) - 1;
    let (a, b) = (u128::from(a) & mask, u128::from(b) & mask);
    let signed = |v: u128| if v >> (bits - 1) == 1 { v as i128 - (1 << bits) } else { v as i128 };
    let shift = b as u32 % bits;
    let r = match op {
        AluOp::Add => a + b,
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a * b,
        AluOp::Div if b == 0 => 0,
        AluOp::Div => a / b,
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (signed(a) / signed(b)) as u128,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a << shift,
        AluOp::Rsh => a >> shift,
        AluOp::Mod | AluOp::Smod if b == 0 => a,
        AluOp::Mod => a % b,
        AluOp::Smod => (signed(a) % signed(b)) as u128,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => (signed(a) >> shift) as u128,
    };
    (r & mask) as u64
}

#[derive(Clone, Debug)]
struct Step {
    op: AluOp,
    wide: bool,
    dst: u8,
    src: Operand,
}

fn step() -> impl Strategy<Value = Step> {
    let imm = prop_oneof![any::<i32>(), -2..3i32, Just(i32::MIN), Just(i32::MAX)];
    let src = prop_oneof![(0..5u8).prop_map(Operand::Reg), imm.prop_map(Operand::Imm)];
    (0..OPS.len(), any::<bool>(), 0..5u8, src).prop_map(|(op, wide, dst, src)| Step { op: OPS[op], wide, dst, src })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn interpreter_computes_what_the_reference_does(
        start in prop::array::uniform5(prop_oneof![any::<u64>(), 0..3u64, Just(1 << 63), Just(u64::MAX)]),
        steps in prop::collection::vec(step(), 1..40),
        result in 0..5u8,
    ) {
        let mut regs = start;
        let mut insns = Vec::new();
        for (n, v) in start.iter().enumerate() {
            insns.push(Insn::new(0x18, n as u8, 0, 0, *v as i32));
            insns.push(Insn::new(0, 0, 0, 0, (*v >> 32) as i32));
        }
        for s in &steps {
            let width = if s.wide { Width::W64 } else { Width::W32 };
            let (insn, _) = encode(Op::Alu { op: s.op, width, dst: s.dst, src: s.src }).expect("an instruction");
            insns.push(insn);
            let b = match s.src {
                Operand::Reg(r) => regs[usize::from(r)],
                Operand::Imm(n) => i64::from(n) as u64,
            };
            let dst = &mut regs[usize::from(s.dst)];
            *dst = reference(s.op, if s.wide { 64 } else { 32 }, *dst, b);
        }
        insns.push(Insn::new(0xbf, 0, result, 0, 0));
        insns.push(Insn::new(0x95, 0, 0, 0, 0));
        let program = Loader::new(&insns).load().expect("loads");
        let got = interp::run(&mut Run::new(&program, World::default()));
        prop_assert_eq!(got, Ok(regs[usize::from(result)]));
    }
}
