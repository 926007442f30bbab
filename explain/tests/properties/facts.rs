//! Whether a diagnosis speaks of the program before it: names that the program has, numbers that were computed from it.

use crate::Rejected;
use ebpfkit_explain::catalogue;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;
use ebpfkit_verifier::KernelModel;
use std::collections::HashSet;

/// Words that lines of source have in common with plain sentences, and a limit of every kernel.
const NO_FACTS: [&str; 20] = [
    "a", "an", "as", "at", "break", "call", "context", "data", "do", "else", "exit", "for", "goto", "if", "in",
    "return", "static", "value", "while", "512",
];

/// What would be said of any program that is rejected with this message.
fn general(case: &Rejected<'_>) -> HashSet<&'static str> {
    let message = case.diagnosis.messages.last().map(String::as_str).unwrap_or_default();
    let texts = catalogue::find(message).into_iter().flat_map(|e| [e.cause, e.remedy]);
    texts.flat_map(words).chain(NO_FACTS).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// The names that a program has: of functions and calls, maps, types, registers, and those in the lines that are shown.
fn names(kernel: &KernelModel, case: &Rejected<'_>) -> HashSet<String> {
    let object = &case.prepared.object;
    let program = &object.programs[case.program];
    let mut found: HashSet<String> = HashSet::new();
    let mut add = |text: &str| found.extend(words(text).map(str::to_owned));
    object.maps.iter().for_each(|m| add(&m.name));
    for text in [&program.name, &program.section, &program.attach_target, &program.prog_type.to_string()] {
        add(text);
    }
    let types: Option<&Btf> = object.btf.as_deref();
    if let Some(btf) = types {
        let named = |id: &u32| matches!(btf.kind(*id), Some(Kind::Func | Kind::Struct | Kind::Union | Kind::Typedef));
        (1..btf.len()).filter(named).for_each(|id| add(btf.name(id)));
    }
    for insn in program.insns.iter().filter(|i| i.is_call()) {
        match insn.src {
            0 => add(u32::try_from(insn.imm).ok().and_then(ebpfkit_abi::helpers::helper_name).unwrap_or_default()),
            pseudo::KFUNC_CALL => add(kernel.btf().map(|b| b.name(insn.imm as u32)).unwrap_or_default()),
            _ => {}
        }
    }
    if let Some(insn) = program.insns.get(case.rejection.insn) {
        insn.reads().iter().chain(insn.writes().iter()).for_each(|r| add(&format!("r{r} R{r}")));
    }
    let d = &case.diagnosis;
    std::iter::once(&d.primary).chain(&d.secondary).for_each(|s| add(&s.text));
    add(&format!("{:?}", case.rejection.reason));
    found
}

/// What a diagnosis names of its program.
pub fn named(kernel: &KernelModel, case: &Rejected<'_>) -> Vec<String> {
    let (of_program, general) = (names(kernel, case), general(case));
    let d = &case.diagnosis;
    let labels = std::iter::once(&d.primary).chain(&d.secondary).map(|s| &s.label);
    let said = std::iter::once(&d.headline).chain(labels).chain(&d.notes);
    let is_fact = |w: &&str| {
        let is_number = w.starts_with(|c: char| c.is_ascii_digit());
        !general.contains(w) && (is_number || of_program.contains(*w))
    };
    said.flat_map(|t| words(t)).filter(is_fact).map(str::to_owned).collect()
}
