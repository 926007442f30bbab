//! The objects in `tests/loader/`, prepared for the kernel that `kernel.o` stands for: what would be handed to it is
//! in the `.loaded` file beside each. `build.sh` there makes the objects from their sources.

use ebpfkit_object::link::link;
use ebpfkit_object::{FuncInfo, Map, MapInit, Object, Prepared, Program, Target};
use proptest::prelude::*;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

fn folder() -> PathBuf {
    ebpfkit_testsuite::root().join("testsuite/tests/loader")
}

fn open(name: &str) -> Object {
    let bytes = std::fs::read(folder().join(name)).expect("fixture is readable");
    Object::open(name, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The kernel that the fixtures are resolved against.
fn target() -> Target {
    let config =
        "CONFIG_BOOL=y\nCONFIG_TRISTATE=m\nCONFIG_CHAR=y\nCONFIG_NUMBER=0x1234\nCONFIG_TEXT=\"longer than eight\"\n";
    let addresses = |names: &[&str]| {
        names.iter().map(|n| if *n == "untyped_symbol" { vec![0xffff_ffff_8123_4567] } else { vec![] }).collect()
    };
    Target {
        vmlinux: open("kernel.o").btf,
        kconfig: Some(config.into()),
        version_code: 6 << 16 | 12 << 8 | 7,
        kallsyms: Some(Arc::new(addresses)),
        syscall_wrapper: true,
        cpus: 3,
        ..Target::default()
    }
}

fn show_map(text: &mut String, prepared: &Prepared, map: &Map, indent: &str) {
    let type_name = |id: u32| match (&prepared.object.btf, id) {
        (_, 0) => "-".to_owned(),
        (Some(btf), id) => format!("{} {}", btf.kind(id).map_or("?", |k| k.name()), btf.name(id)),
        (None, _) => "?".to_owned(),
    };
    let _ = writeln!(
        text,
        "{indent}map {} {}: key {} [{}], value {} [{}], entries {}, flags {:#x}, extra {:#x}{}{}{}",
        map.name,
        map.map_type,
        map.key_size,
        type_name(map.key_type),
        map.value_size,
        type_name(map.value_type),
        map.max_entries,
        map.flags,
        map.extra,
        if map.frozen { ", frozen" } else { "" },
        if map.on_demand { ", on demand" } else { "" },
        if map.section.is_empty() { String::new() } else { format!(", section {}", map.section) },
    );
    if map.kernel_value_type != 0 {
        let name = target().vmlinux.map(|b| b.name(map.kernel_value_type).to_owned()).unwrap_or_default();
        let _ = writeln!(text, "{indent}  value in the kernel: {name}");
    }
    match &map.init {
        MapInit::Empty => {}
        MapInit::Data(data) => {
            let _ = writeln!(text, "{indent}  data {data:02x?}");
        }
        MapInit::Maps(slots) | MapInit::Programs(slots) => {
            let _ = writeln!(text, "{indent}  slots {slots:?}");
        }
        MapInit::Jumps(targets) => {
            let _ = writeln!(text, "{indent}  jumps {targets:?}");
        }
        MapInit::StructOps { data, programs } => {
            let _ = writeln!(text, "{indent}  table {data:02x?}, programs {programs:?}");
        }
    }
    if let Some(inner) = &map.inner {
        show_map(text, prepared, inner, "  ");
    }
}

fn show_program(text: &mut String, prepared: &Prepared, index: usize) {
    let p: &Program = &prepared.object.programs[index];
    let _ = write!(text, "\nprogram {} ({}) {} as {}", p.name, p.section, p.prog_type, p.attach_type.0);
    let _ = writeln!(text, ", flags {:#x}{}", p.flags.0, if p.autoload { "" } else { ", on demand" });
    if p.attach_btf_id != 0 {
        let name = target().vmlinux.map(|b| b.name(p.attach_btf_id).to_owned()).unwrap_or_default();
        let _ = writeln!(text, "  attaches to {name}");
    }
    if let Some(why) = &prepared.unloadable[index] {
        let _ = writeln!(text, "  not loaded: {why}");
    }
    for (at, why) in &p.poison {
        let _ = writeln!(text, "  poisoned at {at}: {why}");
    }
    let btf = prepared.object.btf.as_deref();
    for FuncInfo { insn, type_id } in &p.func_info {
        let linkage = match btf.and_then(|b| b.get(*type_id)) {
            Some(ebpfkit_object::btf::Type::Func { linkage: 0, .. }) => "static",
            _ => "global",
        };
        let _ = writeln!(text, "  {insn}: {linkage} {}", btf.map_or("", |b| b.name(*type_id)));
    }
    for (at, insn) in p.insns.iter().enumerate() {
        let _ = writeln!(text, "  {at:3} {insn:?}");
    }
}

fn show(prepared: &Prepared) -> String {
    let mut text = String::new();
    for why in &prepared.object.libbpf_refusals {
        let _ = writeln!(text, "refused by libbpf: {why}");
    }
    for map in &prepared.object.maps {
        show_map(&mut text, prepared, map, "");
    }
    for index in 0..prepared.object.programs.len() {
        show_program(&mut text, prepared, index);
    }
    text
}

#[test]
fn fixtures_are_prepared_as_expected() {
    let mut failures = Vec::new();
    for name in ["attach", "big-endian", "core", "externs", "foreign", "maps", "subprograms"] {
        let prepared = open(&format!("{name}.o")).prepare(&target()).unwrap_or_else(|e| panic!("{name}: {e}"));
        failures.extend(ebpfkit_testsuite::compare(&folder().join(format!("{name}.loaded")), &show(&prepared)).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn linked_objects_are_prepared_as_expected() {
    let [a, b] = ["first", "second"].map(|n| std::fs::read(folder().join(format!("link/{n}.o"))).expect("fixture"));
    let linked = link(&[("first.o", &a), ("second.o", &b)]).unwrap_or_else(|e| panic!("{e}"));
    let object = Object::open("linked.o", &linked).unwrap_or_else(|e| panic!("{e}"));
    let prepared = object.prepare(&target()).unwrap_or_else(|e| panic!("{e}"));
    ebpfkit_testsuite::compare(&folder().join("link/linked.loaded"), &show(&prepared))
        .unwrap_or_else(|e| panic!("{e}"));
    let repeated = link(&[("first.o", &a), ("first.o", &a)]).expect_err("two definitions");
    assert!(repeated.to_string().starts_with("conflicting non-weak symbol"), "{repeated}");
}

const FIXTURES: [&[u8]; 7] = [
    include_bytes!("loader/attach.o"),
    include_bytes!("loader/core.o"),
    include_bytes!("loader/externs.o"),
    include_bytes!("loader/maps.o"),
    include_bytes!("loader/subprograms.o"),
    include_bytes!("loader/link/first.o"),
    include_bytes!("loader/foreign.o"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Broken files give an error, an object or reasons not to load its programs; never a panic.
    #[test]
    fn mutated_fixtures_are_harmless(
        which in 0..FIXTURES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        words in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0u32, 1, 0x7fff_ffff, u32::MAX])), 0..2),
    ) {
        let mut bytes = FIXTURES[which].to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in words {
            let at = at.index(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Ok(object) = Object::open("mutated.o", &bytes) {
            let _ = object.prepare(&target());
        }
        if let Ok(linked) = link(&[("mutated.o", &bytes), ("link/first.o", FIXTURES[5])]) {
            let _ = Object::open("linked.o", &linked);
        }
    }
}
