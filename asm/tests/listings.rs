//! Text that programs have written: compilers, llvm-objdump, bpftool and the kernel's log.

use ebpfkit_asm::{Style, Syntax, assemble_elf, assemble_insns, assemble_object, listing};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Object, link::link};

fn insns(text: &str) -> Vec<Insn> {
    assemble_insns(text, Syntax::Auto).unwrap_or_else(|e| panic!("{e}"))
}

/// What clang writes with `-S`: a program, a function that it calls, variables, and sections that are left out.
#[test]
fn compiled_text() {
    let object = assemble_object("s.s", include_str!("data/listings/clang.s")).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<_> = object.programs.iter().map(|p| (p.name.as_str(), p.section.as_str())).collect();
    assert_eq!(names, [("prog", "tc")]);
    assert_eq!(object.license, "GPL");
    let called = object.programs[0].insns.iter().filter(|i| i.code == 0x85).map(|i| (i.src, i.imm));
    // Behind the program's own instructions.
    assert_eq!(called.collect::<Vec<_>>(), [(1, object.programs[0].subprograms[0].0 as i32 - 3 - 1)]);
    assert_eq!(object.subprograms[0].name, "twice");
}

/// What `llvm-objdump -dr` writes of the same, with a call that is relocated against its section.
#[test]
fn objdump_with_relocations() {
    let text = include_str!("data/listings/objdump.txt");
    let declared = ".bss u32 counter\n.section .rodata.cst16\n.var u32 values[4] = {1, 2, 3, 4}\n";
    let text = text.replace("R_BPF_64_64\t.rodata.cst16", "R_BPF_64_64\tvalues");
    let object = assemble_object("s.s", &format!("{declared}{text}")).unwrap_or_else(|e| panic!("{e}"));
    let compiled = assemble_object("s.s", include_str!("data/listings/clang.s")).expect("as above");
    let code = |o: &Object| o.programs[0].insns.iter().map(|i| (i.code, i.dst, i.src, i.off)).collect::<Vec<_>>();
    assert_eq!(code(&object), code(&compiled));
    let errors = assemble_object("s.s", include_str!("data/listings/objdump.txt")).expect_err("no variables");
    assert!(errors.to_string().contains("there is no map, variable or function `counter`"), "{errors}");
}

/// Calls as distances, told by their bytes or by their sign.
#[test]
fn objdump_of_a_linked_program() {
    let text = "prog.o:\tfile format elf64-bpf\n\nDisassembly of section tc:\n\n\
                0000000000000000 <helper>:\n       0:\tb7 00 00 00 01 00 00 00\tr0 = 0x1\n       1:\t95 00 00 00 00 00 00 00\texit\n\n\
                0000000000000010 <prog>:\n       2:\t85 10 00 00 fd ff ff ff\tcall -0x3\n       3:\t85 00 00 00 07 00 00 00\tcall 0x7\n\
                0000000000000020 <LBB1_1>:\n       4:\t85 20 00 00 20 00 00 00\tcall 0x20\n       5:\t05 00 fe ff 00 00 00 00\tgoto -0x2 <LBB1_1>\n";
    let read = insns(text);
    let calls: Vec<_> = read.iter().filter(|i| i.code == 0x85).map(|i| (i.src, i.imm)).collect();
    assert_eq!(calls, [(1, -3), (0, 7), (2, 0x20)]);
    assert_eq!(read[5].off, -2);
    assert_eq!(insns("r0 = 1\nexit\ncall -0x3\nexit")[2], Insn::new(0x85, 0, 1, 0, -3));
    let object =
        assemble_object("prog.s", &text.replace("call 0x20", "r1 = 1").replace("85 20 00 00 20", "b7 01 00 00 01"));
    let object = object.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(object.programs.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["prog"]);
    let unknown = "Disassembly of section tc:\n0000000000000000 <p>:\n 0:\tb7 00 00 00 00 00 00 00\tr0 = 0\n \
                   1:\t85 10 00 00 ff ff ff ff\tcall -0x1\n";
    let errors = assemble_object("x.s", unknown).expect_err("it calls its own call");
    assert!(errors.to_string().contains("llvm-objdump -dr"), "{errors}");
}

#[test]
fn bpftool_dump() {
    let text = "int prog(struct xdp_md * ctx):\n; int prog(struct xdp_md *ctx)\n   0: (b7) r1 = 7\n; return helper(7);\n   1: (85) call pc+1#bpf_prog_1234_helper\n   2: (95) exit\n\
                int helper(int x):\n   3: (bf) r0 = r1\n   4: (67) r0 <<= 1\n   5: (95) exit\n";
    assert_eq!(insns(text)[1], Insn::new(0x85, 0, 1, 0, 1));
    let object = assemble_object("dump.s", text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(object.subprograms.len(), 1);
    assert_eq!(object.programs[0].insns.len(), 6);
}

/// Every path is in the log, so instructions come again and in another order.
#[test]
fn kernel_log_of_all_paths() {
    let log = "func#0 @0\nLive regs before insn:\n      0: .......... (b7) r0 = 0\n0: R1=ctx() R10=fp0\n; int p(void *ctx) @ a.c:3\n0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2_w=scalar()\n\
               1: (18) r3 = 0x1122334455667788       ; R3_w=0x1122334455667788\n3: (55) if r2 != 0x0 goto pc+2        ; R2=0\n4: (b7) r0 = 0                        ; R0=0\n5: (95) exit\n\n\
               from 3 to 6: R1=ctx() R2=scalar() R10=fp0\n6: R1=ctx() R2=scalar()\n6: (b7) r0 = 1                        ; R0=1\n5: (95) exit\n7: (05) goto pc-3\n\
               processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0\n";
    let read = insns(log);
    assert_eq!(read.len(), 8);
    assert_eq!(read[2].imm, 0x1122_3344);
    assert_eq!((read[3].off, read[7].off), (2, -3));
    let cut =
        log.replace("4: (b7) r0 = 0                        ; R0=0\n5: (95) exit\n\n", "").replace("5: (95) exit\n", "");
    let errors = assemble_insns(&cut, Syntax::Auto).expect_err("two are missing");
    assert!(errors.list[0].message.contains("instructions 4 to 5 are missing"), "{errors}");
}

#[test]
fn bytes_are_read_back() {
    let text = ".section xdp\n.func p\nr1 = 0x1122334455667788 ll\ncall f\nexit\n.text\n.func static f\nr0 = 2\nexit\n";
    let object = assemble_object("b.s", text).unwrap_or_else(|e| panic!("{e}"));
    let style = Style { bytes: true, declarations: true, ..Style::default() };
    let shown = listing(&object, &[0], style);
    assert!(
        shown.contains("       0: 18 01 00 00 88 77 66 55 00 00 00 00 44 33 22 11 \tr1 = 0x1122334455667788 ll\n"),
        "{shown}"
    );
    let back = assemble_object("b.s", &shown).unwrap_or_else(|e| panic!("{e}\n{shown}"));
    assert_eq!(back.programs[0].insns, object.programs[0].insns);
}

/// Linked objects have static functions of one name; those that nothing calls stay, and all stay in order.
#[test]
fn functions_of_one_name_and_without_callers() {
    let one = |number: u32| {
        let text = format!(
            ".section tc\n.func prog{number}\ncall helper\nexit\n.text\n.func static unused{number}\nr0 = 9\nexit\n\
             .func static helper\nr0 = {number}\nexit\n.func static last{number}\nr0 = 8\nexit\n"
        );
        assemble_elf("one.s", &text, Syntax::Auto).unwrap_or_else(|e| panic!("{e}"))
    };
    let (a, b) = (one(1), one(2));
    let linked = link(&[("a.o", &a), ("b.o", &b)]).expect("links");
    let object = Object::open("linked.o", &linked).expect("opens");
    let text = listing(&object, &[0, 1], Style { declarations: true, ..Style::default() });
    let back = assemble_object("back.s", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for (old, new) in object.programs.iter().zip(&back.programs) {
        assert_eq!(old.insns, new.insns, "{text}");
    }
    let names: Vec<_> = back.subprograms.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["unused1", "helper", "last1", "unused2", "helper_2", "last2"]);
    let insns = |o: &Object| o.subprograms.iter().map(|s| s.insns.clone()).collect::<Vec<_>>();
    assert_eq!(insns(&object), insns(&back));
}
