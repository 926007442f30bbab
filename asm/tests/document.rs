//! The forms that `docs/asm.md` shows assemble, and both syntaxes of one are the same instruction.

use ebpfkit_asm::{Syntax, assemble_insns};
use ebpfkit_isa::Insn;

/// The pieces of code in a cell.
fn forms(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// An instruction in front of what it may name.
fn assembled(form: &str, syntax: Syntax) -> Vec<Insn> {
    let rest = match syntax {
        Syntax::Mnemonic => "l: mov r0, 0\nexit\nf: mov r0, 1\nexit\n",
        _ => "l: r0 = 0\nexit\nf: r0 = 1\nexit\n",
    };
    assemble_insns(&format!("{form}\n{rest}"), syntax).unwrap_or_else(|e| panic!("{form}: {e}"))
}

#[test]
fn the_table_of_both_syntaxes_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/asm.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let table = text.lines().skip_while(|l| !l.starts_with("| | pseudo-C"));
    let mut compared = 0;
    for row in table.skip(2).take_while(|l| l.starts_with('|')) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (pseudo, mnemonic) = (forms(cells[1]), forms(cells[2]));
        let pseudo: Vec<_> = pseudo.into_iter().map(|f| (f, assembled(f, Syntax::PseudoC))).collect();
        for (form, insns) in mnemonic.into_iter().map(|f| (f, assembled(f, Syntax::Mnemonic))) {
            // Calls are shown by `the same` and what is written otherwise.
            let same = pseudo.iter().any(|(_, other)| *other == insns);
            assert!(same, "{form} is none of {:?}", pseudo.iter().map(|(f, _)| f).collect::<Vec<_>>());
            compared += 1;
        }
    }
    assert!(compared > 25, "{compared} forms");
}
