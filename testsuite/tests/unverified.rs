//! Programs that nobody has verified and that forge what helpers and kernel functions keep in their memory, or ask for
//! more than there is: each ends in an answer or a fault, the same in both engines that check.

use ebpfkit_jit::Jit;
use ebpfkit_testsuite::{compare, helpers, root, shrink};
use ebpfkit_vm::maps::{self, Surroundings};
use ebpfkit_vm::{Engine, Event, Interpreter, Limits, Loader, Run, World, input};
use std::fmt::Write;
use std::sync::Arc;

/// Numbers from here on stand for kernel functions in calls.
const KFUNCS: i32 = 1 << 20;

/// The text with calls of kernel functions as calls of numbers, since their types are not there on every machine.
fn with_numbers(text: &str) -> String {
    let names: Vec<&str> = ebpfkit_vm::helpers::kfunc_names().collect();
    let line = |line: &str| match line.trim().strip_prefix("call ").and_then(|n| names.iter().position(|k| *k == n)) {
        Some(number) => format!("call {}", KFUNCS + number as i32),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What a fault says, less addresses and what lies near them.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split(": offset").next().unwrap_or_default().split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "ADDRESS" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

fn limits() -> Limits {
    Limits { emitted: 4096, map_memory: 1 << 20, objects: 64 << 20, timers: 8 }
}

/// Runs a program twice; what can be seen.
fn outcome(name: &str, text: &str, engine: &dyn Engine) -> String {
    let mut prepared =
        shrink::assemble(name, &with_numbers(text)).unwrap_or_else(|| panic!("{name} does not assemble"));
    for insn in &mut prepared.object.programs[0].insns {
        if insn.code == 0x85 && insn.src == 0 && insn.imm >= KFUNCS {
            (insn.src, insn.imm) = (2, insn.imm - KFUNCS);
        }
    }
    let world = World { limits: limits(), ..World::default() };
    let around = Surroundings::of(&world);
    let make = |def| maps::create_in(def, &Default::default(), &around).map(Arc::new).ok();
    let maps: Vec<_> = prepared.object.maps.iter().map(make).collect();
    let names: Vec<&str> = ebpfkit_vm::helpers::kfunc_names().collect();
    let kfunc = |id: u32, _: i16| names.get(id as usize).map(|n| (*n).to_owned());
    let loader = Loader::program(&prepared.object.programs[0]).maps(maps).btf(Some(helpers::types()));
    let program = loader.load_with(&kfunc).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut run = Run::new(&program, world);
    run.set_checked(true);
    run.set_budget(1_000_000);
    let packet = input::takes_packet(program.prog_type()).then_some(&[0x45; 64][..]);
    input::set_input(&mut run, packet, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
    run.set_ctx_field("gso_size", u64::from(name == "head-growth"));
    run.world_mut().sysctl.current = b"1".to_vec();
    run.world_mut().kernel_stack = vec![1, 2];
    let mut out = String::new();
    for _ in 0..2 {
        let result = engine.run(&mut run);
        ebpfkit_vm::helpers::collect(&mut run);
        let events = run.events().iter().filter(|e| !matches!(e, Event::Signal { .. })).count();
        let _ = match result {
            Ok(r0) => writeln!(out, "{}, {events} events", r0 as i64),
            Err(fault) => writeln!(out, "{}, {events} events", without_addresses(&fault.to_string())),
        };
    }
    let _ = writeln!(out, "lost: {}", run.state().lost);
    out
}

#[test]
fn programs_that_forge_end_in_answers_and_faults() {
    let dir = root().join("testsuite/tests/unverified");
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).expect("a folder").filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "s"));
    files.sort();
    assert!(files.len() > 20);
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (interpreted, native) = (outcome(&name, &text, &Interpreter), outcome(&name, &text, &Jit));
        if interpreted != native {
            wrong.push(format!("{name}: the engines differ:\n{interpreted}{native}"));
        }
        wrong.extend(compare(&file.with_extension("txt"), &interpreted).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
