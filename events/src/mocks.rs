//! Helpers that give what a file of events says, and those that nothing here can do.

use crate::schema::Mock;
use ebpfkit_abi::{Errno, helper_id, helper_name, helpers};
use ebpfkit_vm::helpers::missing;
use ebpfkit_vm::{Fault, HelperCall, Instance, Run, UserHelper};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of helpers that can be replaced.
const SLOTS: usize = 256;

/// What is said of one helper.
#[derive(Clone, Debug, Default)]
struct Said {
    /// For all calls that nothing else is said of.
    always: Option<u64>,
    /// By call, from 1 in each event.
    by_call: BTreeMap<u64, u64>,
    /// Calls in this event.
    calls: u64,
}

/// What helpers give.
#[derive(Clone, Debug, Default)]
pub struct Mocks {
    said: BTreeMap<u32, Said>,
    /// Helpers that nothing here can do and that were called since this was asked last.
    called: BTreeSet<u32>,
    /// Those that were told of.
    told: BTreeSet<u32>,
}

/// What a helper gives that nothing here can do.
const UNAVAILABLE: Errno = Errno::EOPNOTSUPP;

fn slot<const ID: u32>(mut call: HelperCall<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    let mocks = call.user_mut().as_mut().and_then(|user| user.downcast_mut::<Mocks>());
    let Some(mocks) = mocks else { return Ok(UNAVAILABLE.ret()) };
    if let Some(said) = mocks.said.get_mut(&ID) {
        said.calls += 1;
        if let Some(value) = said.by_call.get(&said.calls).copied().or(said.always) {
            return Ok(value);
        }
    }
    match call.builtin(ID, args) {
        Some(result) => result,
        None => {
            if let Some(mocks) = call.user_mut().as_mut().and_then(|user| user.downcast_mut::<Mocks>()) {
                mocks.called.insert(ID);
            }
            Ok(UNAVAILABLE.ret())
        }
    }
}

macro_rules! row {
    ($base:expr) => {
        [
            slot::<{ $base }>,
            slot::<{ $base + 1 }>,
            slot::<{ $base + 2 }>,
            slot::<{ $base + 3 }>,
            slot::<{ $base + 4 }>,
            slot::<{ $base + 5 }>,
            slot::<{ $base + 6 }>,
            slot::<{ $base + 7 }>,
            slot::<{ $base + 8 }>,
            slot::<{ $base + 9 }>,
            slot::<{ $base + 10 }>,
            slot::<{ $base + 11 }>,
            slot::<{ $base + 12 }>,
            slot::<{ $base + 13 }>,
            slot::<{ $base + 14 }>,
            slot::<{ $base + 15 }>,
        ]
    };
}

/// A function for each number: the helper that is called does not hear its own.
static FUNCTIONS: [[UserHelper; 16]; SLOTS / 16] = [
    row!(0),
    row!(16),
    row!(32),
    row!(48),
    row!(64),
    row!(80),
    row!(96),
    row!(112),
    row!(128),
    row!(144),
    row!(160),
    row!(176),
    row!(192),
    row!(208),
    row!(224),
    row!(240),
];

fn function(id: u32) -> Option<UserHelper> {
    FUNCTIONS.get(id as usize / 16).map(|row| row[id as usize % 16])
}

impl Mocks {
    /// Stands in for the helpers that nothing here can do.
    pub fn stand_in(instance: &mut Instance) {
        for row in helpers::all() {
            let is_missing = missing(row.name.trim_start_matches("bpf_")).is_some();
            if let Some(function) = function(row.id).filter(|_| is_missing) {
                instance.set_helper(row.id, function);
            }
        }
    }

    /// Takes over what an item says of a helper.
    pub fn set(&mut self, name: &str, mock: &Mock, instance: &mut Instance) -> Result<(), String> {
        let short = name.trim_start_matches("bpf_");
        let Some(id) = helper_id(short) else {
            let names = helpers::all().iter().map(|row| row.name.trim_start_matches("bpf_"));
            let like = ebpfkit_object::nearest(short, names);
            let meant = like.map_or_else(String::new, |l| format!("; did you mean `bpf_{l}`?"));
            return Err(format!("mock: there is no helper `{name}`{meant}"));
        };
        let value = match (mock.value, &mock.errno) {
            (Some(value), None) => value as u64,
            (None, Some(errno)) => errno_of(errno)?.ret(),
            _ => return Err("mock: expected one of `return` and `errno`".into()),
        };
        if !self.said.contains_key(&id) {
            if instance.has_loaded() {
                return Err(format!(
                    "mock: `{name}` has to be named before the first event, whatever is said of it later"
                ));
            }
            let function = function(id).ok_or_else(|| format!("mock: `{name}` cannot be replaced"))?;
            instance.set_helper(id, function);
        }
        let said = self.said.entry(id).or_default();
        match mock.call {
            Some(0) => return Err("call: calls count from 1".into()),
            Some(n) => {
                said.by_call.insert(n, value);
            }
            None => said.always = Some(value),
        }
        Ok(())
    }

    /// Begins an event.
    pub fn begin(&mut self) {
        self.said.values_mut().for_each(|said| said.calls = 0);
    }

    /// Gives a run what its helpers need.
    pub fn enter(&mut self, run: &mut Run) {
        *run.user_mut() = Some(Box::new(std::mem::take(self)));
    }

    /// Takes it back. The answer is what is to be told of helpers that nothing here can do, each once.
    pub fn leave(&mut self, run: &mut Run) -> Vec<String> {
        if let Some(mocks) = run.user_mut().take().and_then(|user| user.downcast::<Self>().ok()) {
            *self = *mocks;
        }
        let called = std::mem::take(&mut self.called);
        let fresh: Vec<u32> = called.into_iter().filter(|id| self.told.insert(*id)).collect();
        let said = fresh.into_iter().map(|id| {
            let name = helper_name(id).unwrap_or_default();
            let needs = missing(name.trim_start_matches("bpf_")).unwrap_or_default();
            format!("{name} needs {needs}, which are not simulated; it gave {}", UNAVAILABLE.name())
        });
        said.collect()
    }
}

/// An error number by its name.
fn errno_of(name: &str) -> Result<Errno, String> {
    let found = (1..=600).map(Errno).find(|e| e.name() == name.trim_start_matches('-'));
    found.ok_or_else(|| format!("errno: `{name}`; expected the name of an error, such as EPERM"))
}
