//! Random programs that call helpers and kernel functions in sequence.
//!
//! Most arguments are of the right kind, so that calls do something; the others are anything: numbers, addresses that a
//! call has given and that are long gone, addresses near those, addresses that no program has.

use super::maps::{DEFS, VAULT, VAULT_SIZE};
use super::signatures::{self, Kind, Signature};
use crate::against_kernel::insn;
use crate::arguments::load_map;
use crate::generate::Source;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;
use std::sync::LazyLock;

/// What a program may call.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A helper by number.
    Helper(u32),
    /// A kernel function by its position in [`KFUNCS`].
    Kfunc(usize),
}

/// Names of the kernel functions; programs name them by position.
pub static KFUNCS: LazyLock<Vec<&'static str>> = LazyLock::new(|| ebpfkit_vm::helpers::kfunc_names().collect());

/// Everything that can be called, with its signature.
static CALLEES: LazyLock<Vec<(Callee, Signature)>> = LazyLock::new(|| {
    let helpers = ebpfkit_vm::helpers::names().filter_map(ebpfkit_abi::helper_id);
    let helpers = helpers.map(|id| (Callee::Helper(id), signatures::of_helper(id)));
    let kfuncs = KFUNCS.iter().enumerate();
    let kfuncs = kfuncs.map(|(n, name)| (Callee::Kfunc(n), signatures::of_kfunc(name).unwrap_or([Kind::Number; 5])));
    helpers.chain(kfuncs).collect()
});

/// Kinds of arguments whose calls belong together: a call of one is likely to be followed by others of it.
const FAMILIES: [&[Kind]; 8] = [
    &[Kind::Dynptr],
    &[Kind::Iterator],
    &[Kind::Head, Kind::Node, Kind::Type],
    &[Kind::Lock],
    &[Kind::Timer],
    &[Kind::Object, Kind::KptrSlot],
    &[Kind::Arena],
    &[Kind::Function],
];

/// Positions in [`CALLEES`] of each family.
static MEMBERS: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let is_of = |n: &usize, family: &[Kind]| CALLEES[*n].1.iter().any(|k| family.contains(k));
    FAMILIES.iter().map(|family| (0..CALLEES.len()).filter(|n| is_of(n, family)).collect()).collect()
});

/// A program.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Its type.
    pub prog_type: ProgType,
    /// Its slots.
    pub insns: Vec<Insn>,
    /// The maps that it names, by number.
    pub maps: Vec<bool>,
    /// What its main function calls, in order; what each gives stands in the vault, as far as there is space.
    pub made: Vec<&'static str>,
}

impl Callee {
    fn name(self) -> &'static str {
        match self {
            Self::Helper(id) => ebpfkit_abi::helper_name(id).unwrap_or_default(),
            Self::Kfunc(n) => KFUNCS[n],
        }
    }
}

/// Names of everything that programs call.
pub fn callee_names() -> impl Iterator<Item = &'static str> {
    CALLEES.iter().map(|(callee, _)| callee.name())
}

/// Types of programs; what helpers do depends on it.
const TYPES: [ProgType; 15] = [
    ProgType::Xdp,
    ProgType::SchedCls,
    ProgType::SchedCls,
    ProgType::SocketFilter,
    ProgType::CgroupSkb,
    ProgType::LwtXmit,
    ProgType::SkSkb,
    ProgType::SkMsg,
    ProgType::SockOps,
    ProgType::SkLookup,
    ProgType::SkReuseport,
    ProgType::Kprobe,
    ProgType::Tracing,
    ProgType::CgroupSysctl,
    ProgType::Syscall,
];

/// Calls without which others only fault: part of the name, and the call that has to come before.
const BEFORE: &[(&str, &str)] = &[
    ("bpf_cpumask_", "bpf_cpumask_create"),
    ("bpf_percpu_obj_drop", "bpf_percpu_obj_new_impl"),
    ("_cpu_ptr", "bpf_percpu_obj_new_impl"),
    ("bpf_list_push", "bpf_obj_new_impl"),
    ("bpf_rbtree_add", "bpf_obj_new_impl"),
    ("bpf_rbtree_remove", "bpf_obj_new_impl"),
    ("bpf_rbtree_left", "bpf_obj_new_impl"),
    ("bpf_rbtree_right", "bpf_obj_new_impl"),
    ("bpf_obj_drop", "bpf_obj_new_impl"),
    ("bpf_refcount_acquire", "bpf_obj_new_impl"),
    ("bpf_ringbuf_submit_dynptr", "bpf_ringbuf_reserve_dynptr"),
    ("bpf_ringbuf_discard_dynptr", "bpf_ringbuf_reserve_dynptr"),
    ("bpf_ringbuf_submit", "bpf_ringbuf_reserve"),
    ("bpf_ringbuf_discard", "bpf_ringbuf_reserve"),
    ("bpf_dynptr_", "bpf_dynptr_from_mem"),
    ("bpf_iter_num_", "bpf_iter_num_new"),
    ("bpf_iter_bits_", "bpf_iter_bits_new"),
    ("bpf_spin_unlock", "bpf_spin_lock"),
    ("bpf_res_spin_unlock", "bpf_res_spin_lock"),
    ("bpf_timer_", "bpf_timer_init"),
    ("bpf_sk_release", "bpf_sk_lookup_tcp"),
    ("bpf_tcp_sock", "bpf_sk_lookup_tcp"),
];

/// The call that has to come before one of these, by position in [`CALLEES`].
static NEEDED: LazyLock<Vec<Option<usize>>> = LazyLock::new(|| {
    let position = |name: &str| CALLEES.iter().position(|(c, _)| c.name() == name);
    let needed = |name: &str| {
        let (_, before) = BEFORE.iter().find(|(part, _)| name.contains(part))?;
        (*before != name).then(|| position(before)).flatten()
    };
    CALLEES.iter().map(|(callee, _)| needed(callee.name())).collect()
});

/// Words of the vault that results are kept in; what follows is memory for lists, locks, timers and pointers.
const RESULTS: u32 = 16;
/// Offsets in the vault.
const HEADS: i32 = 128;
const LOCKS: i32 = 192;
const TIMERS: i32 = 256;
const KPTR_SLOTS: i32 = 320;
const BYTES: i32 = 384;
/// Offsets from the end of the frame.
const DYNPTRS: i32 = -64;
const ITERATORS: i32 = -128;
const TEXTS: i32 = -192;
const BUFFER: i32 = -512;

/// An address that is never mapped for user space.
const NOWHERE: [u64; 4] = [0x1000, 0xf000, 0xffff_8880_0000_0000, 0x00ff_ffff_ffff_f000];

struct Writer<'a, S> {
    source: &'a mut S,
    insns: Vec<Insn>,
    maps: Vec<bool>,
    prog_type: ProgType,
    /// Positions of the loads of function addresses.
    functions: Vec<usize>,
    /// Calls so far.
    calls: u32,
    /// Their names.
    made: Vec<&'static str>,
    /// Bytes of the memory that the last argument points to.
    size: u64,
    /// The map of the call.
    map: usize,
    /// The number of the result that the call works on.
    subject: Option<u32>,
}

impl<S: Source> Writer<'_, S> {
    fn put(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(insn(code, dst, src, off, imm));
    }

    fn number(&mut self, dst: u8, n: u64) {
        match i32::try_from(n as i64) {
            Ok(imm) => self.put(0xb7, dst, 0, 0, imm),
            Err(_) => {
                self.put(0x18, dst, 0, 0, n as i32);
                self.put(0, 0, 0, 0, (n >> 32) as i32);
            }
        }
    }

    fn add(&mut self, dst: u8, n: i32) {
        if n != 0 {
            self.put(0x07, dst, 0, 0, n);
        }
    }

    fn map(&mut self, dst: u8, number: usize, value: bool) {
        self.maps[number] = true;
        self.insns.extend(load_map(dst, number, value));
    }

    /// An address in the frame.
    fn frame(&mut self, dst: u8, offset: i32) {
        self.put(0xbf, dst, 10, 0, 0);
        self.add(dst, offset);
        self.size = offset.unsigned_abs().into();
    }

    /// An address in the vault.
    fn vault(&mut self, dst: u8, offset: i32) {
        self.map(dst, VAULT, true);
        self.add(dst, offset);
        self.size = u64::from(VAULT_SIZE).saturating_sub(offset as u64);
    }

    /// What a call has given.
    fn result(&mut self, dst: u8) {
        let n = match self.subject {
            Some(n) if self.source.chance(900) => n,
            _ => self.any_result(),
        };
        self.put(0x79, dst, 9, 8 * n as i16, 0);
        self.size = 16;
    }

    fn any_result(&mut self) -> u32 {
        match self.calls.min(RESULTS) {
            0 => 0,
            // The last one, most of the time.
            n if self.source.chance(500) => (self.calls + n - 1) % n,
            n => self.source.below(n),
        }
    }

    fn function(&mut self, dst: u8) {
        self.functions.push(self.insns.len());
        self.put(0x18, dst, pseudo::FUNC, 0, 0);
        self.put(0, 0, 0, 0, 0);
    }

    /// The start or the end of the packet, where the context says so.
    fn packet(&mut self, dst: u8) {
        let at_end = i16::from(self.source.chance(300));
        match self.prog_type {
            ProgType::Xdp => self.put(0x61, dst, 6, 4 * at_end, 0),
            ProgType::SkMsg => self.put(0x79, dst, 6, 8 * at_end, 0),
            ProgType::SchedCls | ProgType::CgroupSkb | ProgType::LwtXmit | ProgType::SkSkb => {
                self.put(0x61, dst, 6, 76 + 4 * at_end, 0);
            }
            _ => self.frame(dst, BUFFER),
        }
        self.size = 14;
    }

    /// Any value.
    fn anything(&mut self, dst: u8) {
        match self.source.below(14) {
            0 | 1 => {
                let n = self.source.number();
                self.number(dst, n);
            }
            2 => self.put(0xbf, dst, 6, 0, 0),
            3 => {
                let offset = self.source.below(1100) as i32 - 1000;
                self.frame(dst, offset);
            }
            4 => {
                let offset = self.source.below(VAULT_SIZE + 64) as i32 - 32;
                self.vault(dst, offset);
            }
            5 | 6 => {
                self.result(dst);
                let near = self.source.pick(&[0, 0, 1, 4, 8, 16, -8, -16, -24, -32, 1024, -4096, 4096]);
                self.add(dst, near);
            }
            7 => {
                let number = self.source.below(DEFS.len() as u32) as usize;
                self.map(dst, number, false);
                let near = self.source.pick(&[0, 0, 0, 8, -8, 16, 64]);
                self.add(dst, near);
            }
            8 => self.function(dst),
            9 | 10 => {
                self.packet(dst);
                let near = self.source.pick(&[0, 0, 14, 64, -1, -8, -256, 4096]);
                self.add(dst, near);
            }
            11 => {
                // An element of another map, or what stands before it.
                let number = 1 + self.source.below(2) as usize;
                self.map(dst, number, true);
                let near = self.source.pick(&[0, 8, 24, -8, -16, -24, 48]);
                self.add(dst, near);
            }
            _ => {
                let n = self.source.pick(&NOWHERE).wrapping_add(self.source.below(4096).into());
                self.number(dst, n);
            }
        }
    }

    /// An address near one of a few places, so that several calls use the same.
    fn one_of(&mut self, dst: u8, first: i32, step: i32) {
        let offset = first + step * i32::from(self.source.chance(250));
        if first < 0 { self.frame(dst, offset) } else { self.vault(dst, offset) }
    }

    /// A value of the right kind.
    fn right(&mut self, dst: u8, kind: Kind, callee: Callee) {
        match kind {
            Kind::Nothing => self.number(dst, 0),
            Kind::Number => {
                let n = match self.source.below(8) {
                    0..=4 => self.source.pick(&[0, 0, 0, 1, 2, 3, 4, 8, 14, 16, 64]),
                    5 => u64::MAX,
                    _ => self.source.number(),
                };
                self.number(dst, n);
            }
            Kind::Size => {
                let size = self.size;
                let n = match self.source.below(10) {
                    0..=3 => self.source.pick(&[4, 8, 12, 16, 24, 28, 36, 44]).min(size),
                    4 => 0,
                    5 => size,
                    6 => size + 1 + u64::from(self.source.below(8)),
                    7 => self.source.pick(&[0xffff_fff0, 0x7fff_fff8, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 1 << 24]),
                    8 => self.source.below(70).into(),
                    _ => self.source.number(),
                };
                self.number(dst, n);
            }
            Kind::Memory | Kind::Key | Kind::Value => match self.source.below(6) {
                0 | 1 => self.frame(dst, BUFFER),
                2 => self.frame(dst, -16),
                3 => self.vault(dst, BYTES),
                4 => self.packet(dst),
                _ => self.result(dst),
            },
            Kind::Context => self.put(0xbf, dst, 6, 0, 0),
            Kind::Map => {
                self.map = self.map_for(callee);
                self.map(dst, self.map, false);
            }
            Kind::Function => self.function(dst),
            Kind::Text => self.frame(dst, TEXTS),
            Kind::Dynptr => self.one_of(dst, DYNPTRS, 16),
            Kind::Iterator => self.one_of(dst, ITERATORS, 16),
            Kind::Head => self.one_of(dst, HEADS, 16),
            Kind::Node => {
                self.result(dst);
                let offset = self.source.pick(&[0, 0, 0, 8, 16]);
                self.add(dst, offset);
            }
            Kind::Object => self.result(dst),
            Kind::Lock => self.one_of(dst, LOCKS, 4),
            Kind::Timer => self.one_of(dst, TIMERS, 16),
            Kind::KptrSlot => self.one_of(dst, KPTR_SLOTS, 8),
            Kind::Type => {
                let n = match self.source.chance(800) {
                    // Structs.
                    true => 3 + 2 * self.source.below(4),
                    false => self.source.below(12),
                };
                self.number(dst, n.into());
            }
            Kind::Arena => match self.source.below(3) {
                0 => self.number(dst, 0),
                1 => self.result(dst),
                _ => {
                    let n = (1 << 48) + 4096 * u64::from(self.source.below(20));
                    self.number(dst, n);
                }
            },
        }
    }

    /// A map that a callee is likely to want.
    fn map_for(&mut self, callee: Callee) -> usize {
        use MapType as T;
        let name = callee.name();
        const LIKELY: &[(&str, &[MapType])] = &[
            ("user_ringbuf", &[T::UserRingbuf]),
            ("ringbuf", &[T::Ringbuf]),
            ("perf_event", &[T::PerfEventArray]),
            ("_output", &[T::PerfEventArray]),
            ("tail_call", &[T::ProgArray]),
            ("stackid", &[T::StackTrace]),
            ("sk_storage", &[T::SkStorage]),
            ("task_storage", &[T::TaskStorage]),
            ("inode_storage", &[T::InodeStorage]),
            ("cgrp_storage", &[T::CgrpStorage]),
            ("local_storage", &[T::CgroupStorage, T::PercpuCgroupStorage]),
            ("cgroup", &[T::CgroupArray]),
            ("redirect_map", &[T::Devmap, T::DevmapHash, T::Cpumap, T::Xskmap]),
            ("redirect_hash", &[T::Sockhash]),
            ("sock_hash", &[T::Sockhash]),
            ("sock_map", &[T::Sockmap]),
            ("reuseport", &[T::ReuseportSockarray, T::Sockmap]),
            ("arena", &[T::Arena]),
            ("push_elem", &[T::Queue, T::Stack, T::BloomFilter]),
            ("pop_elem", &[T::Queue, T::Stack]),
            ("peek_elem", &[T::Queue, T::Stack, T::BloomFilter]),
            ("for_each", &[T::Array, T::Hash, T::LruHash, T::PercpuArray, T::PercpuHash]),
            ("percpu_elem", &[T::PercpuArray, T::PercpuHash, T::LruPercpuHash]),
        ];
        let likely = LIKELY.iter().find(|(part, _)| name.contains(part));
        let any = self.source.below(DEFS.len() as u32) as usize;
        match likely {
            Some((_, types)) if self.source.chance(900) => {
                let subject = self.source.pick(types);
                DEFS.iter().position(|d| d.map_type == subject).unwrap_or(any)
            }
            _ => any,
        }
    }

    /// One call, most of the time after one that it needs; what each gives is kept.
    fn call(&mut self, callee: usize) {
        let careful = self.source.chance(700);
        if let (true, Some(before)) = (careful, NEEDED[callee]) {
            let name = CALLEES[before].0.name();
            match self.made.iter().rposition(|made| *made == name) {
                Some(at) if self.made.len() - at <= RESULTS as usize && self.source.chance(800) => {
                    self.subject = Some(at as u32 % RESULTS);
                }
                _ => {
                    self.call_with(before, true);
                    self.subject = Some((self.calls - 1) % RESULTS);
                }
            }
        }
        self.call_with(callee, careful);
        self.subject = None;
    }

    /// One call; `careful` says that all arguments are of the right kind.
    fn call_with(&mut self, callee: usize, careful: bool) {
        let (callee, signature) = CALLEES[callee];
        (self.size, self.map) = (16, VAULT);
        for (n, kind) in signature.into_iter().enumerate() {
            let dst = n as u8 + 1;
            if careful || self.source.chance(800) {
                self.right(dst, kind, callee);
            } else {
                self.anything(dst);
            }
        }
        match callee {
            Callee::Helper(id) => self.put(0x85, 0, 0, 0, id as i32),
            Callee::Kfunc(n) => self.put(0x85, 0, pseudo::KFUNC_CALL, 0, n as i32),
        }
        self.put(0x7b, 9, 0, 8 * (self.calls % RESULTS) as i16, 0);
        self.calls += 1;
        self.made.push(callee.name());
        if self.source.chance(150) {
            self.forge();
        }
    }

    /// Overwrites a word of what calls keep in the program's memory.
    fn forge(&mut self) {
        let dst = 1;
        self.anything(dst);
        match self.source.below(3) {
            0 => {
                let at = self.source.pick(&[DYNPTRS, ITERATORS]) + 8 * self.source.below(4) as i32;
                self.put(0x7b, 10, dst, at as i16, 0);
            }
            1 => {
                let at = HEADS + 8 * self.source.below(32) as i32;
                self.put(0x7b, 9, dst, at as i16, 0);
            }
            _ => {
                // In an object, if the last call gave one.
                let last = 8 * ((self.calls + RESULTS - 1) % RESULTS) as i16;
                self.put(0x79, 2, 9, last, 0);
                let at = 8 * self.source.below(6) as i16;
                self.put(0x15, 2, 0, 1, 0);
                self.put(0x7b, 2, dst, at, 0);
            }
        }
    }

    /// Calls in sequence, many of one family.
    fn calls(&mut self, most: u32) {
        let family = self.source.below(2 * FAMILIES.len() as u32) as usize;
        for _ in 0..1 + self.source.below(most) {
            let of_family = MEMBERS.get(family).filter(|m| !m.is_empty());
            let callee = match of_family {
                Some(members) if self.source.chance(750) => self.source.pick(members),
                _ => self.source.below(CALLEES.len() as u32) as usize,
            };
            self.call(callee);
        }
    }

    /// What every function starts with: the context, or a callback's last argument, in `r6`; the vault in `r9`.
    fn prologue(&mut self, main: bool) {
        self.put(0xbf, 6, 1, 0, 0);
        self.map(9, VAULT, true);
        if main {
            // A key, a format and a forged dynptr.
            for (at, word) in [(-16, 1u64), (TEXTS, u64::from_le_bytes(*b"a %d %s\0")), (BUFFER, 2)] {
                self.number(1, word);
                self.put(0x7b, 10, 1, at as i16, 0);
            }
        }
    }

    fn finish(&mut self, result: i32) {
        self.number(0, result as u64);
        self.put(0x95, 0, 0, 0, 0);
    }
}

/// Writes a program.
pub fn write(source: &mut impl Source) -> Calls {
    let prog_type = source.pick(&TYPES);
    let mut w = Writer {
        source,
        insns: Vec::new(),
        maps: vec![false; DEFS.len()],
        prog_type,
        functions: Vec::new(),
        calls: 0,
        made: Vec::new(),
        size: 16,
        map: VAULT,
        subject: None,
    };
    w.prologue(true);
    w.calls(10);
    w.finish(0);
    let made = w.made.clone();
    if !w.functions.is_empty() {
        let start = w.insns.len();
        w.prologue(false);
        if w.source.chance(500) {
            w.calls(3);
        }
        let result = i32::from(w.source.chance(300));
        w.finish(result);
        for at in std::mem::take(&mut w.functions) {
            w.insns[at].imm = (start as i64 - at as i64 - 1) as i32;
        }
    }
    Calls { prog_type, insns: w.insns, maps: w.maps, made }
}
