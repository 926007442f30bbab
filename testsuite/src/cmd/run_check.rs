//! `run-check`: programs of real objects run on packets by the kernel and here; results, packets and maps compared.

use super::ObjectArgs;
use anyhow::Result;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_kernel::{Kernel, LogLevel, Session, TestRun, machine};
use ebpfkit_object::Prepared;
use ebpfkit_testsuite::packets::{Ipv4, Transport};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::helpers::run_timers;
use ebpfkit_vm::{Instance, Run, World, input, interp};
use std::collections::BTreeMap;

/// Arguments of `run-check`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    objects: ObjectArgs,
}

/// Instructions that one run may take here.
const BUDGET: u64 = 200_000_000;
/// Time that passes after a run, for timers that are due at once.
const TIMERS_NS: u64 = 1000;
/// Entries compared of each map.
const ENTRIES: u32 = 64;

/// Types that the kernel test-runs on packets, and whether it gives the packet back.
fn takes_packet(kind: ProgType) -> bool {
    matches!(
        kind,
        ProgType::Xdp | ProgType::SchedCls | ProgType::SchedAct | ProgType::SocketFilter | ProgType::CgroupSkb
    )
}

fn frames() -> Vec<Vec<u8>> {
    let packet =
        |transport, payload| Ipv4 { source: [127, 0, 0, 1], destination: [10, 0, 0, 2], transport, payload }.frame();
    let mut v6 = vec![0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 6, 64];
    v6.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    v6.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    v6.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4]);
    let mut tagged = packet(Transport::Udp(53, 5353), 20);
    tagged.splice(12..12, [0x81, 0, 0, 100]);
    vec![packet(Transport::Tcp(12345, 80, 2), 40), packet(Transport::Udp(4000, 53), 80), v6, tagged]
}

#[derive(Default)]
struct Counts(BTreeMap<&'static str, usize>);

/// Runs and compares.
pub fn run(args: &Args) -> Result<()> {
    let kernel = Kernel::open()?;
    machine::stay_on_cpu(0);
    let model = running::model();
    let mut counts = Counts::default();
    for file in args.objects.files()? {
        let Ok(prepared) = running::open(&file)?.and_then(running::prepare) else { continue };
        compare(kernel, &model, &prepared, args.objects.list, &mut counts);
    }
    for (what, n) in &counts.0 {
        println!("{n:6} {what}");
    }
    Ok(())
}

fn compare(kernel: Kernel, model: &KernelModel, prepared: &Prepared, list: bool, counts: &mut Counts) {
    let object = &prepared.object;
    let programs: Vec<usize> =
        (0..object.programs.len()).filter(|n| takes_packet(object.programs[*n].prog_type)).collect();
    if programs.is_empty() {
        return;
    }
    let mut tell = |what: &'static str, program: &str, detail: String| {
        *counts.0.entry(what).or_default() += 1;
        if list && what != "same" {
            println!("{what}\t{}\t{program}\t{detail}", object.name);
        }
    };
    let Ok(session) = Session::new(kernel, prepared) else { return };
    let mut instance = Instance::new(object, model, kernel.possible_cpus() as u32);
    let kfunc = |id, index| model.kfunc_name(id, index);
    for n in programs {
        let program = &object.programs[n];
        let Ok(loaded) = session.load(n, LogLevel::NONE) else { continue };
        let Ok(theirs) = loaded.program else { continue };
        let ours = match instance.load(object, n, None, &kfunc) {
            Ok(ours) => ours,
            Err(e) => {
                tell("not loaded here", &program.name, e.to_string());
                continue;
            }
        };
        let mut run = Run::new(&ours, World { cpus: kernel.possible_cpus() as u32, ..World::default() });
        run.set_budget(BUDGET);
        for (i, frame) in frames().iter().enumerate() {
            let test = TestRun { data: frame, wants_output: true, ..TestRun::default() };
            let Ok(want) = kernel.test_run(&theirs, &test) else {
                tell("not run by the kernel", &program.name, String::new());
                break;
            };
            if let Err(e) = input::set_input(&mut run, Some(frame), &[]) {
                tell("not run here", &program.name, e.to_string());
                break;
            }
            let got = match interp::run(&mut run) {
                Ok(got) => got as u32,
                Err(fault) => {
                    tell("faults", &program.name, format!("packet {i}: {fault}"));
                    break;
                }
            };
            let now = run.world().monotonic_ns;
            if let Err(fault) = run_timers(&mut run, now + TIMERS_NS) {
                tell("faults", &program.name, format!("packet {i}, timers: {fault}"));
            }
            let data = input::data_out(&run);
            if got != want.retval {
                tell("another result", &program.name, format!("packet {i}: {got:#x}, the kernel {:#x}", want.retval));
                break;
            }
            if data != want.data {
                tell(
                    "another packet",
                    &program.name,
                    format!("packet {i}: {data:02x?}, the kernel {:02x?}", want.data),
                );
                break;
            }
            tell("same", &program.name, String::new());
        }
    }
    for (n, def) in object.maps.iter().enumerate() {
        let (Ok(theirs), Some(Ok(ours))) = (session.map(n), instance.maps().get(n)) else { continue };
        if !matches!(
            def.map_type,
            MapType::Array
                | MapType::PercpuArray
                | MapType::Hash
                | MapType::LruHash
                | MapType::LpmTrie
                | MapType::PercpuHash
        ) || def.section == ".rodata"
        {
            continue;
        }
        let mut keys = Vec::new();
        let mut at = theirs.next_key(None).ok().flatten();
        while let Some(key) = at.filter(|_| keys.len() < ENTRIES as usize) {
            at = theirs.next_key(Some(&key)).ok().flatten();
            keys.push(key);
        }
        let mut same = true;
        for key in keys {
            let Ok(Some(want)) = theirs.lookup(&key) else { continue };
            let mut got = vec![0; ours.user_value_size()];
            let found = ours.user_lookup(&key, &mut got, 0);
            if found.is_err() || got != want {
                let at = got.iter().zip(&want).position(|(a, b)| a != b).unwrap_or(0);
                let part = |b: &[u8]| format!("{:02x?}", &b[at..(at + 16).min(b.len())]);
                tell(
                    "another value",
                    &def.name,
                    format!("key {key:02x?} {found:?} at {at}: {}, the kernel {}", part(&got), part(&want)),
                );
                same = false;
                break;
            }
        }
        if same {
            tell("same map", &def.name, String::new());
        }
    }
}
