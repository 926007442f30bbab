//! The mnemonic syntax, by its encodings.
use ebpfkit_asm::{Syntax, assemble_insns};
use ebpfkit_isa::Insn;

fn one(text: &str) -> Insn {
    match assemble_insns(text, Syntax::Mnemonic) {
        Ok(insns) => insns[0],
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn forms() {
    let cases = [
        ("ldxw r0, [r1+4]", (0x61, 0, 1, 4, 0)),
        ("ldxdw %r0, [%r1-8]", (0x79, 0, 1, -8, 0)),
        ("ldxsb r0, [r1]", (0x91, 0, 1, 0, 0)),
        ("stxdw [r10-8], r1", (0x7b, 10, 1, -8, 0)),
        ("stw [r1], 5", (0x62, 1, 0, 0, 5)),
        ("mov32 r1, -1", (0xb4, 1, 0, 0, -1)),
        ("mov r1, 0xffffffff", (0xb7, 1, 0, 0, -1)),
        ("mov64 r1, 0xffffffffffffffff", (0xb7, 1, 0, 0, -1)),
        ("sdiv r1, r2", (0x3f, 1, 2, 1, 0)),
        ("jsgt r1, 5, +3", (0x65, 1, 0, 3, 5)),
        ("jeq32 w1, r2, -1", (0x1e, 1, 2, -1, 0)),
        ("ja +1", (0x05, 0, 0, 1, 0)),
        ("ja32 -1", (0x06, 0, 0, 0, -1)),
        ("lock xadd [r1+0], r2", (0xdb, 1, 2, 0, 0)),
        ("lock add32 [r1+0], r2", (0xc3, 1, 2, 0, 0)),
        ("lock fetch_add [r1+0], r2", (0xdb, 1, 2, 0, 1)),
        ("lock fetch xor32 [r1-4], r2", (0xc3, 1, 2, -4, 0xa1)),
        ("lock cmpxchg [r1+8], r2", (0xdb, 1, 2, 8, 0xf1)),
        ("call 1", (0x85, 0, 0, 0, 1)),
        ("call helper 1", (0x85, 0, 0, 0, 1)),
        ("call bpf_map_lookup_elem", (0x85, 0, 0, 0, 1)),
        ("call local +2", (0x85, 0, 1, 0, 2)),
        ("call runtime 7", (0x85, 0, 2, 0, 7)),
        ("callx r1", (0x8d, 1, 0, 0, 0)),
        ("be16 r1", (0xdc, 1, 0, 0, 16)),
        ("le32 r1", (0xd4, 1, 0, 0, 32)),
        ("swap64 r1", (0xd7, 1, 0, 0, 64)),
        ("neg r1", (0x87, 1, 0, 0, 0)),
        ("neg32 r1", (0x84, 1, 0, 0, 0)),
        ("movsx832 r1, r2", (0xbc, 1, 2, 8, 0)),
        ("movsx3264 r1, r2", (0xbf, 1, 2, 32, 0)),
        ("ldabsb 3", (0x30, 0, 0, 0, 3)),
        ("ldindh r1, 3", (0x48, 0, 1, 0, 3)),
        ("may_goto +1", (0xe5, 0, 0, 1, 0)),
        ("exit # the end", (0x95, 0, 0, 0, 0)),
        ("exit ; the end, don't", (0x95, 0, 0, 0, 0)),
    ];
    for (text, (code, dst, src, off, imm)) in cases {
        assert_eq!(one(text), Insn::new(code, dst, src, off, imm), "{text}");
    }
}

#[test]
fn labels() {
    let text = "mov r0, 0\njeq r1, 5, exit\ncall local f\nlddw r2, 0x1122334455667788\nexit\nf:\nexit";
    let insns = assemble_insns(text, Syntax::Auto).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((insns[1].off, insns[2].imm, insns[2].src), (3, 3, 1));
    assert_eq!(insns[3].imm64(insns[4]), 0x1122_3344_5566_7788);
}

#[test]
fn errors() {
    let e =
        assemble_insns("mov r1, 5\nmovv r1, 5\nldxw r1, 5\nja nowhere\nstb [r1+99999], 1", Syntax::Auto).unwrap_err();
    let lines: Vec<usize> = e.list.iter().map(|e| e.line).collect();
    assert_eq!(lines, [2, 3, 4, 5], "{e}");
    assert_eq!(e.list[0].help.as_deref(), Some("did you mean `mov`?"));
}
