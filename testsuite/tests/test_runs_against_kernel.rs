//! Test-runs of every program type give the same in the kernel and here. Skipped without bpf(2).

use ebpfkit_abi::test_run::{self, ROWS};
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_kernel::{Kernel, KernelError, LoadParams, TestRun};
use ebpfkit_testsuite::against_kernel::{KINDS as LOADED, typed_kinds};
use ebpfkit_testsuite::generate::Config;
use ebpfkit_testsuite::running;
use ebpfkit_testsuite::test_runs::{Comparison, Counts, KINDS};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Runs of each program type.
const RUNS: u64 = 160;

#[test]
fn every_type() {
    let Some(kernel) = running::or_skip("test-runs of every type") else { return };
    let comparison = Comparison::new(kernel, running::model(), Config { mistakes: 0, ..Config::default() });
    let names: BTreeSet<String> = KINDS.iter().map(|(kind, _)| kind.to_string()).collect();
    for name in &names {
        let (mut counts, mut seed) = (Counts::default(), 1);
        while counts.total() < RUNS {
            if let Err(difference) = comparison.compare(seed, 8, &[name], &mut counts) {
                panic!("seed {seed}: {difference}");
            }
            seed += 1;
        }
        assert!(counts.refused < counts.total(), "{name}: all inputs are refused");
    }
}

#[test]
fn every_row_is_compared() {
    let compared: BTreeSet<ProgType> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let rows: BTreeSet<ProgType> = ROWS.iter().flat_map(|row| row.types).copied().collect();
    assert_eq!(compared, rows);
}

/// What the kernel answers to a test-run of a program that does nothing.
fn answers(kernel: Kernel, (kind, attach, flags, target): (ProgType, AttachType, u32, u32)) -> Option<BTreeSet<i32>> {
    // A value that programs of the type may return.
    let value = i32::from(!matches!(kind, ProgType::Tracepoint) && kind != ProgType::Tracing);
    let insns = [Insn::new(0xb7, 0, 0, 0, value), Insn::new(0x95, 0, 0, 0, 0)];
    let params = LoadParams {
        prog_type: kind,
        attach_type: attach,
        insns: &insns,
        license: "GPL",
        flags,
        attach_btf_id: target,
        ..LoadParams::default()
    };
    let program = kernel.load_program(&params).expect("bpf(2)").program.ok()?;
    let packet = [0x45; 64];
    let inputs = [
        TestRun::default(),
        TestRun { data: &packet, ..TestRun::default() },
        TestRun { ctx: &packet[..8], ..TestRun::default() },
        TestRun { data: &packet, ctx: &packet, repeat: 2, ..TestRun::default() },
    ];
    let answer = |input: &TestRun<'_>| match kernel.test_run(&program, input) {
        Ok(_) => 0,
        Err(KernelError::Call { errno, .. }) => errno,
        Err(e) => panic!("{kind}: {e}"),
    };
    Some(inputs.iter().map(answer).collect())
}

#[test]
fn the_others_have_none() {
    let Some(kernel) = running::or_skip("program types without test-runs") else { return };
    let plain = LOADED.iter().map(|(kind, attach, flags)| (*kind, *attach, *flags, 0));
    let mut different = Vec::new();
    for kind in plain.chain(typed_kinds()) {
        let Some(answers) = answers(kernel, kind) else {
            running::skipped(1, &format!("test-run of {} {}: this kernel does not load it", kind.0, kind.1));
            continue;
        };
        match test_run::of(kind.0, kind.1).err().and_then(|no| no.errno) {
            Some(errno) if answers == BTreeSet::from([errno.0]) => {}
            None if answers.contains(&0) || kind.0 == ProgType::SkLookup => {}
            expected => {
                different.push(format!("{} {}: expected {expected:?}, the kernel has {answers:?}", kind.0, kind.1))
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The table of `docs/test-runs.md`.
fn table() -> String {
    let mut text =
        String::from("| program types | packet | context | gives back | repeated |\n|---|---|---|---|---|\n");
    for row in ROWS {
        let types: Vec<String> = row.types.iter().map(|t| format!("`{t}`")).collect();
        let context = match (row.context, row.needs_context) {
            (None, _) => "none".to_owned(),
            (Some(what), true) => format!("{what}, always"),
            (Some(what), false) => what.to_owned(),
        };
        let gives = match (row.gives, row.gives_context) {
            ("", false) => "the result",
            ("", true) => "context",
            (what, false) => what,
            (what, true) => &format!("{what}, context"),
        };
        let yes = |b| if b { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {} | {} | {context} | {gives} | {} |",
            types.join(", "),
            yes(row.packet),
            yes(row.repeats)
        );
    }
    text
}

#[test]
fn the_document_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/test-runs.md");
    let document = std::fs::read_to_string(path).expect(path);
    let table = table();
    if std::env::var_os("EBPFKIT_BLESS").is_some() {
        let (before, rest) = document.split_once("| program types |").expect("a table");
        let behind = rest.split_once("\n\n").map_or("", |r| r.1);
        std::fs::write(path, format!("{before}{table}\n{behind}")).expect(path);
    } else {
        assert!(document.contains(&table), "{path} lacks this table; EBPFKIT_BLESS=1 writes it:\n{table}");
    }
}
