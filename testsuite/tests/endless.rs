//! `testsuite/endless/NAME.s`: programs that never end. Every engine that takes unverified programs stops them when their
//! budget is used up, whatever their loops look like.

use ebpfkit_jit::{Jit, Options, Tier, compile_with};
use ebpfkit_testsuite::{root, shrink};
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::{Engine, FaultKind, Instance, Interpreter, Run, World, input};

const BUDGET: u64 = 100_000;

#[test]
fn budgets_end_them() {
    let model = KernelModel::newest();
    let mut count = 0;
    for file in std::fs::read_dir(root().join("testsuite/endless")).expect("the folder is there").map_while(Result::ok)
    {
        let name = file.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file.path()).expect("the file can be read");
        let prepared = shrink::assemble(&name, &text).unwrap_or_else(|| panic!("{name} does not assemble"));
        for tier in [None, Some(Tier::Best), Some(Tier::Quick)] {
            let mut instance = Instance::new(&prepared.object, &model, 1);
            let program = instance.load(&prepared.object, 0, None, &|_, _| None).expect("the program can be loaded");
            let mut run = Run::new(&program, World::default());
            run.set_checked(true);
            run.set_budget(BUDGET);
            input::set_input(&mut run, Some(&[0; 64]), &[]).expect("the packet is one");
            let result = match tier {
                Some(_) => {
                    let options = Options { tier, verify_ir: true };
                    compile_with(&program, true, options).expect("the program can be compiled");
                    Jit.run(&mut run)
                }
                None => Interpreter.run(&mut run),
            };
            let fault = result.expect_err(&name);
            assert!(matches!(fault.kind, FaultKind::Budget(BUDGET)), "{name}, {tier:?}: {fault}");
        }
        count += 1;
    }
    assert!(count > 0);
}
