//! Programs that nobody has verified and that nest as deep as they can: the thread's stack suffices in every engine.

use ebpfkit_jit::{Jit, Options, Tier, compile_with};
use ebpfkit_testsuite::shrink;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine, Fault, Instance, Interpreter, Run, World, input};

/// Runs a program's text in an engine, on a thread with half of the usual stack more than a run may use.
fn result(text: &'static str, tier: Option<Tier>) -> Result<u64, Fault> {
    let go = move || {
        let prepared = shrink::assemble("nesting.s", text).expect("assembles");
        let model = KernelModel::standard();
        let mut instance = Instance::new(&prepared.object, &model, 1);
        let program = instance.load(&prepared.object, 0, None, &|_, _| None).expect("loads");
        if let Some(tier) = tier {
            compile_with(&program, true, Options { tier: Some(tier), verify_ir: true }).expect("compiles");
        }
        let mut run = Run::new(&program, World::default());
        input::set_input(&mut run, Some(&[0; 64]), &[]).expect("the packet is one");
        run.set_budget(10_000_000);
        if tier.is_some() { Jit.run(&mut run) } else { Interpreter.run(&mut run) }
    };
    let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(go).expect("starts");
    thread.join().expect("ends")
}

fn same_in_all(text: &'static str) -> Result<u64, Fault> {
    let interpreted = result(text, None);
    for tier in [Tier::Optimizing, Tier::Baseline] {
        assert_eq!(result(text, Some(tier)), interpreted, "{tier:?}");
    }
    interpreted
}

#[test]
fn recursion() {
    let fault = same_in_all(".section \"xdp\"\nstart:\ncall start\nexit\n").expect_err("recursion");
    assert_eq!(fault.to_string(), "insn 0: more than 8 nested calls");
}

#[test]
fn tail_calls_of_the_main_function() {
    let text = ".map programs prog_array max_entries=1 values=[start]\n.section \"xdp\"\n.func start\nr2 = programs ll\n\
                r3 = 0\ncall bpf_tail_call\nr0 = 5\nexit\n";
    assert_eq!(same_in_all(text), Ok(5));
}

/// Seven functions, each called by the one before, the last of which calls the program as its tail: the deepest chain
/// that there is.
#[test]
fn tail_calls_at_the_end_of_the_longest_chain() {
    let text = ".map programs prog_array max_entries=1 values=[start]\n.section \"xdp\"\n.func start\ncall f1\nr0 += 1\nexit\n\
                f1:\ncall f2\nexit\nf2:\ncall f3\nexit\nf3:\ncall f4\nexit\nf4:\ncall f5\nexit\nf5:\ncall f6\nexit\n\
                f6:\ncall f7\nexit\nf7:\nr2 = programs ll\nr3 = 0\ncall bpf_tail_call\nr0 = 5\nexit\n";
    assert_eq!(same_in_all(text), Ok(39));
}

/// The same with callbacks in the place of calls.
#[test]
fn tail_calls_at_the_end_of_the_longest_chain_of_callbacks() {
    let text = ".map programs prog_array max_entries=1 values=[start]\n.section \"xdp\"\n.func start\n\
                r1 = 1\nr2 = f1 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 7\nexit\n\
                f1:\nr1 = 1\nr2 = f2 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f2:\nr1 = 1\nr2 = f3 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f3:\nr1 = 1\nr2 = f4 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f4:\nr1 = 1\nr2 = f5 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f5:\nr1 = 1\nr2 = f6 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f6:\nr1 = 1\nr2 = f7 ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n\
                f7:\nr2 = programs ll\nr3 = 0\ncall bpf_tail_call\nr0 = 5\nexit\n";
    assert_eq!(same_in_all(text), Ok(7));
}
