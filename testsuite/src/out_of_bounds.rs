//! Programs that nobody would accept: each tries one access at a distance from something that it may use.

use crate::against_kernel::insn;
use crate::arguments::load_map;
use crate::generate::Source;
use ebpfkit_abi::{AttachType, MapType, ProgType, map_flags};
use ebpfkit_isa::{Insn, STACK_SIZE};
use ebpfkit_object::{Map, Object, Prepared, Program};

/// What an address starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// `r10`.
    Frame,
    /// `r10` of a function that has returned.
    OldFrame,
    /// The context.
    Context,
    /// The packet's first byte.
    Packet,
    /// The packet's end.
    PacketEnd,
    /// An element of an array, found by a lookup.
    Element,
    /// An entry of a hash map.
    Entry,
    /// The same, which was deleted; it stays until the run ends.
    Removed,
    /// Global data.
    Global,
    /// Global data that programs may only read.
    Constant,
    /// An entry of a hash map that an earlier run has found.
    Saved,
    /// Nothing: a number.
    Number,
}

impl Base {
    const ALL: [Self; 12] = [
        Self::Frame,
        Self::OldFrame,
        Self::Context,
        Self::Packet,
        Self::PacketEnd,
        Self::Element,
        Self::Entry,
        Self::Removed,
        Self::Global,
        Self::Constant,
        Self::Saved,
        Self::Number,
    ];

    /// What lies around the base, in bytes from it.
    fn bounds(self, packet: u64) -> (i64, i64) {
        let frame = STACK_SIZE as i64;
        match self {
            Self::Frame => (-frame, 0),
            Self::OldFrame => (-frame, frame),
            Self::Context => (0, 24),
            Self::Packet => (0, packet as i64),
            Self::PacketEnd => (-(packet as i64), 0),
            Self::Element | Self::Entry | Self::Removed | Self::Saved => (0, VALUE as i64),
            Self::Global => (0, GLOBAL as i64),
            Self::Constant => (0, CONSTANT as i64),
            Self::Number => (0, 0),
        }
    }

    /// Whether accesses at small distances are allowed.
    fn is_alive(self) -> bool {
        !matches!(self, Self::OldFrame | Self::Saved | Self::Number)
    }
}

/// Numbers of the maps.
pub mod map {
    /// An array.
    pub const CELLS: usize = 0;
    /// A hash map.
    pub const TABLE: usize = 1;
    /// Global data.
    pub const GLOBAL: usize = 2;
    /// Read-only global data.
    pub const CONSTANT: usize = 3;
    /// An array whose only element keeps an address from one run to the next.
    pub const SAVED: usize = 4;
}

/// Bytes of a value of the array and the hash map.
pub const VALUE: u64 = 24;
/// Bytes of global data.
pub const GLOBAL: u64 = 40;
/// Bytes of read-only global data.
pub const CONSTANT: u64 = 32;
/// The key of the element or entry that programs look up.
pub const KEY: u32 = 1;

/// A program and what it tries.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The program.
    pub prepared: Prepared,
    /// What the address starts from.
    pub base: Base,
    /// Distance of the first byte from there; `None` for a loop that goes on until it has left.
    pub distance: Option<u64>,
    /// Bytes.
    pub size: u64,
    /// It writes, or reads and writes.
    pub write: bool,
    /// It is an atomic operation, which has to be aligned.
    pub atomic: bool,
    /// Slot of the instruction that does it.
    pub at: usize,
    /// The program runs this often; the last run tries.
    pub runs: u32,
}

struct Writer<'a, S> {
    source: &'a mut S,
    insns: Vec<Insn>,
}

impl<S: Source> Writer<'_, S> {
    fn put(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(insn(code, dst, src, off, imm));
    }

    fn number(&mut self, dst: u8, n: u64) {
        self.put(0x18, dst, 0, 0, n as i32);
        self.put(0, 0, 0, 0, (n >> 32) as i32);
    }

    /// Looks a key up in a map; `r0` is its value, or the program ends.
    fn lookup(&mut self, map: usize, key: u32) {
        self.put(0x62, 10, 0, -4, key as i32);
        self.key_of(map);
        self.put(0x85, 0, 0, 0, 1);
        self.put(0x55, 0, 0, 2, 0);
        self.put(0xb7, 0, 0, 0, 77);
        self.put(0x95, 0, 0, 0, 0);
    }

    /// The map in `r1` and the address of the key in `r2`.
    fn key_of(&mut self, map: usize) {
        self.put(0xbf, 2, 10, 0, 0);
        self.put(0x07, 2, 0, 0, -4);
        self.insns.extend(load_map(1, map, false));
    }

    /// The base in `r7`; `Some` is a call of the function that gives its frame.
    fn base(&mut self, base: Base) -> Option<usize> {
        let mut call = None;
        match base {
            Base::Frame => self.put(0xbf, 7, 10, 0, 0),
            Base::OldFrame => {
                call = Some(self.insns.len());
                self.put(0x85, 0, 1, 0, 0);
                self.put(0xbf, 7, 0, 0, 0);
            }
            Base::Context => self.put(0xbf, 7, 6, 0, 0),
            Base::Packet => self.put(0x61, 7, 6, 0, 0),
            Base::PacketEnd => self.put(0x61, 7, 6, 4, 0),
            Base::Element | Base::Entry | Base::Removed => {
                self.lookup(if base == Base::Element { map::CELLS } else { map::TABLE }, KEY);
                self.put(0xbf, 7, 0, 0, 0);
                if base == Base::Removed {
                    self.key_of(map::TABLE);
                    self.put(0x85, 0, 0, 0, 3);
                }
            }
            Base::Global => self.insns.extend(load_map(7, map::GLOBAL, true)),
            Base::Constant => self.insns.extend(load_map(7, map::CONSTANT, true)),
            Base::Saved => {
                self.lookup(map::SAVED, 0);
                self.put(0xbf, 8, 0, 0, 0);
                self.put(0x79, 7, 8, 0, 0);
                let jump = self.insns.len();
                self.put(0x55, 7, 0, 0, 0);
                self.lookup(map::TABLE, KEY);
                self.put(0x7b, 8, 0, 0, 0);
                self.put(0xb7, 0, 0, 0, 0);
                self.put(0x95, 0, 0, 0, 0);
                self.insns[jump].off = (self.insns.len() - jump - 1) as i16;
            }
            Base::Number => self.put(0xb7, 7, 0, 0, 0),
        }
        call
    }

    /// A distance that is outside, most of the time.
    fn distance(&mut self, base: Base, size: u64, packet: u64) -> u64 {
        let (low, high) = base.bounds(packet);
        let (size, s) = (size as i64, &mut *self.source);
        let near = |s: &mut S, n: u32| i64::from(s.below(n));
        let distance = match s.below(8) {
            0 | 1 => high - size + 1 + near(s, size as u32 + 7),
            2 => low - 1 - near(s, 16),
            3 if !base.is_alive() => low + near(s, (high - low).max(1) as u32),
            3 | 4 => high + near(s, 4096),
            5 => low - size - near(s, 4096),
            6 => return s.number(),
            // What is inside once the upper bits are lost.
            _ => {
                let inside = low + near(s, (high - low).max(1) as u32);
                return (1u64 << (16 + s.below(48))).wrapping_mul(s.bits().into()).wrapping_add(inside as u64);
            }
        };
        distance as u64
    }

    /// Adds a number to `r7` in one of several ways.
    fn move_base(&mut self, by: u64) {
        let small = i32::try_from(by as i64);
        match (self.source.below(4), small) {
            (0 | 1, Ok(imm)) => self.put(0x07, 7, 0, 0, imm),
            (2, _) => {
                self.number(8, by.wrapping_neg());
                self.put(0x1f, 7, 8, 0, 0);
            }
            (3, _) => {
                // Through the stack, so that nothing is known of it.
                self.number(8, by);
                self.put(0x7b, 10, 8, -16, 0);
                self.put(0x79, 8, 10, -16, 0);
                self.put(0x0f, 7, 8, 0, 0);
            }
            _ => {
                self.number(8, by);
                self.put(0x0f, 7, 8, 0, 0);
            }
        }
    }

    /// Accesses through `r7` that are allowed, so that several are looked at together.
    fn allowed(&mut self, base: Base, packet: u64) {
        let (low, high) = base.bounds(packet);
        for _ in 0..self.source.below(3) {
            let off = low + i64::from(self.source.below((high - low - 8).max(1) as u32));
            match base {
                Base::Context => self.put(0x61, 3, 7, if off < 12 { 0 } else { 4 }, 0),
                Base::Frame if self.source.chance(400) => self.put(0x7a, 7, 0, off.min(-32) as i16, 7),
                _ => self.put(0x79, 3, 7, off as i16, 0),
            }
        }
    }

    /// One access through `r7`: what it does is in the attempt.
    fn access(&mut self, size: u64, kind: u32, off: i16) {
        let n = size.trailing_zeros() as usize;
        let wide = size == 8;
        match kind {
            0 | 1 => self.put([0x71, 0x69, 0x61, 0x79][n], 3, 7, off, 0),
            2 => self.put([0x91, 0x89, 0x81, 0x79][n], 3, 7, off, 0),
            3 | 4 => self.put([0x73, 0x6b, 0x63, 0x7b][n], 7, 9, off, 0),
            5 => self.put([0x72, 0x6a, 0x62, 0x7a][n], 7, 0, off, 0x5a5a_5a5a),
            6 => self.put([0xd3, 0xcb, 0xc3, 0xdb][n], 3, 7, off, 0x100),
            7 => self.put([0xd3, 0xcb, 0xc3, 0xdb][n], 7, 9, off, 0x110),
            _ => {
                let op = self.source.pick(&[0, 1, 0x40, 0x50, 0xa0, 0x41, 0x51, 0xa1, 0xe1, 0xf1]);
                self.put(if wide { 0xdb } else { 0xc3 }, 7, 9, off, op);
            }
        }
    }
}

/// Whether a kind of [`Writer::access`] writes, and whether it has to be aligned.
fn traits_of(kind: u32) -> (bool, bool) {
    (matches!(kind, 3..=5 | 7..), kind >= 6)
}

/// Writes a program for packets of a length.
pub fn attempt(source: &mut impl Source, packet: u64) -> Attempt {
    let base = source.pick(&Base::ALL);
    let mut w = Writer { source, insns: Vec::new() };
    w.put(0xbf, 6, 1, 0, 0);
    w.number(9, 0xa5a5_a5a5_a5a5_a5a5);
    let call = w.base(base);
    let form = w.source.below(16);
    let kind = w.source.below(11);
    let mut size = 1 << w.source.below(4);
    if kind > 7 {
        size = 4 + 4 * (size >> 3);
    }
    let (mut write, mut atomic) = traits_of(kind);
    let mut distance = None;
    let at;
    match form {
        // The address goes to a helper.
        0 | 1 => {
            size = if form == 0 { 4 } else { VALUE };
            let far = w.distance(base, size, packet);
            distance = Some(far);
            w.move_base(far);
            (write, atomic) = (false, false);
            if form == 0 {
                w.put(0xbf, 2, 7, 0, 0);
                w.insns.extend(load_map(1, map::CELLS, false));
                at = w.insns.len();
                w.put(0x85, 0, 0, 0, 1);
            } else {
                w.put(0x62, 10, 0, -4, 2);
                w.key_of(map::TABLE);
                w.put(0xbf, 3, 7, 0, 0);
                w.put(0xb7, 4, 0, 0, 0);
                at = w.insns.len();
                w.put(0x85, 0, 0, 0, 2);
            }
        }
        // A loop that walks out.
        2 | 3 if base != Base::Number => {
            let step = w.source.pick(&[1, 2, 4, 7, 8, 16, 64, 1000, -1, -2, -3, -4, -8, -24]);
            if w.source.chance(500) {
                w.put(0x07, 7, 0, 0, step);
            }
            at = w.insns.len();
            let off = w.source.pick(&[0, 0, 1, 8, -8, -1]);
            w.access(size, kind, off);
            w.put(0x07, 7, 0, 0, step);
            w.put(0x05, 0, 0, (at as i64 - w.insns.len() as i64 - 1) as i16, 0);
        }
        _ => {
            let far = w.distance(base, size, packet);
            distance = Some(far);
            let narrow = i16::try_from(far as i64).ok().filter(|_| w.source.chance(700));
            match narrow {
                Some(off) => {
                    if base.is_alive() {
                        w.allowed(base, packet);
                    }
                    at = w.insns.len();
                    w.access(size, kind, off);
                    if base.is_alive() {
                        w.allowed(base, packet);
                    }
                }
                None => {
                    let off = w.source.bits() as i16 >> w.source.below(16);
                    w.move_base(far.wrapping_sub(off as i64 as u64));
                    at = w.insns.len();
                    w.access(size, kind, off);
                }
            }
        }
    }
    w.put(0xb7, 0, 0, 0, 0);
    w.put(0x95, 0, 0, 0, 0);
    if let Some(call) = call {
        w.insns[call].imm = (w.insns.len() - call - 1) as i32;
        // The function keeps something in its frame.
        w.put(0x7a, 10, 0, -8, 3);
        w.put(0xbf, 0, 10, 0, 0);
        w.put(0x95, 0, 0, 0, 0);
    }
    let runs = if base == Base::Saved { 2 } else { 1 };
    Attempt { prepared: object(w.insns), base, distance, size, write, atomic, at, runs }
}

fn object(insns: Vec<Insn>) -> Prepared {
    let map = |name: &str, map_type, value: u64, max_entries, flags| Map {
        name: name.into(),
        map_type,
        key_size: 4,
        value_size: value as u32,
        max_entries,
        flags,
        ..Map::default()
    };
    let program = Program {
        name: "out_of_bounds".into(),
        section: "xdp".into(),
        prog_type: ProgType::Xdp,
        attach_type: AttachType::Xdp,
        autoload: true,
        insns,
        ..Program::default()
    };
    let object = Object {
        name: "out_of_bounds".into(),
        license: "GPL".into(),
        programs: vec![program],
        maps: vec![
            map("cells", MapType::Array, VALUE, 4, 0),
            map("table", MapType::Hash, VALUE, 4, 0),
            map("global", MapType::Array, GLOBAL, 1, 0),
            map("constant", MapType::Array, CONSTANT, 1, map_flags::RDONLY_PROG),
            map("saved", MapType::Array, 8, 1, 0),
        ],
        ..Object::default()
    };
    Prepared { object, unloadable: vec![None] }
}
