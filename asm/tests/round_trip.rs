//! What the disassembler prints, the assembler reads back.
use ebpfkit_asm::{Syntax, assemble_insns, instruction};
use ebpfkit_isa::table::ROWS;
use ebpfkit_isa::{Insn, decode};
use proptest::prelude::*;

const BOTH: [Syntax; 2] = [Syntax::PseudoC, Syntax::Mnemonic];

fn survives(slots: &[Insn]) -> Result<(), String> {
    for syntax in BOTH {
        let (mut text, mut at) = (String::new(), 0);
        while at < slots.len() {
            let (line, len) = instruction(slots, at, syntax);
            text += &line;
            text.push('\n');
            at += len;
        }
        match assemble_insns(&text, syntax) {
            Ok(back) if back == slots => {}
            Ok(back) => return Err(format!("{slots:?} became {back:?} through {syntax:?}:\n{text}")),
            Err(e) => return Err(format!("{slots:?}, {syntax:?}: {e}")),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_row(
        n in 0..ROWS.len(), dst in 0..=10u8, src in 0..=10u8, off: i16, imm: i32, high: i32
    ) {
        let slots = ROWS[n].slots(Insn::new(0, dst, src, off, imm), high);
        let (_, len) = decode(&slots, 0).expect("an instance of a row");
        prop_assert_eq!(survives(&slots[..len]), Ok(()));
    }

    /// Also what is no instruction at all.
    #[test]
    fn any_slots(slots in prop::collection::vec((any::<u8>(), 0..16u8, 0..16u8, any::<i16>(), any::<i32>()), 1..8)) {
        let slots: Vec<Insn> = slots.into_iter().map(|(c, d, s, o, i)| Insn::new(c, d, s, o, i)).collect();
        prop_assert_eq!(survives(&slots), Ok(()));
    }

    /// Whatever a text holds, the answer is instructions or errors.
    #[test]
    fn any_text(text in "([a-z.]{1,9}|[rw][0-9]{1,2}|0x[0-9a-f]{1,17}|-?[0-9]{1,20}|[-+*/%&|^<>=(){}\\[\\];:,\"'#@!\n ]){0,60}") {
        for syntax in [Syntax::Auto, Syntax::PseudoC, Syntax::Mnemonic] {
            let _ = assemble_insns(&text, syntax);
            let _ = ebpfkit_asm::assemble_elf("x.s", &text, syntax);
        }
    }
}

#[test]
fn labels_and_all_errors() {
    let good = assemble_insns("r0 = 0\nl:\nr0 += 1 // one\nif r0 < 5 goto l\nexit", Syntax::Auto);
    assert_eq!(good.unwrap_or_else(|e| panic!("{e}"))[2].off, -2);
    let bad = assemble_insns("r0 = 1\nr11 = 2\ngoto nowhere\nexit", Syntax::Auto).unwrap_err();
    assert_eq!(bad.list.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 3]);
}
