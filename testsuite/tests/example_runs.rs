//! Every example with a capture gives the counts, map contents and rewritten packets in the `.run` file beside it, on
//! every engine; `maps.json`, where there is one, is what its maps hold before.

use ebpfkit_abi::retval_name;
use ebpfkit_jit::Jit;
use ebpfkit_object::{Object, Prepared, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, Verified, verify};
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::input::{Origin, frame_after, set_frame};
use ebpfkit_vm::show::{Dump, Entries, fill};
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Values that per-CPU maps have.
const CPUS: u32 = 2;

/// The bytes that a packet has now where it differs, each run of them after its offset.
fn changes(before: &[u8], after: &[u8]) -> String {
    let mut text = String::new();
    let differs = |n: usize| before.get(n) != after.get(n);
    for (n, byte) in after.iter().enumerate().filter(|(n, _)| differs(*n)) {
        if n == 0 || !differs(n - 1) {
            write!(text, " {n} ").expect("string");
        }
        write!(text, "{byte:02x}").expect("string");
    }
    if before.len() != after.len() {
        write!(text, " now {} bytes", after.len()).expect("string");
    }
    text
}

/// The entries to set before a run; variables are set in the object.
fn maps_before(path: &Path, object: &mut Object) -> Entries {
    let Ok(text) = std::fs::read_to_string(path) else { return Entries::default() };
    fill(object, &text, CPUS).unwrap_or_else(|e| panic!("{}: {e}", path.display())).entries
}

/// Runs the object's first program on a capture and describes what came of it.
fn describe(
    prepared: &Prepared,
    (verified, entries): (&Verified, &Entries),
    (engine, checked): (&dyn Engine, bool),
    capture: &[u8],
) -> String {
    let object = &prepared.object;
    let mut instance = Instance::new(object, &KernelModel::standard(), CPUS);
    for e in entries.iter() {
        let map = instance.maps()[e.map].as_ref().expect("a map");
        map.user_update(e.key, e.value, 0).expect("the map takes the entry");
    }
    let program = instance.load(object, 0, Some(verified), &|_, _| None).expect("loads");
    let kind = program.prog_type();
    let mut run = Run::new(&program, World { cpus: CPUS, ..World::default() });
    assert_eq!(run.set_checked(checked), checked);
    let mut reader = Reader::new(capture).expect("a capture");
    let (mut after, mut number) = (Vec::new(), 0);
    let (mut counts, mut rewritten) = (BTreeMap::<String, u64>::new(), String::new());
    while let Some((_, data)) = reader.next().expect("a packet") {
        number += 1;
        set_frame(&mut run, kind, Origin::Wire, data);
        let r0 = engine.run(&mut run).unwrap_or_else(|e| panic!("{}: {e}", program.name())) as u32;
        *counts.entry(retval_name(kind, r0).map_or_else(|| r0.to_string(), str::to_owned)).or_default() += 1;
        let after = frame_after(&run, kind, Origin::Wire, data, &mut after);
        if after != data {
            writeln!(rewritten, "  {number}:{}", changes(data, after)).expect("string");
        }
    }
    let mut text = String::new();
    for (name, n) in counts {
        writeln!(text, "{name}: {n}").expect("string");
    }
    if !rewritten.is_empty() {
        write!(text, "rewritten\n{rewritten}").expect("string");
    }
    for (def, map) in object.maps.iter().zip(instance.maps()).filter(|(def, _)| !def.frozen) {
        let map = map.as_ref().expect("a map");
        let dump = Dump::of(map, object.btf.as_deref(), 1000);
        let mut lines: Vec<String> = match dump.variables() {
            Some(v) => v.iter().map(|(name, value)| format!("  {name} = {value}")).collect(),
            None if !dump.is_listable() => continue,
            None => dump.entries().map(|e| format!("  {}: {}", e.key(), e.value())).collect(),
        };
        // Hash tables have no order of their own.
        lines.sort();
        writeln!(text, "{}\n{}", def.name, lines.join("\n")).expect("string");
    }
    text
}

#[test]
fn runs_are_as_expected() {
    let mut failures = Vec::new();
    let mut seen = 0;
    for path in ebpfkit_testsuite::files(&ebpfkit_testsuite::root().join("examples"), "o") {
        let Ok(capture) = std::fs::read(path.with_file_name("in.pcap")) else { continue };
        let bytes = std::fs::read(&path).expect("example is readable");
        let mut prepared =
            Object::open("example", &bytes).and_then(|o| o.prepare(&Target::default())).expect("an object");
        let entries = maps_before(&path.with_file_name("maps.json"), &mut prepared.object);
        let report = verify(&KernelModel::standard(), &prepared.object, 0, Options::to_run(), &mut Silent);
        let Verdict::Accepted(verified) = report.verdict else { continue };
        let text = describe(&prepared, (&verified, &entries), (&Interpreter, false), &capture);
        for (engine, checked) in [(&Interpreter as &dyn Engine, true), (&Jit, false), (&Jit, true)] {
            let other = describe(&prepared, (&verified, &entries), (engine, checked), &capture);
            assert_eq!(other, text, "{}", path.display());
        }
        seen += 1;
        failures.extend(ebpfkit_testsuite::compare(&path.with_extension("run"), &text).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen >= 3, "{seen} examples");
}
