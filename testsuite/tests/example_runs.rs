//! Every example with a capture gives the counts and map contents in the `.run` file beside it, on every engine.

use ebpfkit_abi::retval_name;
use ebpfkit_jit::Jit;
use ebpfkit_object::{Object, Prepared, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, Verified, verify};
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::input::{Origin, set_frame};
use ebpfkit_vm::show::{Contents, dump};
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Runs the object's first program on a capture and describes what came of it.
fn describe(prepared: &Prepared, verified: &Verified, engine: &dyn Engine, checked: bool, capture: &[u8]) -> String {
    let object = &prepared.object;
    let mut instance = Instance::new(object, &KernelModel::newest(), 2);
    let program = instance.load(object, 0, Some(verified), &|_, _| None).expect("loads");
    let kind = program.prog_type();
    let mut run = Run::new(&program, World { cpus: 2, ..World::default() });
    assert_eq!(run.set_checked(checked), checked);
    let mut reader = Reader::new(capture).expect("a capture");
    let (mut data, mut counts) = (Vec::new(), BTreeMap::<String, u64>::new());
    while reader.next(&mut data).expect("a packet").is_some() {
        set_frame(&mut run, kind, Origin::Wire, &data);
        let r0 = engine.run(&mut run).unwrap_or_else(|e| panic!("{}: {e}", program.name())) as u32;
        *counts.entry(retval_name(kind, r0).map_or_else(|| r0.to_string(), str::to_owned)).or_default() += 1;
    }
    let mut text = String::new();
    for (name, n) in counts {
        writeln!(text, "{name}: {n}").expect("string");
    }
    for (def, map) in object.maps.iter().zip(instance.maps()).filter(|(def, _)| !def.frozen) {
        let map = map.as_ref().expect("a map");
        let mut lines: Vec<String> = match dump(map, object.btf.as_deref(), 1000) {
            None => continue,
            Some(Contents::Variables(v)) => v.iter().map(|(name, value)| format!("  {name} = {value}")).collect(),
            Some(Contents::Entries(e)) => e.iter().map(|(key, value)| format!("  {key}: {value}")).collect(),
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
        let prepared = Object::open("example", &bytes).and_then(|o| o.prepare(&Target::default())).expect("an object");
        let report = verify(&KernelModel::newest(), &prepared.object, 0, Options::default(), &mut Silent);
        let Verdict::Accepted(verified) = report.verdict else { continue };
        let text = describe(&prepared, &verified, &Interpreter, false, &capture);
        for (engine, checked) in [(&Interpreter as &dyn Engine, true), (&Jit, false), (&Jit, true)] {
            assert_eq!(describe(&prepared, &verified, engine, checked, &capture), text, "{}", path.display());
        }
        seen += 1;
        failures.extend(ebpfkit_testsuite::compare(&path.with_extension("run"), &text).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen >= 3, "{seen} examples");
}
