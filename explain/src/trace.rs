//! A recorded path: the steps that led to a rejection, each with the state before it.

use crate::history::{Event as Change, Location};
use ebpfkit_verifier::state::{Frame, Resources};
use ebpfkit_verifier::{Event, FuncState, Observer, Reason, RegState};
use std::cell::RefCell;
use std::rc::Rc;

/// Steps of which states are kept, counted from the end of the path. Earlier ones keep their instruction alone.
const STATES: usize = 1 << 14;
/// Steps of a verification that may be accepted as well, up to which its path is recorded.
const SHORT: u64 = 1 << 14;

/// Steps that there is memory for from the start.
const USUAL: usize = 64;

/// One instruction on the path.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Slot.
    pub(crate) insn: usize,
    /// Number of the frame that executes it.
    pub(crate) depth: usize,
    /// Registers that may be read later, as a bit mask.
    pub(crate) live: u16,
    /// The frame before it; none where the path is too long.
    pub(crate) frame: Option<Frame>,
    /// What is acquired before it.
    pub(crate) held: Option<Rc<Resources>>,
}

/// Values of a path that were followed back already: the step and the location from which, and what happened to them.
#[derive(Debug, Default)]
pub(crate) struct Histories(RefCell<Vec<(usize, Location, Vec<Change>)>>);

impl Histories {
    /// The history of a value, which `follow` finds where nobody has asked for it before.
    pub(crate) fn get(&self, step: usize, location: Location, follow: impl FnOnce() -> Vec<Change>) -> Vec<Change> {
        let known = self.0.borrow().iter().find(|k| (k.0, k.1) == (step, location)).map(|k| k.2.clone());
        known.unwrap_or_else(|| {
            let events = follow();
            self.0.borrow_mut().push((step, location, events.clone()));
            events
        })
    }
}

/// Records the path that is being walked. What remains when a program is rejected is the path that failed.
#[derive(Debug)]
pub struct Recorder {
    steps: Vec<Step>,
    start: usize,
    maps: Vec<usize>,
    details: Vec<String>,
    because: Option<Reason>,
    visits: Vec<u32>,
    /// Steps that may be recorded on all paths, before nothing is any more.
    left: u64,
    is_rejected: bool,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            start: 0,
            maps: Vec::new(),
            details: Vec::new(),
            because: None,
            visits: Vec::new(),
            left: u64::MAX,
            is_rejected: false,
        }
    }
}

/// The path to a rejection.
#[derive(Debug, Default)]
pub struct Trace {
    pub(crate) steps: Vec<Step>,
    /// First slot of the function that was walked.
    pub(crate) start: usize,
    /// Numbers of the maps in the object.
    pub(crate) maps: Vec<usize>,
    /// Lines that belong to the rejection.
    pub(crate) details: Vec<String>,
    /// The rejection behind the rejection.
    pub(crate) because: Option<Reason>,
    /// How often each instruction was verified, on all paths.
    pub(crate) visits: Vec<u32>,
    /// Values that were followed back already.
    pub(crate) histories: Histories,
}

impl Observer for Recorder {
    fn wants_events(&self) -> bool {
        true
    }

    fn position(&self) -> usize {
        self.steps.len()
    }

    fn rewind(&mut self, position: usize) {
        self.steps.truncate(position);
        self.forget();
    }

    fn event(&mut self, event: Event<'_>) {
        if self.left == 0 {
            return;
        }
        match event {
            Event::Start { insn, maps } => {
                self.steps.clear();
                self.steps.reserve(USUAL);
                self.visits.reserve(USUAL);
                self.start = insn;
                self.maps = maps.to_vec();
                self.forget();
            }
            Event::Before { insn, state, live_regs } => {
                self.left -= 1;
                if self.left == 0 {
                    (self.steps, self.details, self.because) = (Vec::new(), Vec::new(), None);
                    return;
                }
                self.forget();
                if self.steps.len() >= STATES {
                    let old = self.steps.len() - STATES;
                    (self.steps[old].frame, self.steps[old].held) = (None, None);
                }
                let depth = state.curframe();
                let frame = Some(state.frames[depth].clone());
                self.steps.push(Step { insn, depth, live: live_regs, frame, held: Some(Rc::clone(&state.res)) });
                if self.visits.len() <= insn {
                    self.visits.resize(insn + 1, 0);
                }
                self.visits[insn] = self.visits[insn].saturating_add(1);
            }
            Event::Detail(text) => self.details.push(text.to_string()),
            Event::Because(reason) => self.because = Some(reason.clone()),
            Event::Rejected(_) => self.is_rejected = true,
            _ => {}
        }
    }
}

impl Recorder {
    /// What belonged to a rejection that did not come.
    fn forget(&mut self) {
        if !self.details.is_empty() {
            self.details.clear();
        }
        self.because = None;
    }

    /// For a verification of which nobody knows whether it ends in a rejection: what takes long is not recorded, so that
    /// an accepted program costs no more for it.
    pub fn of_short_walks() -> Self {
        Self { left: SHORT, ..Self::default() }
    }

    /// The path that failed; none where none did, or where it was not recorded.
    pub fn into_trace(self) -> Option<Trace> {
        let Self { steps, start, maps, details, because, visits, left, is_rejected } = self;
        (is_rejected && left > 0).then_some(Trace {
            steps,
            start,
            maps,
            details,
            because,
            visits,
            histories: Histories::default(),
        })
    }
}

impl Trace {
    /// The last step: the instruction that is refused, unless the rejection came before it was looked at.
    pub(crate) fn last(&self) -> Option<usize> {
        self.steps.len().checked_sub(1)
    }

    /// A register before a step.
    pub(crate) fn reg(&self, step: usize, reg: u8) -> Option<&RegState> {
        self.steps.get(step)?.frame.as_ref()?.regs.get(usize::from(reg))
    }

    /// The frame before a step.
    pub(crate) fn frame(&self, step: usize) -> Option<&FuncState> {
        self.steps.get(step)?.frame.as_deref()
    }

    /// The last step before `step` that was in frame `depth`.
    pub(crate) fn previous_in(&self, depth: usize, step: usize) -> Option<usize> {
        (0..step).rev().find(|&s| self.steps[s].depth == depth)
    }
}
