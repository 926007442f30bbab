//! Random structured programs: branches, bounded loops, functions, stack, spills, maps, packets, pointer arithmetic.
//!
//! Most are accepted by the kernel, because the writer knows what each register and stack slot holds; a chance of
//! careless steps makes the others. A program depends on nothing but its packet and its maps, so that every engine
//! gives the same result.

mod body;
mod code;
mod known;
mod source;

pub use source::{Bytes, Seeded, Source};

use code::Code;
use ebpfkit_abi::{AttachType, MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Map, Object, Prepared, Program};
use known::{Known, Value};

/// What programs are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Statements, at most; a statement is a few instructions.
    pub statements: u32,
    /// Chance in 1000 that a statement ignores what is known.
    pub careless: u32,
    /// Functions besides the main program, at most.
    pub functions: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { statements: 40, careless: 10, functions: 2 }
    }
}

/// Bytes of a value of each map that programs use: an array, a hash map and a second array.
pub const VALUE_SIZES: [u32; 3] = [48, 16, 64];
/// Entries of each map.
pub const ENTRIES: u32 = 4;

fn maps() -> Vec<Map> {
    let map = |name: &str, map_type, value_size| Map {
        name: name.into(),
        map_type,
        key_size: 4,
        value_size,
        max_entries: ENTRIES,
        ..Map::default()
    };
    vec![
        map("numbers", MapType::Array, VALUE_SIZES[0]),
        map("table", MapType::Hash, VALUE_SIZES[1]),
        map("more", MapType::Array, VALUE_SIZES[2]),
    ]
}

/// Writes an XDP program.
pub fn program(source: &mut impl Source, config: &Config) -> Prepared {
    let functions = source.below(config.functions + 1) as usize;
    let mut codes: Vec<Code> = Vec::new();
    for number in 0..=functions {
        let mut code = Code::default();
        let mut known = Known::new();
        if number == 0 {
            code.mov(6, 1);
            known.regs[6] = Value::Ctx;
            known.reserved = 1 << 6;
        } else {
            known.regs[1..=3].fill(Value::Scalar);
        }
        let budget = if number == 0 { config.statements } else { config.statements / 4 };
        let callees = number + 1..functions + 1;
        let mut body = body::Body { source, code, known, budget, callees, careless: config.careless };
        body.write();
        codes.push(body.code);
    }
    let program = Program {
        name: "generated".into(),
        section: "xdp".into(),
        prog_type: ProgType::Xdp,
        attach_type: AttachType::Xdp,
        autoload: true,
        insns: link(codes),
        ..Program::default()
    };
    let object = Object {
        name: "generated".into(),
        license: "GPL".into(),
        programs: vec![program],
        maps: maps(),
        ..Object::default()
    };
    Prepared { object, unloadable: vec![None] }
}

/// Puts the functions that are called one after the other and fills in calls. (The kernel refuses code that nothing
/// reaches.)
fn link(mut codes: Vec<Code>) -> Vec<Insn> {
    for code in &mut codes {
        if !code.resolve() {
            // A jump that does not fit its field: the function becomes empty.
            *code = Code::default();
            code.mov_imm(0, 0);
            code.exit();
        }
    }
    let mut called = vec![false; codes.len()];
    called[0] = true;
    // Calls go to later functions only.
    for number in 0..codes.len() {
        if called[number] {
            codes[number].calls.iter().for_each(|&(_, callee)| called[callee] = true);
        }
    }
    let mut starts = vec![0; codes.len()];
    let mut all: Vec<Insn> = Vec::new();
    let mut calls = Vec::new();
    for (number, code) in codes.iter_mut().enumerate().filter(|&(number, _)| called[number]) {
        starts[number] = all.len();
        calls.extend(code.calls.iter().map(|&(at, function)| (all.len() + at, function)));
        all.append(&mut code.insns);
    }
    for (at, function) in calls {
        all[at].imm = starts[function] as i32 - at as i32 - 1;
    }
    all
}
