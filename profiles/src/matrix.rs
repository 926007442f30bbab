//! One object judged for many kernels, all at the same time.

use crate::profile::Profile;
use ebpfkit_explain::judge::{Judged, Outcome, Status};
use ebpfkit_object::{Object, Prepared};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners, verify};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What one kernel makes of an object.
#[derive(Debug)]
pub struct Column {
    /// The kernel.
    pub kernel: Arc<Profile>,
    /// The object resolved for it, or why that is impossible.
    pub prepared: Result<Prepared, String>,
    /// What became of each program, by the program's index; `None` for those that were not asked for.
    pub answers: Vec<Option<Judged>>,
}

impl Column {
    /// What became of a program.
    pub fn answer(&self, program: usize) -> Option<&Judged> {
        self.answers.get(program)?.as_ref()
    }
}

/// What an answer comes to: the verdict, and of a rejection its class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The verdict.
    pub status: Status,
    /// The class of a rejection.
    pub code: Option<&'static str>,
    /// The reason as one line.
    pub message: Option<String>,
}

impl Summary {
    /// Of an answer.
    pub fn of(judged: &Judged) -> Self {
        let code = match &judged.outcome {
            Outcome::Rejected { rejection, .. } => Some(rejection.reason.code()),
            _ => None,
        };
        Self { status: judged.status(), code, message: judged.message() }
    }

    /// Whether both say the same to somebody who wants to know whether the program loads.
    pub fn agrees(&self, other: &Self) -> bool {
        self.status == other.status
    }
}

/// Judges the programs that `picked` names of an object for each kernel. The kernels share the processors.
pub fn judge(
    object: &Object,
    picked: impl Fn(&Object) -> Vec<usize> + Sync,
    kernels: &[Arc<Profile>],
    options: Options,
) -> Vec<Column> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(kernel) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
            let column = column(object, &picked, kernel, options);
            if let Ok(mut done) = done.lock() {
                done.push(column);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(kernels.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut columns = done.into_inner().unwrap_or_default();
    columns.sort_by_key(|c| kernels.iter().position(|k| Arc::ptr_eq(k, &c.kernel)));
    columns
}

fn column(
    object: &Object,
    picked: &(impl Fn(&Object) -> Vec<usize> + Sync),
    kernel: &Arc<Profile>,
    options: Options,
) -> Column {
    let prepared = kernel.prepare(object.clone()).map_err(|e| e.to_string());
    let mut answers = Vec::new();
    if let Ok(prepared) = &prepared {
        answers.resize_with(prepared.object.programs.len(), || None);
        let (model, mut owners) = (kernel.model(), Owners::default());
        for index in picked(&prepared.object) {
            answers[index] = Some(Judged::unloadable(prepared, index).unwrap_or_else(|| {
                let mut report = verify(&model, &prepared.object, index, options, &mut Silent);
                if prepared.object.programs[index].autoload {
                    owners.admit(&prepared.object, &mut report);
                }
                Judged::of(prepared, index, report)
            }));
        }
    }
    Column { kernel: kernel.clone(), prepared, answers }
}
