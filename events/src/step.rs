//! Running events: each reaches programs, in the order of the kernel.

use crate::fields;
use crate::hooks::{self, Order, PacketHook};
use crate::inputs::{Input, context_type};
use crate::memory::Builder;
use crate::outcome;
use crate::report::{Ran, Report};
use crate::schema::{Item, PacketAt, Time, Typed, What};
use crate::session::{EventError, Session};
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::helpers::{collect, run_timers};
use ebpfkit_vm::{Run, hex};

/// Hears what came of each event.
pub type Tell<'t> = &'t mut dyn FnMut(&Report);

/// Most timers that fire while time passes once.
const MAX_FIRED: usize = 100_000;

impl Session<'_> {
    /// Does what an item says, and tells what came of each event.
    pub fn step(&mut self, item: &Item, tell: Tell<'_>) -> Result<(), EventError> {
        let result = match &item.what {
            What::Capture(path, at) => self.capture(item, path, at, tell),
            _ => self.try_step(item).map(|report| {
                if let Some(report) = report {
                    tell(&report);
                    self.last = Some(report);
                }
            }),
        };
        result.map_err(|problem| EventError { line: item.line_of(&problem), problem })
    }

    /// Runs the packets of a capture, one after the other.
    fn capture(&mut self, item: &Item, path: &str, at: &PacketAt, tell: Tell<'_>) -> Result<(), String> {
        let read = self.read.as_mut().ok_or("capture: no files can be read here")?;
        let bytes = read(path).map_err(|e| format!("capture: {e}"))?;
        let fail = |e: &dyn std::fmt::Display| format!("capture: {path}: {e}");
        let mut reader = Reader::new(&bytes[..]).map_err(|e| fail(&e))?;
        let mut number = 0;
        while let Some((_, frame)) = reader.next().map_err(|e| fail(&e))? {
            number += 1;
            if at.number.is_some_and(|n| n != number) {
                continue;
            }
            let text = hex::encode(frame);
            let one = Item { key: "packet", what: What::Packet(text, at.clone()), ..item.clone() };
            let mut report = self.event(&one)?;
            let hook = report.what.split(' ').next().unwrap_or_default();
            report.what = format!("{hook} packet {number} of {path}, {} bytes", frame.len());
            tell(&report);
            self.last = Some(report);
        }
        match at.number {
            Some(n) if n > number || n == 0 => Err(format!("number: {n}; {path} has {number} packets")),
            _ => Ok(()),
        }
    }

    fn try_step(&mut self, item: &Item) -> Result<Option<Report>, String> {
        match &item.what {
            What::Time(time, _) => {
                self.events += 1;
                let mut report = Report {
                    event: self.events,
                    line: item.line,
                    what: format!("time {} ns", self.when(*time)),
                    ..Report::default()
                };
                report.programs = self.pass(*time)?;
                if report.programs.is_empty() {
                    report.result = Some("no timer fired".into());
                }
                Ok(Some(report))
            }
            What::Records(map, records) => {
                self.records.set(self.object, map, records)?;
                Ok(None)
            }
            What::Task(spec, _) => {
                self.tasks.with(spec);
                Ok(None)
            }
            What::Object(Typed(value), _) => {
                let btf = self.types.clone().ok_or("object: no types are known")?;
                self.memory.begin();
                let mut builder = Builder::new(&mut self.memory);
                builder.declared(&btf, value).map_err(|e| e.inside("object").to_string())?;
                Ok(None)
            }
            What::Map(name, set) => {
                if set.value_size.is_some() || set.max_entries.is_some() {
                    return Err("map: sizes are set before the first event".into());
                }
                let set = self.with_sockets(name, set)?;
                crate::maps::set(self.object, &self.instance, name, &set)?;
                Ok(None)
            }
            What::Variables(variables, _) => {
                crate::maps::set_variables(self.object, &self.instance, variables)?;
                Ok(None)
            }
            What::Expect(expected, _) => {
                self.expect(expected)?;
                Ok(None)
            }
            What::Attach(..) => Err("attach: it belongs before the first event".into()),
            What::Mock(name, mock) => {
                let types = self.types.clone();
                self.mocks.set(name, mock, &mut self.instance, (types.as_deref(), &mut self.memory))?;
                Ok(None)
            }
            _ => self.event(item).map(Some),
        }
    }

    fn expect(&self, expected: &serde_json::Value) -> Result<(), String> {
        let last = self.last.as_ref().ok_or("expect: there was no event before")?;
        let mut found = serde_json::to_value(last).map_err(|e| e.to_string())?;
        if let Some(serde_json::Value::Object(maps)) = expected.get("maps") {
            for name in maps.keys() {
                found["maps"][name] = crate::maps::contents(self.object, &self.instance, name)?;
            }
        }
        outcome::contains(&found, expected, "expect")
    }

    /// Lets time pass: timers of all programs fire, the earliest first.
    fn pass(&mut self, time: Time) -> Result<Vec<Ran>, String> {
        let until = self.when(time);
        if until < self.world.monotonic_ns {
            return Err(format!("time: {until} ns is before now, {} ns", self.world.monotonic_ns));
        }
        let mut all = Vec::new();
        loop {
            let due = |run: &Run| run.state().timers.values().filter_map(|t| t.due).min();
            let next = self.runs.iter().filter_map(|(n, run)| Some((due(run)?, *n))).min();
            let Some((due, n)) = next.filter(|(due, _)| *due <= until) else { break };
            let Some(mut run) = self.runs.remove(&n) else { break };
            self.enter(&mut run);
            self.mocks.enter(&mut run);
            let result = run_timers(&mut run, due);
            collect(&mut run);
            let notes = self.mocks.leave(&mut run);
            self.leave(&mut run);
            let program = format!("timer of {}", self.object.programs[n].name);
            let mut ran = Ran { program, notes, ..Ran::default() };
            if let Err(fault) = &result {
                ran.fault = Some(fault.to_string());
            }
            ran.emitted = outcome::emitted(self, &mut run);
            self.runs.insert(n, run);
            all.push(ran);
            if all.len() > MAX_FIRED {
                return Err(format!("time: more than {MAX_FIRED} timers fire before {until} ns"));
            }
            if result.is_err() {
                break;
            }
        }
        self.world.monotonic_ns = self.world.monotonic_ns.max(until);
        Ok(all)
    }

    /// Programs that an event reaches, by number.
    fn reached(&self, item: &Item, hook: Option<&PacketHook>) -> Result<Vec<usize>, String> {
        let programs = &self.object.programs;
        if let Some(names) = &item.common.programs {
            let number = |name: &String| {
                programs.iter().position(|p| p.name == *name).ok_or_else(|| {
                    let like = ebpfkit_object::nearest(name, programs.iter().map(|p| p.name.as_str()));
                    let meant = like.map_or_else(String::new, |l| format!("; did you mean `{l}`?"));
                    format!("programs: the object has no program `{name}`{meant}")
                })
            };
            return names.iter().map(number).collect();
        }
        if let What::Call(to, _) = &item.what
            && item.key == "struct_ops"
        {
            let found = hooks::struct_ops(self.object, self.types.as_deref(), to);
            return Ok(found.into_iter().map(|(_, _, program)| program).collect());
        }
        let targets: Vec<usize> = self.instance.tail_call_targets().collect();
        let is_main = |n: &usize| programs[*n].autoload && !targets.contains(n);
        let reached = |n: &usize| hooks::reaches(item, &programs[*n], hook) && is_main(n);
        Ok((0..programs.len()).filter(reached).collect())
    }

    fn event(&mut self, item: &Item) -> Result<Report, String> {
        self.events += 1;
        self.memory.begin();
        self.mocks.begin();
        if let Some(time) = item.common.at {
            self.pass(time)?;
        }
        let task = item.common.task.as_ref().map(|t| self.tasks.find(t));
        self.enter_task(item, task.unwrap_or(0))?;
        let hook = match &item.what {
            What::Packet(_, at) => Some(hooks::packet_hook(at.hook.as_deref(), self.object)?),
            _ => None,
        };
        let programs = self.reached(item, hook)?;
        let order = hooks::order(item.key, hook.map(|h| h.name));
        if order == Order::One && programs.len() > 1 {
            let names: Vec<&str> = programs.iter().map(|n| self.object.programs[*n].name.as_str()).collect();
            return Err(format!("the hook has one program; say which with `programs`: {}", names.join(", ")));
        }
        let mut report = Report {
            event: self.events,
            line: item.line,
            what: outcome::name(item, hook),
            task: task.map(|n| self.task_name(n)),
            ..Report::default()
        };
        if let What::Iter(..) = &item.what {
            for n in programs {
                self.iterate(item, n, &mut report)?;
            }
            return Ok(report);
        }
        let mut input = self.input(item, hook)?;
        if let Some(path) = self.memory.path.take() {
            // What `bpf_d_path` gives.
            self.world.file_path = path;
        }
        for n in programs {
            let ran = self.run_program(item, hook, n, &mut input)?;
            let ends = outcome::ends(order, &ran);
            report.programs.push(ran);
            if ends {
                break;
            }
        }
        report.result = outcome::result(item, hook, &report.programs, &self.runs, self.object);
        Ok(report)
    }

    pub(crate) fn run_program(
        &mut self,
        item: &Item,
        hook: Option<&PacketHook>,
        n: usize,
        input: &mut Input,
    ) -> Result<Ran, String> {
        let mut run = self.run_of(n)?;
        let done = self.set_up(item, hook, n, input, &mut run);
        let ran = done.map(|before| self.execute(item, n, &mut run, before, input));
        self.runs.insert(n, run);
        ran
    }

    fn execute(&mut self, item: &Item, n: usize, run: &mut Run, before: Vec<u8>, input: &Input) -> Ran {
        let option = run.option_value();
        let sysctl = self.world.sysctl.clone();
        self.enter(run);
        self.mocks.enter(run);
        let result = self.engine.run(run);
        collect(run);
        let notes = self.mocks.leave(run);
        self.leave(run);
        let program = &self.object.programs[n];
        let mut ran = Ran { program: program.name.clone(), notes, ..Ran::default() };
        match result {
            Ok(r0) => outcome::returned(&mut ran, program, r0),
            Err(fault) => ran.fault = Some(fault.to_string()),
        }
        ran.changed = fields::changes(run, &before);
        if let Input::Frame(frame) = input {
            outcome::packet_changes(&mut ran, run, frame);
        }
        if let (What::Syscall(..), Some(btf)) = (&item.what, self.object.btf.as_deref())
            && let Some(ty) = context_type(btf, program)
        {
            ran.changed.extend(outcome::members_changed(btf, ty, &before, &run.ctx().to_struct()));
        }
        outcome::more_changes(&mut ran, run, option, &sysctl, &self.world.sysctl);
        outcome::answers(&mut ran, item, run);
        ran.emitted = outcome::emitted(self, run);
        ran
    }
}
