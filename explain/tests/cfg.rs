//! Pictures of control flow: what stands in them.

use ebpfkit_explain::cfg::{Program, svg};
use ebpfkit_explain::source::line_of;
use ebpfkit_object::Object;

const SOURCE: &str = "\
.section tc
.func main
  r6 = 0
again:
  r6 += 1
  if r6 < 4 goto again
  r1 = 3
  r2 = each ll
  r3 = 0
  r4 = 0
  call bpf_loop
  r0 = 0
  if r6 == 9 goto never
  exit
never:
  r0 = 1
  exit
.section .text
.func each
  r0 = 0
  exit
";

/// How often each slot is executed, and jumps: the loop has four passes, the last of which goes on.
const EXECUTED: [u64; 16] = [1, 4, 4, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 3, 3];
const JUMPED: [u64; 16] = [0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn picture(object: &Object, executed: Option<(Vec<u64>, Vec<u64>)>) -> String {
    let program = &object.programs[0];
    let btf = object.btf.as_deref().expect("types");
    let line = |slot: usize| line_of(program, btf, slot).map(|l| (slot, (format!("{}:{}", l.file, l.line), l.text)));
    let functions = ebpfkit_asm::functions(object, 0);
    let drawn = Program {
        title: "main (tc) <&>".into(),
        insns: &program.insns,
        functions: functions.into_iter().map(|f| (f.name, f.lines)).collect(),
        lines: program.line_info.iter().filter_map(|l| line(l.insn as usize)).collect(),
        executed,
    };
    svg("x.s", &[drawn])
}

fn object() -> Object {
    ebpfkit_asm::assemble_object("x.s", SOURCE).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn functions_loops_callbacks_and_lines_are_there() {
    let text = picture(&object(), None);
    for part in [
        "main (tc) &lt;&amp;&gt;",
        ">main</text>",
        ">each (callback)</text>",
        "class=\"b l1\"",
        "x.s:5  r6 += 1",
        "class=\"k\"",
        ">yes</text>",
        ">no</text>",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(text.matches("<rect class=\"b").count(), 6, "a box for each block");
    for tag in ["svg", "g", "text"] {
        assert_eq!(text.matches(&format!("<{tag}")).count(), text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn edges_say_how_often_they_were_taken() {
    let object = object();
    assert_eq!(object.programs[0].insns.len(), EXECUTED.len());
    let text = picture(&object, Some((EXECUTED.to_vec(), JUMPED.to_vec())));
    for part in [
        ">main: once</text>",
        ">each (callback): 3 times</text>",
        ">yes 3</text>",
        ">no 1</text>",
        ">yes 0</text>",
        ">0 times</text>",
        "class=\"b z\"",
        "class=\"w\"",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
