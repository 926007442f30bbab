//! Objects as text by the kernel's types (`bpf_snprintf_btf`): the same text as the running kernel's, for types of every
//! kind with random contents. Skipped without bpf(2).

use ebpfkit_jit::Jit;
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, TypeId};
use ebpfkit_testsuite::{running, shrink};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Verdict, verify};
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng};

/// Bytes of the value before the object: type, flags, result.
const HEAD: usize = 64;
/// Bytes for the object.
const OBJECT: usize = 1024;
/// Bytes for the text.
const TEXT: usize = 30_000;

/// Shows the object in the map's only value and leaves the text behind it.
const PROGRAM: &str = "
.data char data[31088]
.section raw_tp/sys_enter
    r6 = data ll
    r1 = r6
    r1 += 64
    *(u64 *)(r10 - 16) = r1
    r1 = *(u32 *)(r6 + 0)
    *(u32 *)(r10 - 8) = r1
    *(u32 *)(r10 - 4) = 0
    r1 = r6
    r1 += 1088
    r2 = *(u32 *)(r6 + 4)
    if r2 > 30000 goto out
    if r2 == 0 goto out
    r3 = r10
    r3 += -16
    r4 = 16
    r5 = *(u64 *)(r6 + 8)
    call bpf_snprintf_btf
    *(u64 *)(r6 + 16) = r0
out:
    r0 = 0
    exit
";

#[derive(Clone, Debug)]
struct Case {
    ty: TypeId,
    flags: u64,
    size: u32,
    object: Vec<u8>,
}

impl Case {
    fn value(&self) -> Vec<u8> {
        let mut value = vec![0; HEAD + OBJECT + TEXT];
        value[0..4].copy_from_slice(&self.ty.to_ne_bytes());
        value[4..8].copy_from_slice(&self.size.to_ne_bytes());
        value[8..16].copy_from_slice(&self.flags.to_ne_bytes());
        value[HEAD..HEAD + self.object.len()].copy_from_slice(&self.object);
        value
    }
}

/// What a run has left in the value: the result and the text.
fn answer(value: &[u8]) -> (i64, String) {
    let result = i64::from_ne_bytes(value[16..24].try_into().expect("eight bytes"));
    let text = &value[HEAD + OBJECT..];
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    (result, text[..end].iter().map(|b| char::from(*b)).collect())
}

/// Whether values of a type are shown from the object's own bytes alone: the kernel reads four bytes of each enumeration,
/// however short it is.
fn is_closed(types: &Btf, ty: TypeId, nesting: u32) -> bool {
    let ty = types.resolve(ty);
    if nesting == 8 {
        return false;
    }
    match types.kind(ty) {
        Some(Kind::Struct | Kind::Union) => types.members(ty).all(|m| is_closed(types, m.ty, nesting + 1)),
        Some(Kind::Enum) => types.size_of(ty) == Some(4),
        _ => true,
    }
}

#[test]
fn texts_are_the_kernels() {
    let Some(kernel) = running::or_skip("texts_are_the_kernels") else { return };
    let model = running::model();
    let Some(types) = model.btf().cloned() else { return running::skipped(1, "texts_are_the_kernels: no types") };
    let prepared = shrink::assemble("typed_text", PROGRAM).expect("it assembles");
    let Verdict::Accepted(proof) = verify(&model, &prepared.object, 0, Options::to_run(), &mut Silent).verdict else {
        panic!("the verifier refuses it")
    };
    let session = Session::new(kernel, &prepared).expect("the kernel has a map for it");
    let loaded = session.load(0, LogLevel::NONE).expect("it is loaded").program.expect("the kernel takes it");
    let fits = |ty: &TypeId| {
        types.size_of(*ty).is_some_and(|size| size as usize <= OBJECT)
            && !matches!(types.kind(*ty), Some(Kind::Datasec | Kind::Var | Kind::Float))
            && is_closed(&types, *ty, 0)
    };
    let all: Vec<TypeId> = (1..types.len()).filter(fits).collect();
    let count = Config::default().cases.max(256);
    let bytes = proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 32..127u8, 1 => any::<u8>()], OBJECT);
    let size = prop_oneof![4 => Just(TEXT as u32), 1 => 1..200u32];
    let cases = (proptest::sample::select(all), 0..16u64, size, bytes).prop_map(|(ty, flags, size, object)| {
        // Addresses that are not to be shown raw are hashed there, with a key that nobody knows.
        Case { ty, flags: flags | 4, size, object }
    });
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(Config { cases: count, ..Config::default() }, rng);
    let ran = runner.run(&cases, |case| {
        let theirs = in_kernel(kernel, &session, &loaded, &case);
        for checked in [false, true] {
            for native in [false, true] {
                let mut instance = Instance::new(&prepared.object, &model, 1);
                let proof = (!checked).then_some(&proof);
                let program = instance.load(&prepared.object, 0, proof, &|_, _| None).expect("it is loaded");
                let map = instance.maps()[0].as_ref().expect("it was made");
                map.user_update(&0u32.to_ne_bytes(), &case.value(), 0).expect("the value fits");
                let mut run = Run::new(&program, World::default());
                run.set_checked(checked);
                let ended = if native { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
                ended.expect("it runs");
                let mut value = vec![0; map.user_value_size()];
                map.user_lookup(&0u32.to_ne_bytes(), &mut value, 0).expect("the value is there");
                let name = types.name(case.ty);
                prop_assert_eq!(answer(&value), theirs.clone(), "type {} {}, flags {}", case.ty, name, case.flags);
            }
        }
        Ok(())
    });
    if let Err(e) = ran {
        panic!("{e}");
    }
}

fn in_kernel(
    kernel: Kernel,
    session: &Session<'_>,
    loaded: &ebpfkit_kernel::LoadedProgram,
    case: &Case,
) -> (i64, String) {
    let map = session.map(0).expect("it was made");
    map.update(&0u32.to_ne_bytes(), &case.value(), 0).expect("the value fits");
    kernel.test_run(loaded, &TestRun::default()).expect("it runs");
    answer(&map.lookup(&0u32.to_ne_bytes()).expect("it can be read").expect("the value is there"))
}
