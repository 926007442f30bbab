//! Nearly every diagnosis says what is wrong in terms of its program.

use crate::{facts, files, own_programs, profile, rejected, skipped};
use ebpfkit_object::Object;
use std::path::{Path, PathBuf};

/// Of so many, one may be general.
const ONE_OF: usize = 20;

/// Goes through all programs of objects: how many are rejected, and what is said of those of which nothing special is.
fn count(objects: impl Iterator<Item = (PathBuf, Object)>) -> (usize, Vec<String>) {
    let profile = profile();
    let kernel = profile.model();
    let (mut all, mut general) = (0, Vec::new());
    for (path, object) in objects {
        let target = profile.target(object.needs());
        let Ok(prepared) = object.prepare(&target) else { continue };
        let beside = path.parent().unwrap_or(Path::new("."));
        for program in 0..prepared.object.programs.len() {
            let Some(case) = rejected(&kernel, &prepared, program, beside) else { continue };
            all += 1;
            let elsewhere = case.diagnosis.secondary.iter().any(|s| {
                let p = &case.diagnosis.primary;
                !s.label.is_empty() && (s.line != p.line || s.line == 0 && s.insn != p.insn)
            });
            if facts::named(&kernel, &case).is_empty() && !elsewhere {
                let name = &prepared.object.programs[program].name;
                general.push(format!("{} {name}: {}", path.display(), case.diagnosis.headline));
            }
        }
    }
    (all, general)
}

#[test]
fn own_rejections_are_explained_by_their_programs() {
    let (all, general) = count(own_programs().into_iter());
    assert!(all > 100, "{all} rejections");
    assert!(general.len() * ONE_OF <= all, "{} of {all} are general:\n{}", general.len(), general.join("\n"));
}

/// `EBPFKIT_OBJECTS` names folders with objects of the kernel's selftests.
#[test]
fn rejections_of_the_selftests_are_explained_by_their_programs() {
    let Some(folders) = std::env::var_os("EBPFKIT_OBJECTS") else {
        return skipped(1, "rejections_of_the_selftests_are_explained_by_their_programs: EBPFKIT_OBJECTS is not set");
    };
    for folder in std::env::split_paths(&folders) {
        let paths = files(&folder, &["o"]);
        let opened = paths.into_iter().filter_map(|p| crate::open(&p).map(|o| (p, o)));
        let (all, general) = count(opened);
        println!("{}: {} of {all} rejections are explained by their programs", folder.display(), all - general.len());
        assert!(all > 0, "{}: no rejections", folder.display());
        assert!(general.len() * ONE_OF <= all, "{} of {all} are general:\n{}", general.len(), general.join("\n"));
        general.iter().for_each(|g| println!("general: {g}"));
    }
}
