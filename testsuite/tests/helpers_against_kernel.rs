//! Programs that do nothing but call helpers and functions of the kernel's give the same results, context fields and bytes
//! in the kernel's test-run and here. Skipped without bpf(2).

use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_jit::Jit;
use ebpfkit_testsuite::engines::Which;
use ebpfkit_testsuite::generate::Config;
use ebpfkit_testsuite::running;
use ebpfkit_testsuite::test_runs::{Arg, Call, Comparison, Counts, Part, Recipe, Structs};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::{Engine, Event, Instance, Interpreter, Run, World, input};

/// Runs of each program type.
const RUNS: u64 = 1_600;

fn compare(kind: ProgType) {
    let Some(kernel) = running::or_skip(&format!("helpers of {kind}")) else { return };
    let comparison = Comparison::new(kernel, running::model(), Config::default()).with_calls_only();
    // The same seeds each time, so that a difference is the same for everyone.
    let (mut counts, mut seed) = (Counts::default(), 1 << 40);
    while counts.total() < RUNS {
        if let Err(difference) = comparison.compare(seed, 8, &[&kind.to_string()], &mut counts) {
            panic!("seed {seed}: {difference}");
        }
        seed += 1;
    }
    println!("{} runs compared, {} programs not accepted", counts.total(), counts.left_out);
    assert!(counts.left_out * 10 < counts.programs, "most programs are accepted");
}

#[test]
fn helpers_of_tc_programs() {
    compare(ProgType::SchedCls);
}

#[test]
fn helpers_of_xdp_programs() {
    compare(ProgType::Xdp);
}

#[test]
fn strings_on_the_stack_are_printed_by_every_engine() {
    let call = |function, args: Vec<Arg>| Part::Call(Call { function, args });
    let recipe = Recipe {
        kind: ProgType::SchedCls,
        attach: AttachType(0),
        parts: vec![
            Part::Text(0, "[%s]"),
            Part::Text(16, "hey"),
            call("trace_printk", vec![Arg::Buf(0), Arg::Num(5), Arg::Buf(16)]),
            call("probe_read_kernel", vec![Arg::Buf(32), Arg::Num(4), Arg::Buf(16)]),
        ],
        result: 0,
    };
    let prepared = recipe.build(&Structs::default());
    let model = KernelModel::standard();
    let report = verify(&model, &prepared.object, 0, Options::to_run(), &mut Silent);
    let Verdict::Accepted(verified) = report.verdict else { panic!("the verifier accepts it") };
    for which in Which::ALL {
        let mut instance = Instance::new(&prepared.object, &model, 1);
        let proof = (!which.is_checked()).then_some(&verified);
        let program = instance.load(&prepared.object, 0, proof, &|_, _| None).expect("loads");
        let mut run = Run::new(&program, World::default());
        input::set_input(&mut run, Some(&[0; 64]), &[]).expect("a packet");
        let result = if which.tier().is_some() { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
        assert_eq!(result, Ok(0), "{which:?}");
        assert_eq!(run.events(), [Event::Printk("[hey]".into())], "{which:?}");
        let map = instance.maps()[0].as_ref().expect("the results");
        let mut results = vec![0; map.value_size()];
        map.user_lookup(&[0; 4], &mut results, 0).expect("a value");
        // Two results with eight words of the buffer behind each.
        assert_eq!(results[..8], 5u64.to_ne_bytes(), "{which:?}");
        assert_eq!(results[72..80], [0; 8], "{which:?}");
        assert_eq!(results[80 + 32..80 + 36], *b"hey\0", "{which:?}");
    }
}
