//! Which kinds of programs have which helpers, and what may be attached to hooks of the security modules: the models of
//! bundled kernels answer as the kernels did.

use ebpfkit_abi::helpers;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Reason, Verdict, verify};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// The recorded answers of one kind, with the kernels that gave them.
fn recorded(kind: &str) -> Vec<(Arc<Profile>, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/offers");
    let read = |profile: Arc<Profile>| {
        let text = std::fs::read_to_string(folder.join(format!("{}.{kind}", profile.name))).ok()?;
        Some((profile, text))
    };
    let all: Vec<_> = Profile::all().into_iter().filter_map(read).collect();
    assert_eq!(all.len(), 5, "files of {kind}");
    all
}

/// Numbers such as `1-3,7`.
fn numbers(text: &str) -> BTreeSet<u32> {
    let number = |n: &str| n.parse::<u32>().expect("a number");
    let range = |r: &str| match r.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(r)..=number(r),
    };
    text.split(',').flat_map(range).collect()
}

/// An object of a text, ready for a kernel.
fn prepared(profile: &Arc<Profile>, text: &str) -> Prepared {
    let object: Object = ebpfkit_asm::assemble_object("offers", text).unwrap_or_else(|e| panic!("{e:?}"));
    profile.prepare(object).unwrap_or_else(|e| panic!("{e}"))
}

/// Whether the first refusal of a program is that it has no such helper.
fn lacks_helper(reason: &Reason) -> bool {
    let text = reason.to_string();
    text.contains("unknown func") || text.contains("invalid func") || text.contains("cannot use helper")
}

#[test]
fn helpers_are_offered_as_recorded() {
    let mut wrong = Vec::new();
    for (profile, text) in recorded("helpers") {
        let model = profile.model();
        for line in text.lines() {
            let (section, offered) = line.split_once('\t').expect("a section and numbers");
            let offered = numbers(offered);
            let mut source = format!(".license \"GPL\"\n.section {section}\n");
            for helper in helpers::all() {
                let _ = writeln!(source, ".func f{0}\ncall {0}\nr0 = 0\nexit", helper.id);
            }
            let prepared = prepared(&profile, &source);
            for (index, helper) in helpers::all().iter().enumerate() {
                assert!(
                    prepared.unloadable[index].is_none(),
                    "{section} on {}: {:?}",
                    profile.name,
                    prepared.unloadable[index]
                );
                let report = verify(&model, &prepared.object, index, Options::default(), &mut Silent);
                let lacks = matches!(&report.verdict, Verdict::Rejected(r) if lacks_helper(&r.reason));
                if lacks == offered.contains(&helper.id) {
                    wrong.push(format!("{} {section} {}: offered here {}", profile.name, helper.name, !lacks));
                }
            }
        }
    }
    // Whether programs write to a user's memory is a matter of configuration, and sleeping helpers were unknown to
    // programs that do not sleep at first.
    let is_known =
        |w: &String| w.contains("bpf_probe_write_user") || w.starts_with("5.10") && w.contains("bpf_copy_from_user:");
    wrong.retain(|w| !is_known(w));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hooks_take_programs_as_recorded() {
    const PROGRAMS: [(&str, i32); 8] = [
        ("lsm", 0),
        ("lsm", 1),
        ("lsm", -1),
        ("lsm", -4095),
        ("lsm", -4096),
        ("lsm.s", 0),
        ("lsm_cgroup", 1),
        ("lsm_cgroup", 0),
    ];
    let mut wrong = Vec::new();
    for (profile, text) in recorded("hooks") {
        let model = profile.model();
        let rows: Vec<(&str, &str)> = text.lines().filter_map(|l| l.split_once('\t')).collect();
        let mut source = ".license \"GPL\"\n".to_owned();
        for (n, (hook, _)) in rows.iter().enumerate() {
            for (m, (prefix, value)) in PROGRAMS.iter().enumerate() {
                let _ = writeln!(source, ".section {prefix}/{hook}\n.func f{n}_{m}\nr0 = {value}\nexit");
            }
        }
        let prepared = prepared(&profile, &source);
        for (index, program) in prepared.object.programs.iter().enumerate() {
            let (n, m) = program.name[1..].split_once('_').expect("two numbers");
            let (n, m): (usize, usize) = (n.parse().expect("a row"), m.parse().expect("a column"));
            let loads = prepared.unloadable[index].is_none()
                && matches!(
                    verify(&model, &prepared.object, index, Options::default(), &mut Silent).verdict,
                    Verdict::Accepted(_)
                );
            if loads != (rows[n].1.as_bytes()[m] == b'1') {
                wrong.push(format!(
                    "{} {}/{} {}: loads here {loads}",
                    profile.name, PROGRAMS[m].0, rows[n].0, PROGRAMS[m].1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
