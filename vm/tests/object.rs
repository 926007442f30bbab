//! An object's programs with their maps, checked and unchecked.

use ebpfkit_object::{Object, Target};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::{Instance, Run, World, interp};

const OBJECT: &[u8] = include_bytes!("../../examples/xdp-firewall/firewall.o");

/// A frame with an IPv4 header from this address.
fn frame(from: [u8; 4]) -> Vec<u8> {
    let mut f = vec![0; 14 + 20];
    f[12..14].copy_from_slice(&[8, 0]);
    f[14] = 0x45;
    f[26..30].copy_from_slice(&from);
    f
}

#[test]
fn the_firewall_counts_and_drops() {
    let prepared = Object::open("firewall.o", OBJECT).and_then(|o| o.prepare(&Target::default())).expect("an object");
    let kernel = KernelModel::standard();
    let report = verify(&kernel, &prepared.object, 0, Options::to_run(), &mut Silent);
    let Verdict::Accepted(verified) = report.verdict else { panic!("{:?}", report.verdict) };
    for proved in [None, Some(&verified)] {
        let mut instance = Instance::new(&prepared.object, &kernel, 1);
        let program = instance.load(&prepared.object, 0, proved, &|_, _| None).expect("loads");
        let map = instance.map("blocked").expect("the map").clone();
        map.update(&[10, 0, 0, 1], &[0; 8], 0, 0).expect("room");
        let mut run = Run::new(&program, World::default());
        assert_eq!(run.is_checked(), proved.is_none());
        run.set_packet(&frame([10, 0, 0, 1]));
        assert_eq!(interp::run(&mut run), Ok(1), "XDP_DROP");
        run.set_packet(&frame([10, 0, 0, 2]));
        assert_eq!(interp::run(&mut run), Ok(2), "XDP_PASS");
        let mut count = [0; 8];
        map.user_lookup(&[10, 0, 0, 1], &mut count, 0).expect("still there");
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}
