//! Random operations on maps of every type that the kernel makes, in the kernel and here: values, error numbers, whole
//! contents. Definitions are random too, and refused alike.
//!
//! What the kernel leaves open is compared as far as it says: the order of hash tables by their contents, a bloom filter
//! with a seed of its own by what it must hold. Which elements an LRU map gives up is compared exactly, on one CPU.

mod objects;
mod ops;
mod shape;

pub use objects::Objects;
pub use ops::{Answer, Op};
pub use shape::{Shape, made_types};

use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_kernel::{Kernel, KernelMap, MapParams, machine};
use ebpfkit_object::record::Record;
use ebpfkit_vm::maps::{Map, Surroundings, create_outer};
use ebpfkit_vm::{Errno, Limits, World};
use ops::Pair;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

/// Operations on one map, at most.
const LONGEST: usize = 240;

/// Both sides of a comparison.
pub struct Comparison {
    kernel: Kernel,
    objects: Objects,
    types: OwnedFd,
    world: World,
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Operations, with those that make maps.
    pub operations: u64,
    /// Maps that were made, by type.
    pub maps: BTreeMap<&'static str, u64>,
    /// Definitions that were refused.
    pub refused: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.refused += other.refused;
        for (name, n) in &other.maps {
            *self.maps.entry(name).or_default() += n;
        }
    }
}

impl Comparison {
    /// Makes what all maps share. The calling thread stays on one CPU, since LRU lists are kept by CPU.
    pub fn new(kernel: Kernel) -> Result<Self, String> {
        machine::stay_on_cpu(0);
        let objects = Objects::new(&kernel)?;
        let types = kernel.load_btf(shape::TYPES.btf.bytes()).map_err(|e| e.to_string())?;
        // The kernel's limit is the machine's memory.
        let limits = Limits { map_memory: u64::MAX, ..Limits::default() };
        let world = World { cpus: kernel.possible_cpus() as u32, limits, ..World::default() };
        Ok(Self { kernel, objects, types, world })
    }

    fn make_theirs(&self, shape: &Shape) -> Result<KernelMap, i32> {
        let def = &shape.def;
        let typed = def.value_type != 0 || def.kernel_value_type != 0;
        let params = MapParams {
            name: "m",
            inner: self.objects.template(shape.template).filter(|_| def.map_type.is(MapTraits::MAPS)),
            kernel_value_type: def.kernel_value_type,
            btf: typed.then(|| (self.types.as_fd(), def.key_type, def.value_type)),
            ..MapParams::of(def)
        };
        self.kernel.create_map(&params).map_err(|e| e.errno().unwrap_or(0))
    }

    fn make_ours(&self, shape: &Shape) -> Result<Map, i32> {
        let mut def = shape.def.clone();
        if def.map_type.is(MapTraits::MAPS) {
            def.inner = Some(Box::new(shape::inner_defs()[shape.template].clone()));
        }
        let around = Surroundings::of(&self.world);
        create_outer(&def, &shape.record(), &Record::default(), &around).map_err(|e| e.errno.0)
    }

    /// Tries operations on a map; the first difference.
    pub fn differs(&self, shape: &Shape, ops: &[Op], counts: &mut Counts) -> Option<String> {
        counts.operations += 1;
        let pair = match (self.make_ours(shape), self.make_theirs(shape)) {
            (Ok(ours), Ok(theirs)) => Pair { shape, ours, theirs, objects: &self.objects },
            (Err(ours), Err(theirs)) if ours == theirs => {
                counts.refused += 1;
                return None;
            }
            (ours, theirs) => {
                let (ours, theirs) = (ours.err().unwrap_or(0), theirs.err().unwrap_or(0));
                return Some(format!("creation: ours {}, kernel {}", named(ours), named(theirs)));
            }
        };
        *counts.maps.entry(shape.def.map_type.name().unwrap_or("?")).or_default() += 1;
        let rest = pair.rest();
        for (n, op) in ops.iter().chain(&rest).enumerate() {
            counts.operations += 1;
            if let Some((ours, theirs)) = pair.differs(op) {
                return Some(format!("operation {n}, {op:?}: ours {}, kernel {}", shown(&ours), shown(&theirs)));
            }
        }
        let (ours, theirs) = pair.contents_differ()?;
        Some(format!("contents: ours {}, kernel {}", shown(&ours), shown(&theirs)))
    }

    /// Compares the operations of a seed, on maps of all types or one; the difference, as short as it can be made.
    pub fn compare(&self, seed: u64, cases: u32, only: Option<MapType>, counts: &mut Counts) -> Result<(), String> {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let cases = Shape::any(only).prop_flat_map(|shape| {
            // A whole cycle of a large LRU map takes many.
            let longest = LONGEST.max(shape.def.max_entries.min(200) as usize * 4);
            let ops = prop::collection::vec(ops::any_op(shape.keys()), 0..longest);
            (Just(shape), ops)
        });
        let counted = RefCell::new(std::mem::take(counts));
        let failed = RefCell::new(None);
        let result = runner.run(&cases, |(shape, ops)| {
            // While a difference is made shorter, nothing is counted.
            let mut scratch = Counts::default();
            let difference = self.differs(&shape, &ops, &mut scratch);
            if failed.borrow().is_none() {
                counted.borrow_mut().add(&scratch);
            }
            match difference {
                None => Ok(()),
                Some(text) => {
                    *failed.borrow_mut() = Some(());
                    Err(TestCaseError::fail(text))
                }
            }
        });
        *counts = counted.into_inner();
        match result {
            Ok(()) => Ok(()),
            Err(TestError::Fail(why, (shape, mut ops))) => {
                let mut why = why.to_string();
                let shorter = |ops: &[Op]| self.differs(&shape, ops, &mut Counts::default());
                // From the end, so that what comes behind the difference goes first.
                for at in (0..ops.len()).rev() {
                    let op = ops.remove(at);
                    match shorter(&ops) {
                        Some(text) => why = text,
                        None => ops.insert(at, op),
                    }
                }
                Err(format!("{why}\n{}", described(&shape, &ops)))
            }
            Err(TestError::Abort(why)) => Err(why.to_string()),
        }
    }
}

fn named(errno: i32) -> String {
    match (errno, Errno(errno).name()) {
        (0, _) => "takes it".into(),
        (_, "") => format!("error {errno}"),
        (_, name) => name.into(),
    }
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Error(e) => named(*e),
        other => format!("{other:02x?}"),
    }
}

/// A map and operations on it, for a report.
fn described(shape: &Shape, ops: &[Op]) -> String {
    let Shape { def, special, template } = shape;
    let mut text = format!(
        "{}: keys of {}, values of {}, {} entries, flags {:#x}, extra {:#x}, {special:?}, template {template}",
        def.map_type, def.key_size, def.value_size, def.max_entries, def.flags, def.extra
    );
    for (n, op) in ops.iter().enumerate() {
        text += &format!("\n{n:4}: {op:?}");
    }
    text
}
