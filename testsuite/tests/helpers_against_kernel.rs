//! The same helper calls on the same packet give the same results, context fields and bytes in the kernel's test-run and
//! in ours. Skipped without bpf(2).

use ebpfkit_abi::{MapType, ProgType, helper_id};
use ebpfkit_isa::Insn;
use ebpfkit_jit::Jit;
use ebpfkit_kernel::{Kernel, LoadParams, LogLevel, MapParams, TestRun};
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map as Def, Object, Program};
use ebpfkit_testsuite::running;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use ebpfkit_vm::{Engine, Event, Loader, Run, World, interp, maps};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// An argument of a helper.
#[derive(Clone, Copy, Debug)]
enum Arg {
    Ctx,
    /// A number; sign-extended.
    Num(i32),
    /// The buffer on the stack, from a byte of it on.
    Buf(u8),
    /// The null pointer.
    Null,
}

/// A call.
#[derive(Clone, Debug)]
struct Call {
    helper: &'static str,
    args: Vec<Arg>,
    /// The result is a number that can be compared.
    compare: bool,
}

fn call(helper: &'static str, args: &[Arg]) -> Call {
    Call { helper, args: args.to_vec(), compare: true }
}

/// Bytes of the buffer, which starts 64 bytes below the frame pointer.
const BUF: i32 = 64;
/// Results that one run can hold, eight bytes each.
const RESULTS: usize = 256;

/// Puts instructions together. Results go to the map value that r7 points to.
struct Code {
    insns: Vec<Insn>,
    results: i16,
}

impl Code {
    fn new(map: i32) -> Self {
        let mut code = Self { insns: Vec::new(), results: 0 };
        code.push(0xbf, 6, 1, 0, 0);
        code.push(0x18, 7, 2, 0, map);
        code.push(0, 0, 0, 0, 0);
        for i in 0..BUF / 8 {
            code.push(0x18, 1, 0, 0, 0x0102_0304i32.wrapping_mul(2 * i + 1));
            code.push(0, 0, 0, 0, 0x7155_8293i32.wrapping_mul(i + 3));
            code.push(0x7b, 10, 1, (i * 8 - BUF) as i16, 0);
        }
        code
    }

    fn push(&mut self, op: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn::new(op, dst, src, off, imm));
    }

    /// Keeps a register.
    fn keep(&mut self, reg: u8) {
        assert!((self.results as usize) < RESULTS * 8);
        self.push(0x7b, 7, reg, self.results, 0);
        self.results += 8;
    }

    fn call(&mut self, call: &Call) {
        for (i, arg) in call.args.iter().enumerate() {
            let reg = i as u8 + 1;
            match *arg {
                Arg::Ctx => self.push(0xbf, reg, 6, 0, 0),
                Arg::Num(n) => self.push(0xb7, reg, 0, 0, n),
                Arg::Null => self.push(0xb7, reg, 0, 0, 0),
                Arg::Buf(at) => {
                    self.push(0xbf, reg, 10, 0, 0);
                    self.push(0x07, reg, 0, 0, i32::from(at) - BUF);
                }
            }
        }
        self.push(0x85, 0, 0, 0, helper_id(call.helper).expect("a helper") as i32);
        if call.compare {
            self.keep(0);
        }
        // The buffer may have been written to.
        if call.args.iter().any(|a| matches!(a, Arg::Buf(_))) {
            for i in 0..BUF / 8 {
                self.push(0x79, 1, 10, (i * 8 - BUF) as i16, 0);
                self.keep(1);
            }
        }
    }

    /// Keeps a field of the context.
    fn field(&mut self, offset: i16) {
        self.push(0x61, 1, 6, offset, 0);
        self.keep(1);
    }

    fn end(mut self) -> Vec<Insn> {
        self.push(0xb7, 0, 0, 0, 0);
        self.push(0x95, 0, 0, 0, 0);
        self.insns
    }
}

fn program(kind: ProgType, calls: &[Call], map: i32) -> Vec<Insn> {
    let mut code = Code::new(map);
    for c in calls {
        code.call(c);
        if kind != ProgType::Xdp {
            // len, pkt_type, protocol, vlan_present, vlan_tci, vlan_proto
            for offset in [0, 4, 16, 20, 24, 28] {
                code.field(offset);
            }
        }
    }
    code.end()
}

type Outcome = (Vec<u8>, Vec<u8>);

/// Results and packet; nothing when the kernel's verifier refuses the program.
fn theirs(kernel: &Kernel, kind: ProgType, calls: &[Call], packet: &[u8]) -> Option<Outcome> {
    let value_size = RESULTS as u32 * 8;
    let params =
        MapParams { map_type: MapType::Array, key_size: 4, value_size, max_entries: 1, ..MapParams::default() };
    let map = kernel.create_map(&params).expect("a map");
    let insns = program(kind, calls, map.as_fd().as_raw_fd());
    let load = LoadParams {
        prog_type: kind,
        insns: &insns,
        license: "GPL",
        log_level: LogLevel::FAILING_PATH,
        ..LoadParams::default()
    };
    let loaded = kernel.load_program(&load).expect("bpf(2)");
    let Ok(program) = loaded.program else {
        panic!("{:?}\n{}", calls, loaded.log);
    };
    let input = TestRun { data: packet, wants_output: true, ..TestRun::default() };
    // The kernel refuses frames that are too short for what they say they are.
    let out = kernel.test_run(&program, &input).ok()?;
    Some((map.lookup(&[0; 4]).ok()??, out.data))
}

/// What runs programs here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Checked,
    Unchecked,
    Native,
}

const HOW: [How; 3] = [How::Checked, How::Unchecked, How::Native];

/// The program as an object with one map, whose value is the results.
fn object(kind: ProgType, insns: Vec<Insn>) -> Object {
    let map = Def {
        name: "results".into(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: RESULTS as u32 * 8,
        max_entries: 1,
        ..Def::default()
    };
    let program = Program { name: "calls".into(), prog_type: kind, insns, autoload: true, ..Program::default() };
    Object { license: "GPL".into(), programs: vec![program], maps: vec![map], ..Object::default() }
}

/// A run of the program, and its map; nothing when it has to be verified and our verifier does not accept it.
fn run_here(object: &Object, how: How, packet: &[u8]) -> Option<(Run, Arc<maps::Map>)> {
    let map = Arc::new(maps::create(&object.maps[0], &Record::default(), 1).expect("a map"));
    let loader = match how {
        How::Checked => Loader::program(&object.programs[0]),
        _ => match verify(&KernelModel::standard(), object, 0, Options::to_run(), &mut Silent).verdict {
            Verdict::Accepted(verified) => Loader::verified(&verified),
            _ => return None,
        },
    };
    let program = loader.map(map.clone()).load().expect("loads");
    let mut run = Run::new(&program, World::default());
    run.set_checked(how == How::Checked);
    run.set_packet(packet);
    let result = if how == How::Native { Jit.run(&mut run) } else { interp::run(&mut run) };
    result.unwrap_or_else(|fault| panic!("{how:?}: {fault}"));
    Some((run, map))
}

fn ours(kind: ProgType, calls: &[Call], packet: &[u8], how: How) -> Option<Outcome> {
    let object = object(kind, program(kind, calls, 0));
    let (run, map) = run_here(&object, how, packet)?;
    let mut results = vec![0; RESULTS * 8];
    map.user_lookup(&[0; 4], &mut results, 0).expect("a value");
    // The kernel gives metadata and packet.
    Some((results, [run.packet().meta(), run.packet().bytes()].concat()))
}

#[test]
fn strings_on_the_stack_are_printed_by_every_engine() {
    let mut code = Code::new(0);
    let text = |s: &[u8]| i32::from_le_bytes(std::array::from_fn(|i| s.get(i).copied().unwrap_or(0)));
    for (at, word) in [(-64, text(b"[%s]")), (-60, 0), (-48, text(b"hey"))] {
        code.push(0x62, 10, 0, at, word);
    }
    code.call(&Call { helper: "trace_printk", args: vec![Arg::Buf(0), Arg::Num(5), Arg::Buf(16)], compare: true });
    code.call(&Call {
        helper: "probe_read_kernel",
        args: vec![Arg::Buf(32), Arg::Num(4), Arg::Buf(16)],
        compare: true,
    });
    let object = object(ProgType::SchedCls, code.end());
    for how in HOW {
        let (run, map) = run_here(&object, how, &[0; 64]).expect("the verifier accepts it");
        assert_eq!(run.events(), [Event::Printk("[hey]".into())], "{how:?}");
        let mut results = vec![0; RESULTS * 8];
        map.user_lookup(&[0; 4], &mut results, 0).expect("a value");
        // Two results with eight words of the buffer behind each.
        assert_eq!(results[..8], 5u64.to_ne_bytes(), "{how:?}");
        assert_eq!(results[72..80], [0; 8], "{how:?}");
        assert_eq!(results[80 + 32..80 + 36], *b"hey\0", "{how:?}");
    }
}

/// Frames: addresses, type, and what follows.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0x0800u16, 0x0800, 0x86dd, 0x86dd, 0x8100, 0x88a8, 0x0806, 0x0100]);
    let first = prop::sample::select(vec![0u8, 0xff, 1, 2]);
    (kind, first, prop::collection::vec(any::<u8>(), 4..160)).prop_map(|(kind, first, rest)| {
        let mut frame = vec![first; 6];
        frame.extend([2, 0, 0, 0, 0, 9]);
        frame.extend(kind.to_be_bytes());
        let at = frame.len();
        frame.extend(rest);
        // The kernel's test-run reads addresses from whole IP headers; a test-run of less than a frame is refused.
        match kind {
            0x0800 if frame.len() > at => frame[at] = 0x45,
            0x86dd if frame.len() > at => frame[at] = 0x60,
            0x8100 | 0x88a8 if frame.len() > at + 4 => {
                let inner = if frame[at] & 1 == 0 { 0x0800u16 } else { 0x8100 };
                frame[at + 2..at + 4].copy_from_slice(&inner.to_be_bytes());
            }
            _ => {}
        }
        frame
    })
}

fn small() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0..80i32, 1 => 80..300i32, 1 => prop::sample::select(vec![-1, 0xffff, 0x10000, i32::MAX, i32::MIN])]
}

fn flag_bits(bits: u32) -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(0), 3 => (0..bits).prop_map(|b| 1 << b), 1 => 0..1 << bits]
}

fn skb_calls() -> impl Strategy<Value = Call> {
    use Arg::*;
    let len = prop::sample::select(vec![1i32, 2, 4, 7, 16, 32]);
    prop_oneof![
        (small(), len.clone(), flag_bits(3))
            .prop_map(|(o, l, f)| call("skb_store_bytes", &[Ctx, Num(o), Buf(3), Num(l), Num(f)])),
        (small(), len.clone()).prop_map(|(o, l)| call("skb_load_bytes", &[Ctx, Num(o), Buf(8), Num(l)])),
        (small(), len.clone(), 0..3i32)
            .prop_map(|(o, l, h)| call("skb_load_bytes_relative", &[Ctx, Num(o), Buf(8), Num(l), Num(h)])),
        small().prop_map(|l| call("skb_pull_data", &[Ctx, Num(l)])),
        (small(), any::<i32>(), any::<i32>(), prop::sample::select(vec![0, 2, 4, 4, 2, 3, 0x10])).prop_map(
            |(o, a, b, f)| call(
                "l3_csum_replace",
                &[Ctx, Num(o), Num(if f == 0 && b & 1 == 0 { 0 } else { a }), Num(b), Num(f)]
            )
        ),
        (
            small(),
            any::<i32>(),
            any::<i32>(),
            prop::sample::select(vec![0, 2, 4, 0x12, 0x14, 0x24, 0x64, 0x62, 0x84, 0x100])
        )
            .prop_map(|(o, a, b, f)| call(
                "l4_csum_replace",
                &[Ctx, Num(o), Num(if f == 0 && b & 1 == 0 { 0 } else { a }), Num(b), Num(f)]
            )),
        (0..9i32, 0..9i32, any::<i32>()).prop_map(|(a, b, s)| {
            let side = |n: i32, at| if n == 0 { Null } else { Buf(at) };
            call("csum_diff", &[side(a, 0), Num(a * 4), side(b, 32 - 4), Num(b * 4), Num(s)])
        }),
        any::<i32>().prop_map(|s| call("csum_update", &[Ctx, Num(s)])),
        (0..5i32).prop_map(|l| call("csum_level", &[Ctx, Num(l)])),
        (prop::sample::select(vec![0x0081i32, 0xa888, 0x0008, 0]), 0..65536i32)
            .prop_map(|(k, c)| call("skb_vlan_push", &[Ctx, Num(k), Num(c)])),
        Just(call("skb_vlan_pop", &[Ctx])),
        (prop::sample::select(vec![0x0008i32, 0xdd86, 0x0081]), flag_bits(1))
            .prop_map(|(p, f)| call("skb_change_proto", &[Ctx, Num(p), Num(f)])),
        (0..6i32).prop_map(|t| call("skb_change_type", &[Ctx, Num(t)])),
        Just(call("skb_ecn_set_ce", &[Ctx])),
        (prop_oneof![-60..60i32, Just(4095), Just(-4096)], 0..3i32, flag_bits(9))
            .prop_map(|(by, mode, f)| call("skb_adjust_room", &[Ctx, Num(by), Num(mode), Num(f)])),
        (small(), flag_bits(1)).prop_map(|(l, f)| call("skb_change_tail", &[Ctx, Num(l), Num(f)])),
        (0..64i32, flag_bits(1)).prop_map(|(l, f)| call("skb_change_head", &[Ctx, Num(l), Num(f)])),
        (prop::sample::select(vec![44i32, 28, 24, 22, 8, 30]), flag_bits(6))
            .prop_map(|(s, f)| call("skb_set_tunnel_key", &[Ctx, Buf(0), Num(s), Num(f)])),
        (prop::sample::select(vec![44i32, 28, 24, 22, 8, 30]), prop::sample::select(vec![0, 1, 2, 16, 17]))
            .prop_map(|(s, f)| call("skb_get_tunnel_key", &[Ctx, Buf(0), Num(s), Num(f)])),
        prop::sample::select(vec![4i32, 8, 7, 20]).prop_map(|s| call("skb_set_tunnel_opt", &[Ctx, Buf(8), Num(s)])),
        prop::sample::select(vec![4i32, 8, 7, 20]).prop_map(|s| call("skb_get_tunnel_opt", &[Ctx, Buf(8), Num(s)])),
        (prop::sample::select(vec![0i32, 1, 77]), -70000..70000i32, flag_bits(2))
            .prop_map(|(i, by, f)| call("check_mtu", &[Ctx, Num(i), Buf(4), Num(by), Num(f)])),
        (0..3i32, flag_bits(2)).prop_map(|(i, f)| call("redirect", &[Num(i), Num(f)])),
        (prop::sample::select(vec![8i32, 16, 0]), any::<i32>())
            .prop_map(|(b, _)| call("strtol", &[Buf(0), Num(10), Num(b), Buf(24)])),
    ]
}

fn xdp_calls() -> impl Strategy<Value = Call> {
    use Arg::*;
    let len = prop::sample::select(vec![1i32, 2, 7, 16, 32]);
    let by = prop_oneof![-64..64i32, -300..300i32, Just(-4000), Just(4000)];
    prop_oneof![
        by.clone().prop_map(|by| call("xdp_adjust_head", &[Ctx, Num(by)])),
        by.clone().prop_map(|by| call("xdp_adjust_meta", &[Ctx, Num(by)])),
        (-20..20i32).prop_map(|by| call("xdp_adjust_meta", &[Ctx, Num(by * 4)])),
        by.prop_map(|by| call("xdp_adjust_tail", &[Ctx, Num(by)])),
        Just(call("xdp_get_buff_len", &[Ctx])),
        (small(), len.clone()).prop_map(|(o, l)| call("xdp_load_bytes", &[Ctx, Num(o), Buf(9), Num(l)])),
        (small(), len).prop_map(|(o, l)| call("xdp_store_bytes", &[Ctx, Num(o), Buf(9), Num(l)])),
        (prop::sample::select(vec![0i32, 1, 77]), -70000..70000i32, flag_bits(1))
            .prop_map(|(i, by, f)| call("check_mtu", &[Ctx, Num(i), Buf(4), Num(by), Num(f)])),
        (0..3i32, flag_bits(2)).prop_map(|(i, f)| call("redirect", &[Num(i), Num(f)])),
    ]
}

fn compare(kind: ProgType, calls: impl Strategy<Value = Call>, cases: u32) {
    let Some(kernel) = running::or_skip(&format!("helpers of {kind}")) else { return };
    let input = (frames(), prop::collection::vec(calls, 1..12));
    // The same cases each time, so that a difference is the same for everyone.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (compared, unverified) = (Cell::new(0u32), Cell::new(0u32));
    let result = runner.run(&input, |(mut packet, calls)| {
        // XDP buffers start with a whole header.
        packet.resize(packet.len().max(14), 0);
        let Some((want, want_packet)) = theirs(&kernel, kind, &calls, &packet) else { return Ok(()) };
        for how in HOW {
            let Some((got, got_packet)) = ours(kind, &calls, &packet, how) else {
                unverified.set(unverified.get() + 1);
                continue;
            };
            compared.set(compared.get() + 1);
            let word = |b: &[u8], i: usize| i64::from_ne_bytes(b[i * 8..i * 8 + 8].try_into().unwrap_or_default());
            for i in 0..RESULTS {
                if word(&got, i) != word(&want, i) {
                    return Err(TestCaseError::fail(format!(
                        "{how:?}, result {i}: {:#x}, the kernel has {:#x}",
                        word(&got, i),
                        word(&want, i)
                    )));
                }
            }
            prop_assert_eq!(&got_packet, &want_packet);
        }
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
    println!("{} runs compared, {} not since the program was not verified here", compared.get(), unverified.get());
    assert!(compared.get() > 2 * unverified.get());
}

#[test]
fn helpers_of_tc_programs() {
    compare(ProgType::SchedCls, skb_calls(), 400);
}

#[test]
fn helpers_of_xdp_programs() {
    compare(ProgType::Xdp, xdp_calls(), 400);
}
