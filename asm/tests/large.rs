//! Texts whose reading would take hours if anything in it grew with the square of their length.

use ebpfkit_asm::{Syntax, assemble_elf, assemble_insns, assemble_object};
use std::fmt::Write;

/// How often a text repeats something. What takes the square of it as steps is noticed.
const MANY: usize = 60_000;

/// `line` for each number, joined.
fn lines(count: usize, line: impl Fn(&mut String, usize)) -> String {
    let mut text = String::new();
    (0..count).for_each(|n| line(&mut text, n));
    text
}

#[test]
fn wrong_lines_are_counted() {
    for wrong in ["bpf_map_lokup_elem r1\n", "r1 = *(u33 *)(r1 + 0)\n", "call bpf_map_lokup_elem\n", "goto nowhere\n"] {
        let errors = assemble_elf("", &wrong.repeat(MANY), Syntax::PseudoC).expect_err("every line is wrong");
        assert_eq!(errors.list.len(), 100, "{wrong}");
        assert_eq!(errors.list[99].line, 100, "{wrong}");
        assert_eq!(errors.more, MANY - 100, "{wrong}");
        assert!(errors.to_string().ends_with(&format!("\nand {} more", MANY - 100)), "{wrong}");
    }
}

#[test]
fn one_line_of_many_statements() {
    let good = "r0 = 1;".repeat(MANY) + "exit";
    assert_eq!(assemble_insns(&good, Syntax::PseudoC).expect("assembles").len(), MANY + 1);
    let errors = assemble_insns(&"r0 = r99;".repeat(MANY), Syntax::PseudoC).expect_err("there is no r99");
    assert_eq!(errors.list.len() + errors.more, MANY);
    assert!(errors.list.iter().all(|e| e.text.len() <= 400 && e.line == 1));
    assert!(errors.list[50].to_string().contains("r99"));
}

#[test]
fn functions_labels_and_sections() {
    let functions = lines(MANY, |text, n| {
        let _ = write!(text, ".section xdp\n.func f{n}\nif r1 == 0 goto out\nr0 = 1\nout: exit\n");
    });
    assert_eq!(assemble_object("many.s", &functions).expect("assembles").programs.len(), MANY);
    let called = lines(MANY, |text, n| {
        let _ = write!(text, ".func static f{n}\n1: r0 = {n}\nif r0 > 7 goto 1b\nexit\n");
    });
    let calls = lines(MANY, |text, n| {
        let _ = writeln!(text, "call f{n}");
    });
    let text = format!(".section xdp\n.func main\n{calls}exit\n.text\n{called}");
    let object = assemble_object("calls.s", &text).expect("assembles");
    assert_eq!(object.programs[0].insns.len(), MANY * 4 + 1);
    // A section for each.
    let sections = lines(MANY / 4, |text, n| {
        let _ = write!(text, ".section s{n}\n.func f{n}\nexit\n.section .data.s{n}\n.var u32 v{n} = 1\n");
    });
    assert_eq!(assemble_object("sections.s", &sections).expect("assembles").maps.len(), MANY / 4);
}

#[test]
fn slots_data_and_maps() {
    let slots = ".8byte 0x95\n".repeat(MANY);
    assert_eq!(assemble_insns(&slots, Syntax::PseudoC).expect("assembles").len(), MANY);
    let constants = lines(MANY, |text, n| {
        let _ = write!(text, ".equ c{n}, {n}\n.data u32 v{n} = c{n}\n");
    });
    assert!(assemble_object("data.s", &constants).is_ok());
    let maps = lines(MANY / 4, |text, n| {
        let _ = writeln!(text, ".map m{n} hash key=u32 value=u64 max_entries=1");
    });
    assert_eq!(assemble_object("maps.s", &maps).expect("assembles").maps.len(), MANY / 4);
    let attributes = format!(".map m hash {}", "key=u32 ".repeat(MANY));
    let errors = assemble_object("attributes.s", &attributes).expect_err("one is enough");
    assert!(errors.list[0].message.contains("given twice"));
}

#[test]
fn texts_that_ask_for_much_memory() {
    for (text, what) in [
        (".bss u8 x[200000000]\n.bss u8 y[200000000]\n".to_owned(), "variables and maps of more than"),
        (".data\nx: .zero 1048576\n".to_owned() + &".zero 1048576\n".repeat(300), "bytes of data"),
        (
            lines(1000, |text, n| {
                let _ = writeln!(text, ".map m{n} prog_array max_entries=65536 values=[65535: p]");
            }) + ".section xdp\n.func p\nexit\n",
            "variables and maps of more than",
        ),
    ] {
        let errors = assemble_object("memory.s", &text).expect_err("it is too much");
        assert!(errors.list[0].message.contains(what), "{errors}");
    }
}
