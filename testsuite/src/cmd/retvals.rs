//! `retvals`: programs of the kernel's selftests say in their types what they return; every engine and the kernel's own
//! test-run are held against that.

use super::ObjectArgs;
use anyhow::Result;
use ebpfkit_abi::ProgType;
use ebpfkit_jit::Jit;
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun, machine};
use ebpfkit_object::Prepared;
use ebpfkit_object::btf::{Btf, Kind, Type};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World, input};
use std::collections::BTreeMap;

/// Arguments of `retvals`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    objects: ObjectArgs,
}

/// How a program says what it returns.
const TAG: &str = "comment:test_retval=";
/// Bytes of the packet that the selftests' runner passes, all zero.
const PACKET: [u8; 64] = [0; 64];
/// What stands for the length of the packet there.
const PACKET_LEN: &str = "TEST_DATA_LEN";
/// What stands for an address there, which is another in each run.
const ADDRESS: &str = "POINTER_VALUE";
/// Instructions that one run may take here.
const BUDGET: u64 = 200_000_000;

/// Return values by function name; `None` for any address.
fn expected(btf: &Btf) -> BTreeMap<String, Option<u32>> {
    let tags = (1..=btf.len()).filter(|id| btf.kind(*id) == Some(Kind::DeclTag));
    let value = |text: &str| {
        let len = (text == PACKET_LEN).then_some(PACKET.len() as u32);
        let hex = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        len.or(hex).or_else(|| text.parse::<i64>().ok().map(|n| n as u32))
    };
    tags.filter_map(|id| {
        let text = btf.name(id).strip_prefix(TAG)?;
        let Some(Type::DeclTag { ty, .. }) = btf.get(id) else { return None };
        let value = if text == ADDRESS { None } else { Some(value(text)?) };
        Some((btf.name(ty).to_owned(), value))
    })
    .collect()
}

/// Runs and compares.
pub fn run(args: &Args) -> Result<()> {
    let kernel = Kernel::open()?;
    machine::stay_on_cpu(0);
    let model = running::model();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for file in args.objects.files()? {
        let Ok(prepared) = running::open(&file)?.and_then(running::prepare) else { continue };
        let Some(btf) = prepared.object.btf.as_deref() else { continue };
        for (name, value) in expected(btf) {
            let Some(index) = prepared.object.programs.iter().position(|p| p.name == name) else { continue };
            let theirs = in_kernel(kernel, &prepared, index);
            let Some(theirs) = theirs else { continue };
            let mut tell = |what: &'static str, detail: String| {
                *counts.entry(what).or_default() += 1;
                if args.objects.list && what != "holds" {
                    println!("{what}\t{}\t{name}\t{detail}", prepared.object.name);
                }
            };
            let holds = |got: u32| value.is_none_or(|value| value == got);
            if !theirs.as_ref().is_ok_and(|got| holds(*got)) {
                tell("the kernel differs", format!("{theirs:x?}, expected {value:x?}"));
            }
            let engines: [(&str, &dyn Engine, bool); 3] = [
                ("interpreter", &Interpreter, true),
                ("interpreter, checked", &Interpreter, false),
                ("native", &Jit, true),
            ];
            for (how, engine, verified) in engines {
                match here(&model, &prepared, index, engine, verified) {
                    Ok(got) if Ok(got) == theirs || holds(got) => tell("holds", String::new()),
                    Ok(got) => {
                        tell("another value", format!("{how}: {got:#x}, expected {value:x?}, kernel {theirs:x?}"))
                    }
                    Err(e) => tell("does not run", format!("{how}: {e}")),
                }
            }
        }
    }
    for (what, n) in &counts {
        println!("{n:6} {what}");
    }
    Ok(())
}

fn packet(kind: ProgType) -> Option<&'static [u8]> {
    input::takes_packet(kind).then_some(&PACKET[..])
}

/// The kernel's result; `None` when it does not take the program.
fn in_kernel(kernel: Kernel, prepared: &Prepared, index: usize) -> Option<Result<u32, String>> {
    let session = Session::new(kernel, prepared).ok()?;
    let program = session.load(index, LogLevel::NONE).ok()?.program.ok()?;
    session.load_prog_arrays(index, &program).ok()?;
    let data = packet(prepared.object.programs[index].prog_type);
    let repeat = u32::from(data.is_some());
    let test = TestRun { data: data.unwrap_or_default(), repeat, ..TestRun::default() };
    Some(kernel.test_run(&program, &test).map(|out| out.retval).map_err(|e| e.to_string()))
}

fn here(
    model: &KernelModel,
    prepared: &Prepared,
    index: usize,
    engine: &dyn Engine,
    verified: bool,
) -> Result<u32, String> {
    let object = &prepared.object;
    let world = World::default();
    let mut instance = Instance::in_world(object, model, &world);
    let kfunc = |id, index| model.kfunc_name(id, index);
    let mut program = None;
    let targets: Vec<usize> = instance.tail_call_targets().filter(|n| *n != index).collect();
    for n in targets.into_iter().chain([index]) {
        let verdict = verified.then(|| verify(model, object, n, Options::to_run(), &mut Silent).verdict);
        let proof = match verdict {
            Some(Verdict::Accepted(proof)) => Some(proof),
            Some(_) if n == index => return Err("not accepted here".into()),
            _ => None,
        };
        program = Some(instance.load(object, n, proof.as_ref(), &kfunc).map_err(|e| e.to_string())?);
    }
    let program = program.ok_or("no program")?;
    let mut run = Run::new(&program, world);
    run.set_budget(BUDGET);
    input::set_input(&mut run, packet(program.prog_type()), &[]).map_err(|e| e.to_string())?;
    engine.run(&mut run).map(|r0| r0 as u32).map_err(|e| e.to_string())
}
