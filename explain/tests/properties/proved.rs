//! What is called proved is accepted: for the programs of this repository and for mutations of them.

use crate::{accepts, own_programs, profile, rejected};
use ebpfkit_asm::{Style, assemble_object, listing};
use ebpfkit_isa::opcode::class;
use ebpfkit_isa::{Insn, opcode};
use ebpfkit_object::Object;
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::KernelModel;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A small change of one instruction: which one, how, and with what number.
type Mutation = (usize, u8, i16);

/// Does to a program what makes rejections: checks that are gone, other sizes and offsets, other registers.
fn mutate(insns: &mut [Insn], (at, how, value): Mutation) {
    let Some(at) = at.checked_rem(insns.len()) else { return };
    let is_half = at.checked_sub(1).is_some_and(|before| insns[before].is_ld_imm64());
    let insn = &mut insns[at];
    if is_half || insn.is_ld_imm64() || insn.is_call() {
        return;
    }
    match how {
        0 => *insn = Insn::new(opcode::class::JMP, 0, 0, 0, 0),
        1 => insn.imm = insn.imm.wrapping_add(value.into()),
        2 if insn.memory_base().is_some() => insn.off = insn.off.wrapping_add(value % 64),
        // Another comparison.
        3 if insn.is_jump_class() && insn.code != opcode::EXIT => insn.code ^= 0x10,
        // Another size of an access.
        4 if matches!(insn.class(), class::LDX | class::ST | class::STX) => insn.code ^= 0x08,
        5 => insn.dst = (insn.dst + 1) % 10,
        6 => insn.src = if insn.src < 10 && insn.is_src_reg() { (insn.src + 1) % 10 } else { insn.src },
        _ => insn.imm = i32::from(value),
    }
}

/// Holds what is proved of one program against the verifier; how many suggestions were.
fn check(profile: &Arc<Profile>, kernel: &KernelModel, path: &Path, object: &Object, program: usize) -> usize {
    let target = profile.target(object.needs());
    let Ok(prepared) = object.clone().prepare(&target) else { return 0 };
    let beside = path.parent().unwrap_or(Path::new("."));
    let Some(case) = rejected(kernel, &prepared, program, beside) else { return 0 };
    let name = format!("{} {}", path.display(), prepared.object.programs[program].name);
    let proved = case.diagnosis.suggestions.iter().filter(|s| s.proved).count();
    assert_eq!(proved > 0, case.repair.is_some(), "{name}: what is proved can be done");
    let Some(repair) = case.repair else { return 0 };
    for s in case.diagnosis.suggestions.iter().filter(|s| s.proved) {
        assert!(!s.insns.is_empty() || !s.source.is_empty(), "{name}: {} has no edit", s.text);
    }
    let mended = repair.apply(&prepared.object, program).expect("the same object");
    accepts(kernel, &mended, program).unwrap_or_else(|e| panic!("{name}: {e}"));
    // The same as text, as `verify --fix-asm` writes it.
    if path.extension().is_some_and(|e| e == "s") {
        let mended = repair.apply(object, program).expect("the same object");
        let all: Vec<usize> = (0..mended.programs.len()).collect();
        let text = listing(&mended, &all, Style { declarations: true, ..Style::default() });
        let again = assemble_object("mended.s", &text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        let again = again.prepare(&target).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        accepts(kernel, &again.object, program).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
    }
    proved
}

#[test]
fn what_is_proved_is_accepted() {
    let profile = profile();
    let kernel = profile.model();
    let mut proved = 0;
    for (path, object) in own_programs() {
        for program in 0..object.programs.len() {
            proved += check(&profile, &kernel, &path, &object, program);
        }
    }
    assert!(proved > 40, "{proved} suggestions are proved");
}

#[test]
fn what_is_proved_of_mutations_is_accepted() {
    let profile = profile();
    let kernel = profile.model();
    let objects: Vec<(PathBuf, Object)> = own_programs();
    let count: usize = objects.iter().map(|(_, o)| o.programs.len()).sum();
    let mutation = (any::<usize>(), 0..8u8, prop_oneof![Just(1), Just(-1), Just(4), Just(8), any::<i16>()]);
    let strategy = (0..count, prop::collection::vec(mutation, 0..4));
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 400, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let result = runner.run(&strategy, |(number, mutations)| {
        let mut number = number;
        let (path, object) = objects
            .iter()
            .find(|(_, o)| {
                let found = number < o.programs.len();
                number -= if found { 0 } else { o.programs.len() };
                found
            })
            .expect("below the count");
        let mut object = object.clone();
        for mutation in mutations {
            mutate(&mut object.programs[number].insns, mutation);
        }
        check(&profile, &kernel, path, &object, number);
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}
