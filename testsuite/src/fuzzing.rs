//! What fuzz targets do with their input; the `mutate` command does the same with mutated examples.
//!
//! Each function takes any bytes. It must return: a panic, a hang or unbounded memory is a defect.

use crate::containment::{self, Outcome};
use crate::engines::{self, Input, Which};
use crate::generate::{self, Bytes, Config, Source};
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_asm::{Syntax, assemble_insns, assemble_object, instruction};
use ebpfkit_isa::{Endian, Insn, decode, encode};
use ebpfkit_object::{Btf, Object, Prepared, Program, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, verify};
use ebpfkit_vm::capture;

/// What is given the bytes of an input.
pub type Read = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: [(&str, Read); 10] = [
    ("elf", elf),
    ("btf", btf),
    ("text", text),
    ("capture", capture),
    ("decode_encode", decode_encode),
    ("assemble_disassemble", assemble_disassemble),
    ("instructions", instructions),
    ("contained", contained),
    ("engines", engines),
    ("helpers", helpers),
];

/// Instructions of a program that is judged whole; more only costs time.
const MOST_INSNS: usize = 4096;

/// An ELF file, opened, prepared and judged.
pub fn elf(data: &[u8]) {
    let Ok(object) = Object::open("fuzz.o", data) else { return };
    let Ok(prepared) = object.prepare(&Target::default()) else { return };
    judge(&prepared);
}

fn judge(prepared: &Prepared) {
    let model = KernelModel::standard();
    for (index, program) in prepared.object.programs.iter().enumerate() {
        let loadable = prepared.unloadable.get(index).is_none_or(Option::is_none);
        if loadable && program.insns.len() <= MOST_INSNS {
            verify(&model, &prepared.object, index, Options::default(), &mut Silent);
        }
    }
}

/// A `.BTF` section, read and looked at type by type.
pub fn btf(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    for id in 0..btf.len() {
        let _ = (btf.get(id), btf.name(id), btf.size_of(id), btf.resolve(id));
        let _ =
            (btf.members(id).count(), btf.params(id).count(), btf.enum_values(id).count(), btf.sec_vars(id).count());
        let _ = btf.decl_tags(id, -1).count();
    }
}

/// Assembly text.
pub fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = assemble_object("fuzz.s", &text);
}

/// A capture, read to its end.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = capture::Reader::new(data) else { return };
    while let Ok(Some(_)) = reader.next() {}
}

fn insns_of(data: &[u8]) -> Vec<Insn> {
    let whole = data.len() / Insn::SIZE * Insn::SIZE;
    Insn::read_all(&data[..whole], Endian::Little).unwrap_or_default()
}

/// What decodes must encode to the same slots.
pub fn decode_encode(data: &[u8]) {
    let insns = insns_of(data);
    let mut at = 0;
    while at < insns.len() {
        match decode(&insns, at) {
            Ok((op, slots)) => {
                let (first, second) = encode(op).expect("what was decoded can be encoded");
                assert_eq!(first, insns[at]);
                assert_eq!(second, (slots == 2).then(|| insns[at + 1]));
                at += slots;
            }
            Err(_) => at += 1,
        }
    }
}

/// Instructions, and slots that are none, must survive the way to text and back in both syntaxes.
pub fn assemble_disassemble(data: &[u8]) {
    let mut insns = insns_of(data);
    insns.truncate(MOST_INSNS);
    for syntax in [Syntax::PseudoC, Syntax::Mnemonic] {
        let mut text = String::new();
        let mut at = 0;
        while at < insns.len() {
            let (line, slots) = instruction(&insns, at, syntax);
            text += &line;
            text.push('\n');
            at += slots;
        }
        let back = assemble_insns(&text, syntax).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        assert_eq!(back, insns, "{text}");
    }
}

/// Any instructions, given to the verifier as a program of any of some types.
pub fn instructions(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    const KINDS: [ProgType; 5] =
        [ProgType::Xdp, ProgType::SchedCls, ProgType::SocketFilter, ProgType::Kprobe, ProgType::CgroupSkb];
    let mut insns = insns_of(rest);
    insns.truncate(MOST_INSNS);
    let program = Program {
        name: "fuzz".into(),
        prog_type: KINDS[usize::from(kind) % KINDS.len()],
        attach_type: AttachType::default(),
        insns,
        ..Program::default()
    };
    // The maps of generated programs are there to be referred to.
    let mut prepared =
        generate::program(&mut Bytes(&[]), &Config { statements: 1, mistakes: 0, functions: 0, ..Config::DEFAULT });
    prepared.object.programs = vec![program];
    judge(&prepared);
}

const SMALL: Config = Config { statements: 24, mistakes: 15, functions: 2, ..Config::DEFAULT };
const CONTAINED: Config = Config { constructs: SMALL.constructs.minus(containment::UNWATCHED), ..SMALL };

/// A structured program from the input's choices, which must do only what the verifier foresaw.
pub fn contained(data: &[u8]) {
    let mut source = Bytes(data);
    let prepared = generate::program(&mut source, &CONTAINED);
    let inputs = inputs(&mut source);
    if let Outcome::Violation(what) = containment::check(&KernelModel::standard(), &prepared, &inputs) {
        panic!("{what}\n{}", crate::text_of(&prepared));
    }
}

fn inputs(source: &mut impl Source) -> Vec<Input> {
    let first = Input::random(source);
    vec![Input { packet: vec![0x55; 64], ..first.clone() }, first]
}

/// A structured program from the input's choices, which must give the same in every engine.
pub fn engines(data: &[u8]) {
    let mut source = Bytes(data);
    let prepared = generate::program(&mut source, &Config { mistakes: 0, ..SMALL });
    let model = KernelModel::standard();
    let Ok(verified) = engines::verified_all(&model, &prepared) else { return };
    for input in inputs(&mut source) {
        let first = engines::outcome(Which::InterpreterChecked, &model, &prepared, &verified, &input);
        let first = first.expect("an accepted program runs");
        for which in [Which::InterpreterUnchecked, Which::JitVerified, Which::JitSandboxed] {
            let other = engines::outcome(which, &model, &prepared, &verified, &input).expect("it runs everywhere");
            if let Some(what) = engines::difference(&first, &other, false) {
                panic!("{which:?}: {what}\n{}", crate::text_of(&prepared));
            }
        }
    }
}

/// Helpers and kernel functions, called from an unverified program with arguments from the input's choices.
pub fn helpers(data: &[u8]) {
    if let Err(what) = crate::helpers::case(&mut Bytes(data)) {
        panic!("{what}");
    }
}
