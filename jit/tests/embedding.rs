//! What programs that embed the engines rely on: few lines, no allocation while a program runs, and things that go to
//! other threads.

use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_asm::{Syntax, assemble_insns};
use ebpfkit_jit::{CodeCache, Jit, compile};
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map as Def, Object, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::maps::{Map, create};
use ebpfkit_vm::{Engine, Fault, HelperCall, Instance, Interpreter, Loader, Program, Run, World};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// Counts what the thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of so many runs, after some that may make room.
fn allocations(mut run: impl FnMut()) -> u64 {
    for _ in 0..3 {
        run();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        run();
    }
    ALLOCATIONS.get() - before
}

fn map(map_type: MapType) -> Arc<Map> {
    let def = Def { name: "m".into(), map_type, key_size: 4, value_size: 8, max_entries: 16, ..Def::default() };
    Arc::new(create(&def, &Record::default(), 1).expect("a map"))
}

fn double(_: HelperCall<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    Ok(args[0] * 2)
}

/// Counts packets by their first byte, and gives twice the count.
const COUNTS: &str = "r2 = *(u8 *)(r1 + 0)\n*(u32 *)(r10 - 4) = r2\nr2 = r10\nr2 += -4\nr1 = map[0] ll\ncall 1\n\
                      if r0 != 0 goto found\n*(u64 *)(r10 - 16) = 0\nr1 = map[0] ll\nr2 = r10\nr2 += -4\nr3 = r10\n\
                      r3 += -16\nr4 = 0\ncall 2\nr1 = map[0] ll\nr2 = r10\nr2 += -4\ncall 1\n\
                      if r0 == 0 goto out\nfound:\nr1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\ncall 5\n\
                      out:\nexit\n";

#[test]
fn raw_instructions_a_helper_a_shared_map_and_a_byte_slice() {
    let insns = assemble_insns(COUNTS, Syntax::PseudoC).expect("the text is right");
    let shared = map(MapType::Hash);
    let load = || Loader::new(&insns).map(shared.clone()).helper(5, double).load().expect("loads");
    let engines: [&dyn Engine; 2] = [&Jit, &Interpreter];
    let mut count = 0;
    for engine in engines {
        let mut run = Run::new(&load(), World::default());
        run.set_packet(b"packet");
        let args = run.packet_args();
        for _ in 0..3 {
            count += 1;
            assert_eq!(engine.run_with(&mut run, args), Ok(2 * count));
        }
    }
    let mut value = [0; 8];
    shared.user_lookup(&u32::from(b'p').to_ne_bytes(), &mut value, 0).expect("counted");
    assert_eq!(u64::from_ne_bytes(value), count);
}

#[test]
fn a_run_allocates_nothing() {
    let insns = assemble_insns(COUNTS, Syntax::PseudoC).expect("the text is right");
    for map_type in [MapType::Hash, MapType::Array] {
        let loader = Loader::new(&insns).map(map(map_type)).helper(5, double);
        let program = loader.load().expect("loads");
        compile(&program, true).expect("compiles");
        let engines: [(&str, &dyn Engine); 2] = [("native", &Jit), ("interpreted", &Interpreter)];
        for (name, engine) in engines {
            let mut run = Run::new(&program, World::default());
            let count = allocations(|| {
                run.set_packet(&[3; 60]);
                let args = run.packet_args();
                engine.run_with(&mut run, args).expect("runs");
            });
            assert_eq!(count, 0, "{name}, {map_type:?}");
        }
    }
}

const OBJECT: &[u8] = include_bytes!("../../examples/xdp-firewall/firewall.o");

#[test]
fn a_run_of_a_verified_program_allocates_nothing() {
    let prepared = Object::open("firewall.o", OBJECT).and_then(|o| o.prepare(&Target::default())).expect("an object");
    let kernel = KernelModel::standard();
    let verdict = verify(&kernel, &prepared.object, 0, Options::to_run(), &mut Silent).verdict;
    let Verdict::Accepted(proof) = verdict else { panic!("{verdict:?}") };
    let mut instance = Instance::new(&prepared.object, &kernel, 1);
    let program = instance.load(&prepared.object, 0, Some(&proof), &|_, _| None).expect("loads");
    instance.map("blocked").expect("the map").update(&[10, 0, 0, 1], &[0; 8], 0, 0).expect("room");
    let mut frame = [0; 34];
    (frame[12], frame[14], frame[26], frame[29]) = (8, 0x45, 10, 1);
    let engines: [(&str, &dyn Engine); 2] = [("native", &Jit), ("interpreted", &Interpreter)];
    for (name, engine) in engines {
        for checked in [false, true] {
            let mut run = Run::new(&program, World::default());
            run.set_checked(checked);
            let count = allocations(|| {
                run.set_packet(&frame);
                assert_eq!(engine.run(&mut run), Ok(1), "XDP_DROP");
            });
            assert_eq!(count, 0, "{name}, checked: {checked}");
        }
    }
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) >= 1000);
}

#[test]
fn things_go_to_other_threads() {
    fn goes<T: Send + 'static>() {}
    fn is_shared<T: Send + Sync + 'static>() {}
    goes::<Run>();
    is_shared::<Arc<Program>>();
    is_shared::<Arc<Map>>();
    is_shared::<CodeCache>();
    is_shared::<Jit>();
    let insns = assemble_insns("r0 = *(u8 *)(r1 + 1)\nexit\n", Syntax::PseudoC).expect("the text is right");
    let program = Loader::new(&insns).prog_type(ProgType::Unspec).load().expect("loads");
    let threads: Vec<_> = (0..4u8)
        .map(|n| {
            let program = program.clone();
            std::thread::spawn(move || {
                let mut run = Run::new(&program, World::default());
                run.set_packet(&[0, n]);
                let args = run.packet_args();
                Jit.run_with(&mut run, args)
            })
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().expect("no panic"), Ok(n as u64));
    }
}
