//! The cache of native code: what is the same is compiled once, what differs anew, and code never meets other maps than
//! those whose addresses stand in it.

use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_asm::{Syntax, assemble_insns, assemble_object};
use ebpfkit_jit::{CodeCache, CompileError, Jit, Options, Tier};
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map as Def, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Verdict, verify};
use ebpfkit_vm::maps::{Map, create};
use ebpfkit_vm::{Engine, Fault, HelperCall, Instance, Loader, Program, Run, World};
use std::sync::Arc;

fn loader(text: &str) -> Loader {
    Loader::new(&assemble_insns(text, Syntax::PseudoC).expect("the text is right"))
}

fn load(text: &str) -> Arc<Program> {
    loader(text).load().expect("the program can be loaded")
}

fn returns(n: i32) -> Arc<Program> {
    load(&format!("r0 = {n}\nexit\n"))
}

fn array(name: &str) -> Arc<Map> {
    let def = Def {
        name: name.into(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: 8,
        max_entries: 4,
        ..Def::default()
    };
    Arc::new(create(&def, &Record::default(), 1).expect("a map"))
}

fn result(program: &Arc<Program>) -> Result<u64, Fault> {
    Jit.run(&mut Run::new(program, World::default()))
}

/// Address of the main function.
fn entry(program: &Program, checked: bool) -> usize {
    program.native(checked).expect("compiled").entries[0] as usize
}

/// Reads the first value of map 0.
const READS: &str = "*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0] ll\ncall 1\nif r0 == 0 goto out\n\
                     r0 = *(u64 *)(r0 + 0)\nout:\nexit\n";

#[test]
fn the_same_content_is_compiled_once() {
    let cache = CodeCache::new(8);
    let programs: Vec<_> = (0..5).map(|_| returns(7)).collect();
    for program in &programs {
        cache.compile(program, true).expect("compiles");
        assert_eq!(result(program), Ok(7));
        assert_eq!(entry(program, true), entry(&programs[0], true));
    }
    assert_eq!((cache.misses(), cache.hits(), cache.len()), (1, 4, 1));
    // A program that has code asks for none.
    cache.compile(&programs[0], true).expect("compiled");
    assert_eq!((cache.misses(), cache.hits()), (1, 4));
}

#[test]
fn code_lives_as_long_as_a_program_has_it() {
    let cache = CodeCache::new(8);
    let (first, second) = (returns(7), returns(7));
    cache.compile(&first, true).expect("compiles");
    cache.compile(&second, true).expect("compiles");
    drop(first);
    assert_eq!(result(&second), Ok(7));
    cache.clear();
    assert!(cache.is_empty());
    drop(cache);
    assert_eq!(result(&second), Ok(7));
}

fn one(_: HelperCall<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(1)
}

fn two(_: HelperCall<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(2)
}

#[test]
fn any_difference_compiles_anew() {
    let cache = CodeCache::new(100);
    let compile = |program: Arc<Program>, options: Options| {
        cache.compile_with(&program, true, options).expect("compiles");
        result(&program).expect("runs")
    };
    let normal = Options::default();
    assert_eq!(compile(returns(1), normal), 1);
    assert_eq!(compile(returns(2), normal), 2);
    assert_eq!(cache.misses(), 2);
    compile(load("r0 = 1 ll\nexit\n"), normal);
    compile(load("w0 = 1\nexit\n"), normal);
    compile(load("r0 = 1\nr0 += 0\nexit\n"), normal);
    assert_eq!(cache.misses(), 5, "instructions");
    compile(loader("r0 = 1\nexit\n").prog_type(ProgType::Xdp).load().expect("loads"), normal);
    assert_eq!(cache.misses(), 6, "the program type");
    compile(returns(1), Options { tier: Some(Tier::Baseline), ..normal });
    compile(returns(1), Options { verify_ir: true, ..normal });
    assert_eq!(cache.misses(), 8, "options");
    compile(returns(1), Options { tier: Some(Tier::Optimizing), ..normal });
    assert_eq!(cache.misses(), 8, "the tier that a small program gets by itself");
    let calls = |f| loader("call 5\nexit\n").helper(5, f).load().expect("loads");
    assert_eq!((compile(calls(one), normal), compile(calls(two), normal), compile(calls(one), normal)), (1, 2, 1));
    assert_eq!(cache.misses(), 10, "helpers");
    let maps = [array("a"), array("a")];
    for (n, map) in maps.iter().enumerate() {
        map.update(&[0; 4], &(n as u64).to_ne_bytes(), 0, 0).expect("room");
        let reads = || loader(READS).map(map.clone()).load().expect("loads");
        assert_eq!((compile(reads(), normal), compile(reads(), normal)), (n as u64, n as u64));
    }
    assert_eq!(cache.misses(), 12, "maps");
    assert_eq!(cache.len(), 12);
}

#[test]
fn modes_are_kept_apart() {
    let text = ".section socket\n.globl entry\nentry:\nr0 = 3\nexit\n";
    let prepared = assemble_object("m.s", text).expect("assembles").prepare(&Target::default()).expect("an object");
    let kernel = KernelModel::standard();
    let cache = CodeCache::new(8);
    for _ in 0..2 {
        let verdict = verify(&kernel, &prepared.object, 0, ebpfkit_verifier::Options::to_run(), &mut Silent).verdict;
        let Verdict::Accepted(proof) = verdict else { panic!("{verdict:?}") };
        let mut instance = Instance::new(&prepared.object, &kernel, 1);
        let program = instance.load(&prepared.object, 0, Some(&proof), &|_, _| None).expect("loads");
        cache.compile(&program, false).expect("compiles");
        cache.compile(&program, true).expect("compiles");
        assert_ne!(entry(&program, false), entry(&program, true));
        for checked in [false, true] {
            let mut run = Run::new(&program, World::default());
            assert_eq!(run.set_checked(checked), checked);
            assert_eq!(Jit.run(&mut run), Ok(3));
        }
    }
    assert_eq!((cache.misses(), cache.hits(), cache.len()), (2, 2, 2));
    assert!(matches!(cache.compile(&returns(1), false), Err(CompileError::NotVerified)));
    assert_eq!(cache.len(), 2);
}

#[test]
fn what_was_not_asked_for_the_longest_goes() {
    let cache = CodeCache::new(2);
    let ask = |n| {
        let before = cache.misses();
        let program = returns(n);
        cache.compile(&program, true).expect("compiles");
        assert_eq!(result(&program), Ok(n as u64));
        assert!(cache.len() <= 2);
        cache.misses() > before
    };
    assert_eq!([1, 2, 1, 3].map(ask), [true, true, false, true]);
    // 2 went.
    assert_eq!([1, 3, 2].map(ask), [false, false, true]);
    assert_eq!([1, 2].map(ask), [true, false]);
    let none = CodeCache::new(0);
    for _ in 0..2 {
        let program = returns(1);
        none.compile(&program, true).expect("compiles");
        assert_eq!(result(&program), Ok(1));
    }
    assert_eq!((none.misses(), none.hits(), none.len()), (2, 0, 0));
}

#[test]
fn code_for_maps_that_are_gone_goes_too() {
    let cache = CodeCache::new(8);
    let map = array("m");
    let program = loader(READS).map(map.clone()).load().expect("loads");
    cache.compile(&program, true).expect("compiles");
    drop(program);
    cache.compile(&returns(1), true).expect("compiles");
    assert_eq!(cache.len(), 2, "the map is there still");
    drop(map);
    cache.compile(&returns(2), true).expect("compiles");
    assert_eq!(cache.len(), 2);
}

/// Programs whose maps take each other's places in memory. The verified ones hold addresses of values.
#[test]
fn maps_that_are_replaced() {
    let text = ".map m array key_size=4 value_size=8 max_entries=4\n.section socket\n.globl entry\nentry:\n\
                *(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = m ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\n\
                r1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\nr0 = r1\nout:\nexit\n";
    let prepared = assemble_object("m.s", text).expect("assembles").prepare(&Target::default()).expect("an object");
    let kernel = KernelModel::standard();
    let verdict = verify(&kernel, &prepared.object, 0, ebpfkit_verifier::Options::to_run(), &mut Silent).verdict;
    let Verdict::Accepted(proof) = verdict else { panic!("{verdict:?}") };
    let cache = CodeCache::new(8);
    for first in (0..1000u64).step_by(10) {
        let mut instance = Instance::new(&prepared.object, &kernel, 1);
        let map = instance.map("m").expect("the map").clone();
        map.update(&[0; 4], &first.to_ne_bytes(), 0, 0).expect("room");
        let program = instance.load(&prepared.object, 0, Some(&proof), &|_, _| None).expect("loads");
        for (n, checked) in [false, true].into_iter().enumerate() {
            cache.compile(&program, checked).expect("compiles");
            let mut run = Run::new(&program, World::default());
            run.set_checked(checked);
            assert_eq!(Jit.run(&mut run), Ok(first + n as u64 + 1), "from {first}");
        }
        let mut value = [0; 8];
        map.user_lookup(&[0; 4], &mut value, 0).expect("the value");
        assert_eq!(u64::from_ne_bytes(value), first + 2);
    }
    assert_eq!((cache.misses(), cache.hits()), (200, 0), "no map is another");
    assert!(cache.len() <= 4);
}

#[test]
fn threads_wait_for_the_first() {
    let cache = CodeCache::new(16);
    let map = array("m");
    map.update(&[0; 4], &9u64.to_ne_bytes(), 0, 0).expect("room");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..40 {
                    let program = returns(n % 8);
                    cache.compile(&program, true).expect("compiles");
                    assert_eq!(result(&program), Ok((n % 8) as u64));
                    let reads = loader(READS).map(map.clone()).load().expect("loads");
                    cache.compile(&reads, true).expect("compiles");
                    assert_eq!(result(&reads), Ok(9));
                }
            });
        }
    });
    assert_eq!((cache.misses(), cache.hits(), cache.len()), (9, 8 * 80 - 9, 9));
}

/// Code that programs share comes back from a tail call to the program that made it.
#[test]
fn shared_code_knows_its_program() {
    fn current(run: HelperCall<'_>, _: [u64; 5]) -> Result<u64, Fault> {
        Ok(run.current().id().into())
    }
    let def = Def {
        name: "programs".into(),
        map_type: MapType::ProgArray,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..Def::default()
    };
    let programs = Arc::new(create(&def, &Record::default(), 1).expect("a map"));
    let text = "r6 = r1\ncall f\nr7 = r0\ncall 5\nr7 <<= 32\nr0 |= r7\nexit\n\
                f:\nr2 = map[0] ll\nr3 = 0\ncall 12\nr0 = 0\nexit\n";
    let make = || {
        let loaded = loader(text).prog_type(ProgType::Xdp).map(programs.clone()).helper(5, current).load();
        loaded.expect("the program can be loaded")
    };
    let target = loader("r0 = 77\nexit\n").prog_type(ProgType::Xdp).load().expect("loads");
    let ebpfkit_vm::maps::Kind::Slots(slots) = programs.kind() else { panic!("a prog array") };
    slots.set_program(0, target.id().into(), target.clone()).expect("a slot");
    let cache = CodeCache::new(8);
    for _ in 0..3 {
        let program = make();
        cache.compile(&program, true).expect("compiles");
        let mut run = Run::new(&program, World::default());
        for _ in 0..3 {
            assert_eq!(Jit.run(&mut run), Ok(77 << 32 | u64::from(program.id())));
        }
    }
    assert_eq!((cache.misses(), cache.hits()), (1, 2));
    slots.clear_programs();
}

#[test]
fn a_cache_can_be_shared() {
    fn is_shareable<T: Send + Sync + 'static>() {}
    is_shareable::<CodeCache>();
}
