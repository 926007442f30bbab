//! Why one kernel takes a program and its neighbour does not.
//!
//! In the model, what two kernels differ in can be exchanged piece by piece: each feature, the types, and what the
//! version alone says (which helpers there are). The smallest set of pieces whose exchange turns one kernel's answer into
//! the other's is the explanation.

use crate::matrix::{Column, Summary};
use crate::profile::Profile;
use ebpfkit_abi::kernel::FeatureSet;
use ebpfkit_abi::{Feature, KernelVersion, helpers, kfuncs};
use ebpfkit_explain::judge::{Judged, Status};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, verify};
use std::sync::Arc;

/// Programs that take longer are verified again only a few times.
const MANY_STEPS: u64 = 100_000;

/// Something in which two kernels differ and that can be exchanged in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A row of the table of features.
    Feature(Feature),
    /// What the version alone says: which helpers, map and program types there are.
    Version,
    /// The types, and with them kernel functions, members of structs and attach points.
    Types,
}

/// Two neighbours that answer differently.
#[derive(Clone, Debug)]
pub struct Flip {
    /// The program's index.
    pub program: usize,
    /// The older kernel's number among those that were asked.
    pub older: usize,
    /// Its answer.
    pub before: Summary,
    /// The newer kernel's answer.
    pub after: Summary,
    /// The smallest set that makes the difference; empty where none was found.
    pub causes: Vec<Cause>,
    /// The version from which on kernels answer like the newer one, where a row of the tables says it.
    pub since: Option<KernelVersion>,
}

impl Flip {
    /// The answer that is not "accepted".
    pub fn refusal(&self) -> &Summary {
        if self.before.status == Status::Accepted { &self.after } else { &self.before }
    }
}

/// The version that brought what a message misses: a helper or a kernel function.
fn since_of(message: &str) -> Option<KernelVersion> {
    let quoted = |text: &str| Some(text.split_once('\'')?.1.split_once('\'')?.0.to_owned());
    if let Some(at) = message.find("(func ksym)") {
        return kfuncs::since(&quoted(&message[at..])?);
    }
    let name = message.split_once("unknown func ")?.1.split(['#', ' ']).next()?;
    helpers::by_name(name).map(|row| row.since)
}

/// A kernel put together from pieces of two.
#[derive(Clone, Copy, PartialEq)]
struct Mix {
    features: FeatureSet,
    version: KernelVersion,
    /// Whether the types are the newer kernel's.
    newer_types: bool,
}

struct Pair<'a> {
    older: (&'a Arc<Profile>, &'a Prepared),
    newer: (&'a Arc<Profile>, &'a Prepared),
    program: usize,
    options: Options,
}

impl Pair<'_> {
    fn mix(&self, newer: bool) -> Mix {
        let kernel = if newer { self.newer.0 } else { self.older.0 };
        Mix { features: kernel.features, version: kernel.version, newer_types: newer }
    }

    /// Takes a piece of `from` into a mix.
    fn exchange(mix: &mut Mix, from: &Mix, cause: Cause) {
        match cause {
            Cause::Feature(f) => mix.features = mix.features.set(f, from.features.has(f)),
            Cause::Version => mix.version = from.version,
            Cause::Types => mix.newer_types = from.newer_types,
        }
    }

    fn judge(&self, mix: &Mix) -> Status {
        let (kernel, prepared) = if mix.newer_types { self.newer } else { self.older };
        if let Some(judged) = Judged::unloadable(prepared, self.program) {
            return judged.status();
        }
        let mut model = kernel.model().with_features(mix.features);
        model.version = mix.version;
        let report = verify(&model, &prepared.object, self.program, self.options, &mut Silent);
        Judged::of(prepared, self.program, report).status()
    }

    /// All in which the kernels differ: features first.
    fn differences(&self) -> Vec<Cause> {
        let (a, b) = (self.older.0, self.newer.0);
        let features = a.features.differences(&b.features).map(Cause::Feature);
        features.chain([Cause::Version, Cause::Types]).collect()
    }

    /// The smallest set whose exchange turns the older kernel's answer into the newer one's, or the reverse.
    fn explain(&self, before: Status, after: Status, may_take_long: bool) -> Vec<Cause> {
        let all = self.differences();
        let (older, newer) = (self.mix(false), self.mix(true));
        let sides = [(older, newer, after), (newer, older, before)];
        for &cause in &all {
            for (base, other, expected) in &sides {
                let mut mix = *base;
                Self::exchange(&mut mix, other, cause);
                if self.judge(&mix) == *expected {
                    return vec![cause];
                }
            }
        }
        if !may_take_long {
            return Vec::new();
        }
        // No single piece does it: exchange all, and give back one after the other what is not needed.
        let mut needed = all;
        let with = |set: &[Cause]| {
            let mut mix = older;
            set.iter().for_each(|&c| Self::exchange(&mut mix, &newer, c));
            self.judge(&mix)
        };
        if with(&needed) != after {
            return Vec::new();
        }
        let mut at = needed.len();
        while at > 0 {
            at -= 1;
            let cause = needed.remove(at);
            if with(&needed) != after {
                needed.insert(at, cause);
            }
        }
        needed
    }
}

/// Each place where the answer for a program changes between neighbours, with what changes it.
pub fn find(columns: &[Column], program: usize, options: Options) -> Vec<Flip> {
    let mut flips = Vec::new();
    for (older, pair) in columns.windows(2).enumerate() {
        let [a, b] = pair else { continue };
        let (Some(x), Some(y)) = (a.answer(program), b.answer(program)) else { continue };
        let (before, after) = (Summary::of(x), Summary::of(y));
        if before.agrees(&after) || [&before, &after].iter().any(|s| s.status == Status::Unsupported) {
            continue;
        }
        let (Ok(older_object), Ok(newer_object)) = (&a.prepared, &b.prepared) else { continue };
        let pair = Pair { older: (&a.kernel, older_object), newer: (&b.kernel, newer_object), program, options };
        let may_take_long = x.insns_processed.max(y.insns_processed) < MANY_STEPS;
        let causes = pair.explain(before.status, after.status, may_take_long);
        let mut flip = Flip { program, older, before, after, causes, since: None };
        let since = match flip.causes[..] {
            [Cause::Feature(f)] => Some(f.since()),
            _ => flip.refusal().message.as_deref().and_then(since_of),
        };
        // A backport or a distribution's own change came at another time.
        flip.since = since.filter(|s| !a.kernel.version.at_least(*s) && b.kernel.version.at_least(*s));
        flips.push(flip);
    }
    flips
}
