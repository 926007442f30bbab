//! Helpers and kernel functions that give what a file of events says, and helpers that nothing here can do.

use crate::calls::Prototype;
use crate::memory::{Builder, Memory};
use crate::schema::{Mock, Typed};
use ebpfkit_abi::{Errno, helper_id, helper_name, helpers};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;
use ebpfkit_vm::helpers::missing;
use ebpfkit_vm::show::Value;
use ebpfkit_vm::{Fault, HelperCall, Instance, Run, UserHelper};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of helpers that can be replaced, and how many kernel functions.
const HELPERS: usize = 256;
const KFUNCS: usize = 64;

/// Which calls something is said of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Which {
    /// The call, from 1 in each event; any where nothing is said.
    call: Option<u64>,
    /// Arguments, in order; any where nothing is said.
    args: Vec<Option<i64>>,
}

impl Which {
    fn fits(&self, call: u64, args: &[u64; 5]) -> bool {
        let same = |(said, arg): (&Option<i64>, &u64)| {
            // Arguments of 32 bits leave what they like in the upper half.
            let narrow = |said: i64| i32::try_from(said).is_ok() || u32::try_from(said).is_ok();
            said.is_none_or(|said| said as u64 == *arg || narrow(said) && said as u32 == *arg as u32)
        };
        self.call.is_none_or(|n| n == call) && self.args.iter().zip(args).all(same)
    }

    /// What more is said of comes first.
    fn weight(&self) -> usize {
        usize::from(self.call.is_some()) + self.args.iter().flatten().count()
    }
}

/// What is said of one helper or kernel function.
#[derive(Clone, Debug, Default)]
struct Said {
    /// What calls give, those of which more is said first.
    rules: Vec<(Which, u64)>,
    /// Calls in this event.
    calls: u64,
}

/// What helpers give.
#[derive(Clone, Debug, Default)]
pub struct Mocks {
    /// By number; kernel functions come after the helpers, in the order of `kfuncs`.
    said: BTreeMap<usize, Said>,
    /// Kernel functions that were named.
    kfuncs: Vec<String>,
    /// Helpers that nothing here can do and that were called since this was asked last.
    called: BTreeSet<u32>,
    /// Those that were told of.
    told: BTreeSet<u32>,
}

/// What a helper gives that nothing here can do.
const UNAVAILABLE: Errno = Errno::EOPNOTSUPP;

fn slot<const SLOT: usize>(mut call: HelperCall<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    let mocks = call.user_mut().as_mut().and_then(|user| user.downcast_mut::<Mocks>());
    let Some(mocks) = mocks else { return Ok(UNAVAILABLE.ret()) };
    if let Some(said) = mocks.said.get_mut(&SLOT) {
        said.calls += 1;
        let now = said.calls;
        if let Some((_, value)) = said.rules.iter().find(|(which, _)| which.fits(now, &args)) {
            return Ok(*value);
        }
    }
    let Some(id) = u32::try_from(SLOT).ok().filter(|_| SLOT < HELPERS) else {
        let name = mocks.kfuncs.get(SLOT - HELPERS).cloned().unwrap_or_default();
        let unsaid = || format!("a call of {name} that no mock says anything of");
        return call.builtin_kfunc(&name, args).unwrap_or_else(|| Err(Fault::unsupported(unsaid())));
    };
    match call.builtin(id, args) {
        Some(result) => result,
        None => {
            if let Some(mocks) = call.user_mut().as_mut().and_then(|user| user.downcast_mut::<Mocks>()) {
                mocks.called.insert(id);
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

/// A function for each number: what is called does not hear its own.
static FUNCTIONS: [[UserHelper; 16]; (HELPERS + KFUNCS) / 16] = [
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
    row!(256),
    row!(272),
    row!(288),
    row!(304),
];

fn function(slot: usize) -> Option<UserHelper> {
    FUNCTIONS.get(slot / 16).map(|row| row[slot % 16])
}

/// What is mocked.
enum Target {
    Helper(u32),
    Kfunc,
}

/// Finds a helper or a kernel function by name.
fn find(name: &str, btf: Option<&Btf>) -> Result<Target, String> {
    let short = name.trim_start_matches("bpf_");
    if let Some(id) = helper_id(short) {
        return Ok(Target::Helper(id));
    }
    let is_kfunc =
        ebpfkit_abi::kfuncs::find(name).is_some() || btf.is_some_and(|btf| btf.find(name, Kind::Func).is_some());
    if is_kfunc {
        return Ok(Target::Kfunc);
    }
    let of_helpers = helpers::all().iter().map(|row| row.name.trim_start_matches("bpf_"));
    let of_kfuncs = ebpfkit_abi::kfuncs::all().map(|row| row.name.trim_start_matches("bpf_"));
    let like = ebpfkit_object::nearest(short, of_helpers.chain(of_kfuncs));
    let meant = like.map_or_else(String::new, |l| format!("; did you mean `bpf_{l}`?"));
    Err(format!("mock: there is no helper and no kernel function `{name}`{meant}"))
}

impl Mocks {
    /// Stands in for the helpers that nothing here can do.
    pub fn stand_in(instance: &mut Instance) {
        for row in helpers::all() {
            let is_missing = missing(row.name.trim_start_matches("bpf_")).is_some();
            if let Some(function) = function(row.id as usize).filter(|_| is_missing) {
                instance.set_helper(row.id, function);
            }
        }
    }

    /// Takes over what an item says of a helper or kernel function.
    pub fn set(
        &mut self,
        name: &str,
        mock: &Mock,
        instance: &mut Instance,
        (btf, memory): (Option<&Btf>, &mut Memory),
    ) -> Result<(), String> {
        let target = find(name, btf)?;
        let which = Which { call: mock.call, args: mock.args.clone().unwrap_or_default() };
        if which.call == Some(0) {
            return Err("call: calls count from 1".into());
        }
        if which.args.len() > 5 {
            return Err(format!("args: a list of {}; a call has at most 5 arguments", which.args.len()));
        }
        let value = match (&mock.value, &mock.errno) {
            (Some(value), None) => returned(name, &target, value, btf, memory)?,
            (None, Some(errno)) => failed(name, &target, errno_of(errno)?, btf)?,
            _ => return Err("mock: expected one of `return` and `errno`".into()),
        };
        let slot = self.slot_of(name, &target)?;
        if !self.said.contains_key(&slot) {
            if instance.has_loaded() {
                return Err(format!(
                    "mock: `{name}` has to be named before the first event, whatever is said of it later"
                ));
            }
            let function = function(slot).ok_or_else(|| format!("mock: `{name}` cannot be replaced"))?;
            match target {
                Target::Helper(id) => instance.set_helper(id, function),
                Target::Kfunc => instance.set_kfunc(name, function),
            }
        }
        let rules = &mut self.said.entry(slot).or_default().rules;
        rules.retain(|(w, _)| *w != which);
        // The latest of equal weight comes first.
        let at = rules.partition_point(|(w, _)| w.weight() > which.weight());
        rules.insert(at, (which, value));
        Ok(())
    }

    fn slot_of(&mut self, name: &str, target: &Target) -> Result<usize, String> {
        if let Target::Helper(id) = target {
            return Ok(*id as usize);
        }
        let known = self.kfuncs.iter().position(|k| k == name);
        let n = match known {
            Some(n) => n,
            None if self.kfuncs.len() == KFUNCS => {
                return Err(format!("mock: at most {KFUNCS} kernel functions can be replaced"));
            }
            None => {
                self.kfuncs.push(name.to_owned());
                self.kfuncs.len() - 1
            }
        };
        Ok(HELPERS + n)
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

/// What a function returns, as its register holds it. Objects behind pointers stay: later events may get them.
fn returned(name: &str, target: &Target, value: &Typed, btf: Option<&Btf>, memory: &mut Memory) -> Result<u64, String> {
    let mut value = value.clone();
    if let Value::Struct(members) = &mut value.0
        && !members.iter().any(|(n, _)| n == "$id" || n == "$ref")
    {
        let id = memory.count_named();
        members.push(("$id".into(), Value::Text(format!("{name} {id}"))));
    }
    memory.begin();
    let mut builder = Builder::new(memory);
    let prototype = match target {
        Target::Helper(_) => Prototype::default(),
        Target::Kfunc => Prototype::of_function(btf, name),
    };
    let word = prototype.returned(btf, Some(&value), &mut builder).map_err(|e| e.replacen("ret", "return", 1))?;
    Ok(if prototype.returns_word(btf) { u64::from(word as u32) } else { word })
}

/// What a function gives that fails.
fn failed(name: &str, target: &Target, errno: Errno, btf: Option<&Btf>) -> Result<u64, String> {
    if matches!(target, Target::Helper(_)) {
        return Ok(errno.ret());
    }
    let prototype = Prototype::of_function(btf, name);
    if prototype.returns_pointer(btf) {
        return Err(format!("errno: {name} returns a pointer; say {{\"return\": null}}"));
    }
    Ok(if prototype.returns_word(btf) { u64::from(errno.ret() as u32) } else { errno.ret() })
}

/// An error number by its name.
fn errno_of(name: &str) -> Result<Errno, String> {
    let found = (1..=600).map(Errno).find(|e| e.name() == name.trim_start_matches('-'));
    found.ok_or_else(|| format!("errno: `{name}`; expected the name of an error, such as EPERM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        let any = Which::default();
        let second = Which { call: Some(2), args: Vec::new() };
        let of_seven = Which { call: None, args: vec![None, Some(-7)] };
        let args = [1, (-7i32) as u32 as u64, 0, 0, 0];
        assert!(any.fits(1, &args) && !second.fits(1, &args) && second.fits(2, &args) && of_seven.fits(1, &args));
        assert!(!of_seven.fits(1, &[1, 7, 0, 0, 0]));
        assert_eq!((any.weight(), second.weight(), of_seven.weight()), (0, 1, 1));
    }

    #[test]
    fn names_are_found_or_meant() {
        assert!(matches!(find("bpf_get_current_uid_gid", None), Ok(Target::Helper(_))));
        assert!(matches!(find("bpf_task_from_pid", None), Ok(Target::Kfunc)));
        let wrong = find("bpf_task_from_pit", None).err();
        assert!(wrong.is_some_and(|e| e.ends_with("did you mean `bpf_task_from_pid`?")));
    }

    #[test]
    fn errors_have_names() {
        assert_eq!(errno_of("-EPERM"), Ok(Errno::EPERM));
        assert!(errno_of("EWHAT").is_err_and(|e| e.starts_with("errno: `EWHAT`; expected")));
    }
}
