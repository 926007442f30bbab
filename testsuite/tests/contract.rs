//! What verified programs take for granted is given to them, or they are refused, or they run with checks.

use ebpfkit_abi::map_type::{Count, MapTraits};
use ebpfkit_abi::{MapType, ProgType, map_flags};
use ebpfkit_asm::{Syntax, assemble_insns, assemble_object};
use ebpfkit_jit::Jit;
use ebpfkit_object::btf::BtfRef;
use ebpfkit_object::record::{Field, FieldKind, Record};
use ebpfkit_object::{Map as Definition, Prepared};
use ebpfkit_testsuite::engines::{self, verified_all};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::{KernelModel, Verified};
use ebpfkit_vm::input::{InputError, set_input};
use ebpfkit_vm::maps::{Kind, Map, Surroundings, create, create_outer};
use ebpfkit_vm::{Engine, Errno, Fault, Instance, Interpreter, LoadError, Loader, Program, Run, World};
use std::sync::Arc;

const ENGINES: [&dyn Engine; 2] = [&Interpreter, &Jit];

fn prepare(text: &str) -> Prepared {
    running::prepare(assemble_object("t.s", text).expect("the text is right")).expect("an object")
}

fn proofs(model: &KernelModel, prepared: &Prepared) -> Vec<Verified> {
    verified_all(model, prepared).expect("the programs are good")
}

/// All programs of an object, loaded as verified ones.
fn load(text: &str) -> (Instance, Vec<Arc<Program>>) {
    let (model, prepared) = (running::model(), prepare(text));
    let proofs = proofs(&model, &prepared);
    let mut instance = Instance::new(&prepared.object, &model, 2);
    let programs = engines::load(&mut instance, &model, &prepared, &proofs).expect("loads");
    (instance, programs)
}

/// Runs a program in every engine, with checks and without; all give the same.
fn run(program: &Arc<Program>, packet: Option<&[u8]>) -> Result<u64, Fault> {
    let mut results = Vec::new();
    for engine in ENGINES {
        for checked in [false, true] {
            let mut run = Run::new(program, World::default());
            run.set_checked(checked);
            set_input(&mut run, packet, &[]).expect("input");
            results.push(engine.run(&mut run));
        }
    }
    let first = results.remove(0);
    for other in results {
        assert_eq!(first.as_ref().ok(), other.as_ref().ok(), "{}", program.name());
    }
    first
}

#[test]
fn pointers_of_contexts_lead_to_memory() {
    let (_, programs) = load(
        ".license \"GPL\"\n\
         .section flow_dissector\n.func dissect\nr2 = *(u64 *)(r1 + 144)\nr0 = *(u16 *)(r2 + 0)\nr3 = 7\n\
         *(u16 *)(r2 + 0) = r3\nr4 = *(u16 *)(r2 + 0)\nif r4 != 7 goto out\nr3 = *(u16 *)(r2 + 10)\n\
         if r3 != 8 goto out\nexit\nout:\nr0 = 2\nexit\n\
         .section sk_reuseport\n.func reuse\nr2 = *(u64 *)(r1 + 40)\nr0 = *(u32 *)(r2 + 4)\nr0 = 1\nexit\n\
         .section sk_msg\n.func msg\nr2 = *(u64 *)(r1 + 72)\nr0 = *(u32 *)(r2 + 4)\nr0 = 1\nexit\n\
         .section cgroup/connect4\n.func addr\nr2 = *(u64 *)(r1 + 64)\nr0 = *(u32 *)(r2 + 4)\nr0 = 1\nexit\n\
         .section cgroup/getsockopt\n.func opt\nr2 = *(u64 *)(r1 + 0)\nr0 = *(u32 *)(r2 + 4)\nr0 = 1\nexit\n\
         .section raw_tp.w/x\n.func rtw\nr2 = *(u64 *)(r1 + 0)\nr3 = 5\n*(u64 *)(r2 + 8) = r3\n\
         r0 = *(u64 *)(r2 + 8)\nexit\n",
    );
    let mut packet = [0; 54];
    packet[12] = 8;
    assert_eq!(run(&programs[0], Some(&packet)), Ok(14), "the network header, each time anew");
    for program in &programs[1..5] {
        assert_eq!(run(program, None), Ok(1));
    }
    assert_eq!(run(&programs[5], None), Ok(5));
    assert!(programs[5].contract().is_some_and(|c| c.sandboxed().is_some()));
    // An address that a user gives is none of the program's.
    for engine in ENGINES {
        let mut run = Run::new(&programs[5], World::default());
        set_input(&mut run, None, &[0x41; 96]).expect("input");
        assert!(run.is_checked() && !run.set_ctx_field("sk", 1));
        engine.run(&mut run).expect_err("no memory there");
    }
}

#[test]
fn contexts_are_as_long_as_programs_look() {
    let (_, programs) = load(
        ".license \"GPL\"\n.section kprobe/x\n.func kp\nr0 = *(u64 *)(r1 + 160)\nexit\n\
         .section raw_tp/x\n.func rtp\nr0 = *(u64 *)(r1 + 88)\nexit\n\
         .section perf_event\n.func pe\nr0 = *(u64 *)(r1 + 160)\nr0 = 0\nexit\n\
         .section tp/syscalls/x\n.func tp\nr0 = *(u64 *)(r1 + 8184)\nexit\n\
         .section syscall\n.func far\nr2 = 7\n*(u64 *)(r1 + 32000) = r2\nr0 = *(u64 *)(r1 + 32000)\nexit\n\
         .section lirc_mode2\n.func lirc\nr0 = *(u32 *)(r1 + 0)\nexit\n",
    );
    for (program, result) in programs.iter().zip([0, 0, 0, 0, 7, 0]) {
        assert_eq!(run(program, None), Ok(result), "{}", program.name());
        let needed = program.contract().expect("verified").ctx_bytes();
        let mut run = Run::new(program, World::default());
        let short = set_input(&mut run, None, &[1]);
        assert_eq!(short, Err(InputError::ShortContext { found: 1, needed }));
        // Who sets it all the same gets zeros behind it.
        for engine in ENGINES {
            let mut run = Run::new(program, World::default());
            run.set_ctx(&[1]);
            let r0 = engine.run(&mut run).expect("runs");
            assert!(r0 == result || program.name() == "lirc" && r0 == 1, "{} {r0}", program.name());
        }
    }
}

const TAIL: &str = "r2 = progs ll\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit\n";

#[test]
fn a_prog_array_has_programs_of_one_type() {
    let prepared = prepare(&format!(
        ".license \"GPL\"\n.map progs prog_array max_entries=2\n.section xdp\n.func main\n{TAIL}\
         .section xdp\n.func same\nr0 = 2\nexit\n.section tc\n.func other\nr2 = 1\n*(u32 *)(r1 + 48) = r2\nr0 = 0\nexit\n\
         .section tc\n.func names\n{TAIL}"
    ));
    let model = running::model();
    let proofs = proofs(&model, &prepared);
    let mut instance = Instance::new(&prepared.object, &model, 1);
    let mut load = |n: usize| instance.load(&prepared.object, n, Some(&proofs[n]), &|_, _| None);
    let (main, same, other) = (load(0).expect("loads"), load(1).expect("loads"), load(2).expect("loads"));
    assert!(matches!(load(3), Err(LoadError::Owner { .. })), "another type names the map");
    let progs = instance.map("progs").expect("the map");
    let Kind::Slots(slots) = progs.kind() else { panic!("{progs:?}") };
    assert_eq!(slots.set_program(0, 1, other), Err(Errno::EINVAL));
    assert_eq!(run(&main, Some(&[0; 60])), Ok(1));
    slots.set_program(0, 1, same).expect("the same type");
    assert_eq!(run(&main, Some(&[0; 60])), Ok(2));
}

fn definition(map_type: MapType, value_size: u32) -> Definition {
    Definition { name: "m".into(), map_type, key_size: 4, value_size, max_entries: 1, ..Definition::default() }
}

#[test]
fn inner_maps_hold_what_the_template_holds() {
    let (kind, btf) = (FieldKind::KptrRef, BtfRef::Vmlinux);
    let field = |offset| Field { kind, offset, size: 8, btf, type_id: 1, node_offset: 0 };
    let fields = |offset| Record { fields: vec![field(offset)] };
    let template = definition(MapType::Array, 16);
    let outer = Definition { inner: Some(Box::new(template.clone())), ..definition(MapType::ArrayOfMaps, 4) };
    let make = |fields: &Record| Arc::new(create(&template, fields, 1).expect("a map"));
    let outer =
        create_outer(&outer, &Record::default(), &fields(0), &Surroundings::of(&World::default())).expect("a map");
    let Kind::Maps(maps) = outer.kind() else { panic!("{outer:?}") };
    let set = |map: &Arc<Map>| maps.set(&[0; 4], map, 0);
    assert_eq!(set(&make(&Record::default())), Err(Errno::EINVAL), "plain bytes where a pointer stands");
    assert_eq!(set(&make(&fields(8))), Err(Errno::EINVAL), "elsewhere");
    assert_eq!(set(&make(&fields(0))), Ok(()));
}

#[test]
fn a_verified_program_gets_what_it_was_verified_with() {
    let text = ".license \"GPL\"\n.map m array key=u32 value=u64 max_entries=4\n.section socket\n.func f\n\
                r1 = m ll\nr2 = r10\nr2 += -4\n*(u32 *)(r10 - 4) = 0\ncall bpf_map_lookup_elem\n\
                if r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout:\nexit\n";
    let (model, prepared) = (running::model(), prepare(text));
    let proof = &proofs(&model, &prepared)[0];
    let load = |def: &Definition| {
        let map = Arc::new(create(def, &Record::default(), 1).expect("a map"));
        Loader::verified(proof).map(map).load()
    };
    let own = prepared.object.maps[0].clone();
    load(&own).expect("the same definition");
    for other in [
        Definition { value_size: 1, ..own.clone() },
        Definition { key_size: 8, map_type: MapType::Hash, ..own.clone() },
        Definition { max_entries: 1, ..own.clone() },
    ] {
        assert!(matches!(load(&other), Err(LoadError::Broken(_))), "{other:?}");
    }
    let map = Arc::new(create(&own, &Record::default(), 1).expect("a map"));
    let as_xdp = Loader::verified(proof).map(map.clone()).prog_type(ProgType::Xdp).load();
    assert!(matches!(as_xdp, Err(LoadError::OtherType { .. })));
    // A helper of the user's has another contract than the one that was proved.
    let own_helper = Loader::verified(proof).map(map.clone()).helper(1, |_, args| Ok(args[1])).load().expect("loads");
    assert!(!own_helper.runs_unchecked() && Run::new(&own_helper, World::default()).is_checked());
    let program = Loader::verified(proof).map(map).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    for engine in ENGINES {
        engine.run_with(&mut run, [0x4141, 0, 0, 0, 0]).expect_err("arguments that nobody has verified");
        assert_eq!(engine.run(&mut run), Ok(0));
    }
}

/// A number that fits where a type's keys, values or entries have so many bytes or are so many.
fn fitting(count: Count) -> u32 {
    match count {
        Count::Zero => 0,
        Count::Exactly(n) | Count::Either(n, _) => n,
        Count::Between(low, high) => 8.clamp(low, high),
        Count::Pages => 4096,
        Count::Any | Count::NonZero => 8,
    }
}

#[test]
fn maps_of_every_type_are_those_that_were_verified() {
    let model = running::model();
    let mut loaded = Vec::new();
    for kind in MapType::ALL.iter().copied() {
        let row = kind.row();
        let (key, value, entries) = (fitting(row.key), fitting(row.value), fitting(row.entries));
        // Inner maps, values that are programs' and the kernel's structs need more than numbers.
        if kind.is(MapTraits::MAPS) || matches!(kind, MapType::StructOps | MapType::Arena) {
            continue;
        }
        let flags: Vec<&str> = map_flags::all().filter(|(_, f)| row.required & f != 0).map(|(name, _)| name).collect();
        let flags = if flags.is_empty() { String::new() } else { format!(" flags={}", flags.join("|")) };
        let sizes = match (key, value) {
            // Storage needs types, which others do not take.
            (4, 8) if !kind.is(MapTraits::UNTYPED) => "key=u32 value=u64".to_owned(),
            _ => format!("key_size={key} value_size={value}"),
        };
        let text = format!(
            ".license \"GPL\"\n.map m {kind} {sizes} max_entries={entries}{flags}\n\
             .section xdp\n.func f\nr1 = m ll\nr0 = 2\nexit\n"
        );
        let Ok(object) = assemble_object("t.s", &text) else { continue };
        let prepared = running::prepare(object).expect("an object");
        let Ok(proofs) = verified_all(&model, &prepared) else { continue };
        let mut instance = Instance::new(&prepared.object, &model, 2);
        match engines::load(&mut instance, &model, &prepared, &proofs) {
            Ok(programs) => assert_eq!(run(&programs[0], Some(&[0; 60])), Ok(2), "{kind}"),
            Err(e) => panic!("{kind}: {e}"),
        }
        loaded.push(kind);
    }
    assert!(loaded.len() >= 24 && loaded.contains(&MapType::DevmapHash), "{loaded:?}");
}

#[test]
fn constants_stay_what_was_verified() {
    let def = Definition { flags: 1 << 7, ..definition(MapType::Array, 8) };
    let map = create(&def, &Record::default(), 1).expect("a map");
    assert_eq!(map.update(&[0; 4], &[1; 8], 0, 0), Err(Errno::EACCES), "programs may only read it");
    map.user_update(&[0; 4], &[1; 8], 0).expect("its owner may");
    map.freeze().expect("it may be written");
    assert_eq!(map.user_update(&[0; 4], &[2; 8], 0), Err(Errno::EPERM));
}

#[test]
fn a_map_reads_as_the_kernels_struct() {
    let model = running::model();
    let Some(btf) = model.btf() else { return println!("1 skipped: a_map_reads_as_the_kernels_struct: no BTF") };
    use ebpfkit_object::btf::Kind as K;
    let member = |name: &str| {
        let id = btf.find("bpf_map", K::Struct).expect("struct bpf_map");
        btf.members(id).find(|m| m.name == name).expect("a member").bit_offset / 8
    };
    for (name, value) in [("max_entries", 1234), ("key_size", 4), ("value_size", 8), ("map_type", 1)] {
        let text = format!(
            ".license \"GPL\"\n.map h hash key=u32 value=u64 max_entries=1234\n.section socket\n.func f\n\
             r1 = h ll\nr0 = *(u32 *)(r1 + {})\nexit\n",
            member(name)
        );
        let (_instance, programs) = load(&text);
        assert_eq!(run(&programs[0], Some(&[0; 60])), Ok(value), "{name}");
    }
}

#[test]
fn reads_of_any_address_give_zero_where_nothing_is() {
    let model = running::model();
    let Some(btf) = model.btf() else { return println!("1 skipped: reads_of_any_address: no BTF") };
    let id = btf.find("bpf_rdonly_cast", ebpfkit_object::btf::Kind::Func).expect("a kernel function");
    let mut prepared = prepare(
        ".license \"GPL\"\n.section socket\n.func f\nr1 = 0x414141414141 ll\nr2 = 0\ncall 1\n\
         r0 = *(u8 *)(r0 + 5)\nexit\n",
    );
    let insns = &mut prepared.object.programs[0].insns;
    let call = insns.iter_mut().find(|i| i.code == 0x85).expect("a call");
    (call.src, call.imm) = (2, id as i32);
    let proof = &proofs(&model, &prepared)[0];
    let program = Loader::verified(proof).load().expect("loads");
    assert_eq!(run(&program, Some(&[0; 60])), Ok(0));
}

#[test]
fn unverified_programs_take_any_arguments() {
    let insns = assemble_insns("r0 = r1\nr0 += r5\nexit\n", Syntax::PseudoC).expect("the text is right");
    let program = Loader::new(&insns).load().expect("loads");
    for engine in ENGINES {
        assert_eq!(engine.run_with(&mut Run::new(&program, World::default()), [1, 0, 0, 0, 2]), Ok(3));
    }
}

#[test]
fn maps_with_locks_are_for_verified_programs_or_for_others() {
    let program = "r2 = r10\nr2 += -4\n*(u32 *)(r10 - 4) = 0\nr1 = m ll\ncall bpf_map_lookup_elem\n\
                   if r0 == 0 goto out\nr6 = r0\nr1 = r6\ncall bpf_spin_lock\nr1 = 5\n*(u32 *)(r6 + 4) = r1\nr1 = r6\n\
                   call bpf_spin_unlock\nr0 = *(u32 *)(r6 + 4)\nout:\nexit\n";
    let prepared = prepare(&format!(
        ".license \"GPL\"\n.struct stats {{\nstruct bpf_spin_lock lock;\nu32 n;\n}}\n\
         .map m array key=u32 value=struct stats max_entries=1\n\
         .section tc\n.func one\n{program}.section tc\n.func two\n{program}"
    ));
    let model = running::model();
    let proofs = proofs(&model, &prepared);
    for first_is_verified in [true, false] {
        let mut instance = Instance::new(&prepared.object, &model, 1);
        let mut load =
            |n: usize, verified: bool| instance.load(&prepared.object, n, verified.then_some(&proofs[n]), &|_, _| None);
        let one = load(0, first_is_verified).expect("the first program that uses the map");
        assert_eq!(run(&one, Some(&[0; 60])), Ok(5));
        let other = load(1, !first_is_verified);
        assert!(matches!(other, Err(LoadError::Users { .. })), "{other:?}");
        load(1, first_is_verified).expect("a program like the first");
    }
}

#[test]
fn a_tail_call_to_a_program_that_needs_checks_has_them_from_the_start() {
    let text = ".license \"GPL\"\n.map progs prog_array key=u32 value=u32 max_entries=1\n.section tc\n.func main\n\
                r2 = progs ll\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit\n.func other\nr0 = 2\nexit\n";
    let (model, prepared) = (running::model(), prepare(text));
    let proofs = proofs(&model, &prepared);
    let mut instance = Instance::new(&prepared.object, &model, 1);
    let main = instance.load(&prepared.object, 0, Some(&proofs[0]), &|_, _| None).expect("loads");
    assert!(main.runs_unchecked() && !Run::new(&main, World::default()).is_checked());
    let other = instance.load(&prepared.object, 1, None, &|_, _| None).expect("loads");
    let Kind::Slots(slots) = instance.map("progs").expect("the map").kind() else { panic!("another map") };
    slots.set_program(0, 1, other).expect("the same type");
    assert!(Run::new(&main, World::default()).is_checked());
    assert_eq!(run(&main, Some(&[0; 60])), Ok(2));
}

#[test]
fn a_verification_with_the_kernels_errors_is_no_proof() {
    let prepared = prepare(".license \"GPL\"\n.section socket\n.func f\nr0 = 3\nexit\n");
    let (model, options) = (running::model(), ebpfkit_verifier::Options::default());
    let silent = &mut ebpfkit_verifier::observer::Silent;
    let ebpfkit_verifier::Verdict::Accepted(proof) =
        ebpfkit_verifier::verify(&model, &prepared.object, 0, options, silent).verdict
    else {
        panic!("rejected")
    };
    let program = Loader::verified(&proof).load().expect("loads");
    assert!(!program.runs_unchecked());
    assert_eq!(run(&program, Some(&[0; 60])), Ok(3));
}
