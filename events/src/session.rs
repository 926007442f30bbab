//! An object's programs and maps in a world that goes on from event to event.

use crate::memory::{Builder, Memory};
use crate::mocks::Mocks;
use crate::records::Records;
use crate::report::Report;
use crate::schema::{Item, Time};
use crate::tasks::Tasks;
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::{Engine, Instance, Program, Run, World};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Loads a program of the object by its number; the error says why it is not loaded.
pub type Load<'o> = Box<dyn FnMut(&mut Instance, usize) -> Result<Arc<Program>, String> + 'o>;

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct EventError {
    /// Line of the event.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// An object's programs and maps in a world where things happen.
pub struct Session<'o> {
    pub(crate) object: &'o Object,
    pub(crate) types: Option<Arc<Btf>>,
    pub(crate) instance: Instance,
    pub(crate) world: World,
    pub(crate) memory: Memory,
    pub(crate) tasks: Tasks,
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) load: Load<'o>,
    /// A run for each program that has run.
    pub(crate) runs: BTreeMap<usize, Run>,
    pub(crate) budget: u64,
    pub(crate) records: Records,
    pub(crate) mocks: Mocks,
    pub(crate) read: Option<ReadFile<'o>>,
    begin: Option<BeginRun<'o>>,
    pub(crate) events: u64,
    pub(crate) last: Option<Report>,
}

/// Sees each run before its program runs first.
pub type BeginRun<'o> = Box<dyn FnMut(&mut Run) + 'o>;

/// Reads a file that an event names.
pub type ReadFile<'o> = Box<dyn FnMut(&str) -> Result<Vec<u8>, String> + 'o>;

impl<'o> Session<'o> {
    /// A session. `types` are the kernel's; where there are none, the object's own stand in for them.
    pub fn new(
        object: &'o Object,
        types: Option<Arc<Btf>>,
        (mut instance, world): (Instance, World),
        engine: Box<dyn Engine>,
        load: Load<'o>,
    ) -> Self {
        let tasks = Tasks::new(world.task.clone());
        Mocks::stand_in(&mut instance);
        Self {
            object,
            types: types.or_else(|| object.btf.clone()),
            instance,
            world,
            memory: Memory::default(),
            tasks,
            engine,
            load,
            runs: BTreeMap::new(),
            budget: ebpfkit_vm::DEFAULT_BUDGET,
            records: Records::default(),
            mocks: Mocks::default(),
            read: None,
            begin: None,
            events: 0,
            last: None,
        }
    }

    /// Bounds the instructions of each run.
    pub fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// Says how files that events name are read.
    pub fn set_files(&mut self, read: ReadFile<'o>) {
        self.read = Some(read);
    }

    /// Says what is done with each run before its program runs first.
    pub fn set_begin(&mut self, begin: BeginRun<'o>) {
        self.begin = Some(begin);
    }

    /// Programs that have run, by number.
    pub fn programs(&self) -> impl Iterator<Item = usize> {
        self.runs.keys().copied()
    }

    /// The maps and programs.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The runs, to see what was lost to limits.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// What the last event did.
    pub fn last(&self) -> Option<&Report> {
        self.last.as_ref()
    }

    /// The moment that is meant.
    pub(crate) fn when(&self, time: Time) -> u64 {
        match time {
            Time::At(ns) => ns,
            Time::After(ns) => self.world.monotonic_ns.saturating_add(ns),
        }
    }

    /// Gives a run the world.
    pub(crate) fn enter(&mut self, run: &mut Run) {
        std::mem::swap(&mut self.world.memory, &mut self.memory.images);
        std::mem::swap(run.world_mut(), &mut self.world);
    }

    /// Takes it back.
    pub(crate) fn leave(&mut self, run: &mut Run) {
        std::mem::swap(run.world_mut(), &mut self.world);
        std::mem::swap(&mut self.world.memory, &mut self.memory.images);
    }

    pub(crate) fn task_name(&self, n: usize) -> String {
        let task = &self.tasks.get(n).task;
        match task.pid == task.tgid {
            true => format!("{} {}", task.comm, task.tgid),
            false => format!("{} {}/{}", task.comm, task.tgid, task.pid),
        }
    }

    /// Makes a task the running one, and sets what else an event says of its surroundings.
    pub(crate) fn enter_task(&mut self, item: &Item, task: usize) -> Result<(), String> {
        let common = &item.common;
        if let Some(cpu) = common.cpu {
            if cpu >= self.world.cpus {
                return Err(format!("cpu: {cpu}; the world has {} CPUs", self.world.cpus));
            }
            self.world.cpu = cpu;
        }
        let mut builder = Builder::new(&mut self.memory);
        let address =
            self.tasks.address(task, self.types.as_deref(), &mut builder).map_err(|e| e.inside("task").to_string())?;
        self.world.task = self.tasks.get(task).task.clone();
        self.world.task_address = address;
        self.world.kernel_stack = common.kernel_stack.clone().unwrap_or_default();
        self.world.user_stack = common.user_stack.clone().unwrap_or_default();
        self.world.attach_cookie = common.cookie.unwrap_or(0);
        Ok(())
    }

    /// The run of a program, which is loaded when it is reached first.
    pub(crate) fn run_of(&mut self, n: usize) -> Result<Run, String> {
        if let Some(run) = self.runs.remove(&n) {
            return Ok(run);
        }
        let program = (self.load)(&mut self.instance, n)?;
        let mut run = Run::new(&program, World { cpus: self.world.cpus, ..World::default() });
        run.set_budget(self.budget);
        // Their pointers lead to memory of the world, which is no memory of this process.
        if !ebpfkit_vm::input::takes_packet(program.prog_type()) {
            run.set_checked(true);
        }
        if let Some(begin) = &mut self.begin {
            begin(&mut run);
        }
        Ok(run)
    }
}
