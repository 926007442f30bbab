//! What the disassembler prints, the assembler reads back.
use ebpfkit_asm::{Syntax, assemble_insns, pseudo_c};
use ebpfkit_isa::table::{Field, Kind, ROWS};
use ebpfkit_isa::{Insn, decode};

#[test]
fn every_row() {
    for row in &ROWS {
        // The text of these does not say which kind of immediate it is, or drops the immediate.
        if matches!(row.kind, Kind::LoadImm64(1..) | Kind::CallLocal | Kind::CallKfunc) {
            continue;
        }
        let pick = |rule: Field, v: i32| if let Field::Is(n) = rule { n } else { v };
        let dst = if matches!(row.kind, Kind::LoadInd(_)) { 0 } else { pick(row.dst, 3) as u8 };
        let imm = if matches!(row.kind, Kind::LoadInd(_)) { 0 } else { pick(row.imm, -7) };
        let i = Insn::new(row.code, dst, pick(row.src, 4) as u8, pick(row.off, -8) as i16, imm);
        let slots = [i, Insn::default()];
        let (op, len) = decode(&slots, 0).unwrap();
        let text = pseudo_c(op);
        assert_eq!(assemble_insns(&text, Syntax::PseudoC).as_deref(), Ok(&slots[..len]), "{text}");
    }
}

#[test]
fn labels_and_all_errors() {
    let good = assemble_insns("r0 = 0\nl:\nr0 += 1 // one\nif r0 < 5 goto l\nexit", Syntax::Auto).unwrap();
    assert_eq!(good[2].off, -2);
    let bad = assemble_insns("r0 = 1\nr11 = 2\ngoto nowhere\nexit", Syntax::Auto).unwrap_err();
    assert_eq!(bad.list.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 3]);
}
