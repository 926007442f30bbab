//! Running events: each reaches programs, in the order of the kernel, in a world that goes on.

use crate::calls::{self, Prototype};
use crate::fields;
use crate::hooks::{self, Order, PacketHook};
use crate::memory::{Builder, Memory};
use crate::mocks::Mocks;
use crate::outcome;
use crate::packet;
use crate::records::Records;
use crate::report::{Ran, Report};
use crate::schema::{Item, MapSet, PacketAt, Time, Typed, What};
use crate::tasks::Tasks;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, Object};
use ebpfkit_vm::capture::Reader;
use ebpfkit_vm::helpers::{attach_socket, collect, run_timers};
use ebpfkit_vm::input::{Origin, set_frame};
use ebpfkit_vm::show::Value;
use ebpfkit_vm::{Engine, Instance, Program, Run, Socket, Space, World};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Loads a program of the object by its number; the error says why it is not loaded.
pub type Load<'o> = Box<dyn FnMut(&mut Instance, usize) -> Result<Arc<Program>, String> + 'o>;

/// Hears what came of each event.
pub type Tell<'t> = &'t mut dyn FnMut(&Report);

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct EventError {
    /// Line of the event.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// Longest packet of an event, in bytes.
const MAX_FRAME: usize = 65535;
/// `/proc/sys` values are at most a page.
const MAX_SYSCTL: usize = 4096;

/// An object's programs and maps in a world where things happen.
pub struct Session<'o> {
    pub(crate) object: &'o Object,
    pub(crate) types: Option<Arc<Btf>>,
    instance: Instance,
    pub(crate) world: World,
    memory: Memory,
    tasks: Tasks,
    engine: Box<dyn Engine>,
    load: Load<'o>,
    /// A run for each program that has run.
    runs: BTreeMap<usize, Run>,
    budget: u64,
    pub(crate) records: Records,
    mocks: Mocks,
    read: Option<ReadFile<'o>>,
    begin: Option<BeginRun<'o>>,
    events: u64,
    last: Option<Report>,
}

/// Sees each run before its program runs first.
pub type BeginRun<'o> = Box<dyn FnMut(&mut Run) + 'o>;

/// Reads a file that an event names.
pub type ReadFile<'o> = Box<dyn FnMut(&str) -> Result<Vec<u8>, String> + 'o>;

/// What all programs of an event get alike.
enum Input {
    /// A context of plain bytes.
    Plain(Vec<u8>),
    /// What a tracepoint's record says; its layout depends on the program.
    Record,
    /// A frame.
    Frame(Vec<u8>),
    /// The fields of a struct, from the item.
    Fields,
}

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
        result.map_err(|problem| EventError { line: item.line, problem })
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
            let text: String = frame.iter().map(|b| format!("{b:02x}")).collect();
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
                self.mocks.set(name, mock, &mut self.instance)?;
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

    fn when(&self, time: Time) -> u64 {
        match time {
            Time::At(ns) => ns,
            Time::After(ns) => self.world.monotonic_ns.saturating_add(ns),
        }
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
            if result.is_err() {
                break;
            }
        }
        self.world.monotonic_ns = self.world.monotonic_ns.max(until);
        Ok(all)
    }

    /// Gives a run the world.
    fn enter(&mut self, run: &mut Run) {
        std::mem::swap(&mut self.world.memory, &mut self.memory.images);
        std::mem::swap(run.world_mut(), &mut self.world);
    }

    /// Takes it back.
    fn leave(&mut self, run: &mut Run) {
        std::mem::swap(run.world_mut(), &mut self.world);
        std::mem::swap(&mut self.world.memory, &mut self.memory.images);
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
        let order = hooks::order(item, hook);
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

    fn task_name(&self, n: usize) -> String {
        let task = &self.tasks.get(n).task;
        match task.pid == task.tgid {
            true => format!("{} {}", task.comm, task.tgid),
            false => format!("{} {}/{}", task.comm, task.tgid, task.pid),
        }
    }

    /// Makes a task the running one, and sets what else an event says of its surroundings.
    fn enter_task(&mut self, item: &Item, task: usize) -> Result<(), String> {
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

    /// What an event gives to all its programs.
    fn input(&mut self, item: &Item, hook: Option<&PacketHook>) -> Result<Input, String> {
        let types = self.types.clone();
        let btf = types.as_deref();
        let mut builder = Builder::new(&mut self.memory);
        Ok(match &item.what {
            What::Call(to, call) => match item.key {
                "fentry" | "fexit" | "fmod_ret" | "tp_btf" | "raw_tracepoint" | "lsm" | "struct_ops" => {
                    let prototype = match item.key {
                        "tp_btf" | "raw_tracepoint" => Prototype::of_tracepoint(btf, to),
                        "lsm" => Prototype::of_function(btf, &format!("bpf_lsm_{to}")),
                        "struct_ops" => self::member_prototype(self.object, btf, to),
                        _ => Prototype::of_function(btf, to),
                    };
                    let mut words = prototype.words(btf, call.args.as_ref(), &mut builder)?;
                    if matches!(item.key, "fexit" | "fmod_ret" | "lsm") {
                        words.push(prototype.returned(btf, call.ret.as_ref(), &mut builder)?);
                    }
                    Input::Plain(words.iter().flat_map(|w| w.to_ne_bytes()).collect())
                }
                key => Input::Plain(calls::registers(key, to, btf, call, &mut builder)?),
            },
            What::Tracepoint(..) => Input::Record,
            What::PerfEvent(sample) => {
                self.world.perf_event = sample.counter;
                Input::Plain(calls::sample(sample.ip, sample.sample_period, sample.addr))
            }
            What::Lirc(n, _) => Input::Plain(n.to_ne_bytes().to_vec()),
            What::Packet(text, at) => {
                let mut frame = packet::frame(text).map_err(|e| format!("packet: {e}"))?;
                if frame.len() > MAX_FRAME {
                    return Err(format!("packet: {} bytes; at most {MAX_FRAME}", frame.len()));
                }
                if let Some(name) = &at.device
                    && !self.world.devices.iter().any(|d| d.name == *name)
                {
                    // Devices get the index that comes next.
                    let index = self.world.devices.iter().map(|d| d.index).max().unwrap_or(0) + 1;
                    let device = ebpfkit_vm::Device { index, name: name.clone(), mtu: 1500, ..Default::default() };
                    self.world.devices.push(device);
                }
                if hook.is_some_and(|h| h.name == "netfilter") {
                    return self.netfilter(at, &frame);
                }
                if hook.is_some_and(|h| h.name.starts_with("sk-skb")) && !text.starts_with(['t', 'u', 'i']) {
                    // Programs see bytes of the stream; what is written in words is a packet around them.
                    frame.splice(0..0, [0; 14]);
                }
                Input::Frame(frame)
            }
            What::Syscall(..) => Input::Record,
            _ => Input::Fields,
        })
    }

    /// The structs that a netfilter program gets, around a packet.
    fn netfilter(&mut self, at: &PacketAt, frame: &[u8]) -> Result<Input, String> {
        let types = self.types.clone();
        let btf = types.as_deref().ok_or("netfilter: no types are known")?;
        let fail = |e: ebpfkit_vm::show::Mismatch| e.to_string();
        let mut builder = Builder::new(&mut self.memory);
        let skb = builder.packet_of(btf, frame).map_err(fail)?;
        let find = |name: &str| btf.find(name, Kind::Struct).ok_or_else(|| format!("no struct {name} among the types"));
        let skb = builder.pointee(btf, find("sk_buff")?, &skb).map_err(fail)?;
        let ipv6 = frame.get(12..14) == Some(&[0x86, 0xdd]);
        let mut state = vec![("pf".to_owned(), Value::Int(if ipv6 { 10 } else { 2 }))];
        for (name, value) in at.fields.iter().flatten() {
            state.push((name.clone(), value.0.clone()));
        }
        let state = Value::Struct(state);
        let state = builder.pointee(btf, find("nf_hook_state")?, &state).map_err(|e| e.inside("fields").to_string())?;
        Ok(Input::Plain([state, skb].iter().flat_map(|w| w.to_ne_bytes()).collect()))
    }

    /// The run of a program, which is loaded when it is reached first.
    fn run_of(&mut self, n: usize) -> Result<Run, String> {
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

    fn run_program(
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
            Ok(r0) => outcome::returned(&mut ran, run.program().prog_type(), r0),
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

    /// Puts an event's input into a run; the answer is the context as it was before.
    fn set_up(
        &mut self,
        item: &Item,
        hook: Option<&PacketHook>,
        n: usize,
        input: &Input,
        run: &mut Run,
    ) -> Result<Vec<u8>, String> {
        run.begin_event(0);
        match input {
            Input::Plain(bytes) => {
                run.set_ctx(bytes);
                if item.key == "usdt" {
                    self.set_usdt(item, n)?;
                }
                if let (What::Packet(text, _), Some("netfilter")) = (&item.what, hook.map(|h| h.name)) {
                    let frame = packet::frame(text).unwrap_or_default();
                    run.set_packet(frame.get(14..).unwrap_or_default());
                }
            }
            Input::Record => {
                let bytes = self.record(item, n)?;
                run.set_ctx(&bytes);
                return Ok(bytes);
            }
            Input::Frame(frame) => {
                let What::Packet(_, at) = &item.what else { return Ok(Vec::new()) };
                let index = at
                    .device
                    .as_ref()
                    .map_or(1, |name| self.world.devices.iter().find(|d| d.name == *name).map_or(1, |d| d.index));
                // Nothing is left of the packet before.
                let size = run.ctx().layout().layout().map_or(0, |l| usize::from(l.size));
                run.set_ctx(&vec![0; size]);
                run.set_ctx_field("ingress_ifindex", index.into());
                run.set_ctx_field("ifindex", index.into());
                self.enter(run);
                set_frame(run, self.object.programs[n].prog_type, Origin::Wire, frame);
                self.leave(run);
                for (name, value) in at.fields.iter().flatten() {
                    fields::set(run, name, &value.0)?;
                }
            }
            Input::Fields => self.set_fields(item, run)?,
        }
        Ok(fields::snapshot(run))
    }

    /// The context of a program whose own types say how it is laid out.
    fn record(&mut self, item: &Item, n: usize) -> Result<Vec<u8>, String> {
        let program = &self.object.programs[n];
        let own = self.object.btf.as_deref();
        let context = own.and_then(|btf| Some((btf, context_type(btf, program)?)));
        let types = self.types.clone();
        match &item.what {
            What::Tracepoint(name, record) => {
                let layout = calls::layout(name, types.as_deref(), context)?;
                calls::record(&layout, types.as_deref(), record, &mut self.memory)
            }
            What::Syscall(Typed(value), _) => {
                let Some((btf, ty)) = context else {
                    return match value {
                        Value::Pointer(0) => Ok(Vec::new()),
                        _ => Err("syscall: the program does not say what its context is; give null".into()),
                    };
                };
                let mut builder = Builder::new(&mut self.memory);
                match value {
                    Value::Pointer(0) => Ok(vec![0; btf.size_of(ty).unwrap_or(0) as usize]),
                    value => builder.bytes(btf, ty, value).map_err(|e| e.inside("syscall").to_string()),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Says to libbpf's part of a program where the arguments of a static probe are: they are constants here.
    fn set_usdt(&mut self, item: &Item, n: usize) -> Result<(), String> {
        let What::Call(_, call) = &item.what else { return Ok(()) };
        let mut builder = Builder::new(&mut self.memory);
        builder.strings = Space::User;
        let words = Prototype::default().words(None, call.args.as_ref(), &mut builder)?;
        // Specifications are found by the cookie of the link, or by the address of the probe on kernels without them.
        self.world.attach_cookie = n as u64;
        crate::maps::set_usdt(self.object, &self.instance, n as u32, &words, item.common.cookie.unwrap_or(0))
    }

    /// Contents of a map whose values are sockets, with cookies in the place of their descriptions.
    fn with_sockets(&mut self, name: &str, set: &MapSet) -> Result<MapSet, String> {
        use ebpfkit_abi::MapType as M;
        let mut set = set.clone();
        let kinds = [M::Sockmap, M::Sockhash, M::ReuseportSockarray];
        if !self.object.maps.iter().any(|m| m.name == name && kinds.contains(&m.map_type)) {
            return Ok(set);
        }
        let values = match &mut set.set {
            Some(serde_json::Value::Array(entries)) => entries.iter_mut().filter_map(|e| e.get_mut("value")).collect(),
            Some(serde_json::Value::Object(entries)) => entries.values_mut().collect(),
            _ => Vec::new(),
        };
        for value in values {
            if let Some(text) = value.as_str() {
                let (tcp, local, remote) = fields::socket(text)?;
                let number = self.socket(Some(local), remote, tcp).unwrap_or(0);
                *value = (number as u64 + 1).into();
            }
        }
        Ok(set)
    }

    /// The number of a socket of the world between two ends, which is added where it is new.
    fn socket(&mut self, local: Option<SocketAddr>, remote: Option<SocketAddr>, tcp: bool) -> Option<usize> {
        let local = local.or_else(|| remote.map(|r| SocketAddr::new(unspecified(r), 0)))?;
        let found = self.world.sockets.iter().position(|s| s.local == local && s.remote == remote && s.tcp == tcp);
        Some(found.unwrap_or_else(|| {
            let uid = self.world.task.uid;
            self.world.sockets.push(Socket { local, remote, tcp, cookie: 0, uid, mark: 0, device: 0 });
            self.world.sockets.len() - 1
        }))
    }

    /// Sets the fields of a context that is a struct.
    fn set_fields(&mut self, item: &Item, run: &mut Run) -> Result<(), String> {
        let end = |name: &str, text: &Option<String>| text.as_ref().map(|t| fields::end(name, t)).transpose();
        let size = run.ctx().layout().layout().map_or(0, |l| usize::from(l.size));
        run.set_ctx(&vec![0; size]);
        let mut more = None;
        match &item.what {
            What::Address(text, address) => {
                let to = fields::end(item.key, text)?;
                let by_key = if item.key.ends_with('4') { to.is_ipv4() } else { to.is_ipv6() };
                if !by_key {
                    return Err(format!("{}: \"{text}\" is an address of the other family", item.key));
                }
                let protocol = match (&address.protocol, item.key) {
                    (Some(p), _) => p.as_str(),
                    (None, "sendmsg4" | "sendmsg6" | "recvmsg4" | "recvmsg6") => "udp",
                    (None, _) => "tcp",
                };
                fields::set_user(run, to, protocol, address.source)?;
                let local = end("local", &address.local)?;
                // A socket stays the same whatever it is connected to; one of which nothing is said is told from others by
                // where it leads.
                self.attach(run, local, Some(to).filter(|_| local.is_none()), protocol == "tcp");
                more = address.fields.as_ref();
            }
            What::Socket(spec, _) => {
                let ipv6 = family(spec.family.as_deref())?;
                fields::set_sock(run, ipv6, spec.protocol.as_deref().unwrap_or("tcp"), None)?;
                more = spec.fields.as_ref();
            }
            What::Bound(text, spec) => {
                let bound = fields::end(item.key, text)?;
                fields::set_sock(run, bound.is_ipv6(), spec.protocol.as_deref().unwrap_or("tcp"), Some(bound))?;
                more = spec.fields.as_ref();
            }
            What::Option(name, option) => {
                let (level, number) = crate::options::find(name, option.level.as_ref())?;
                let value = crate::options::bytes(option.value.as_ref(), option.len)?;
                run.set_ctx_field("level", level as u64);
                run.set_ctx_field("optname", number as u64);
                run.set_ctx_field("optlen", option.len.map_or(value.len() as u64, u64::from));
                run.set_ctx_field("retval", option.ret.unwrap_or(0) as u64);
                run.set_option_value(&value);
                run.begin_event(option.ret.unwrap_or(0));
            }
            What::Sysctl(name, access) => {
                let bytes = |text: &String| {
                    let bytes = text.as_bytes().to_vec();
                    if bytes.len() > MAX_SYSCTL {
                        Err("sysctl: a value has at most 4096 bytes".to_owned())
                    } else {
                        Ok(bytes)
                    }
                };
                self.world.sysctl = ebpfkit_vm::Sysctl {
                    name: name.clone(),
                    current: access.current.as_ref().map(bytes).transpose()?.unwrap_or_default(),
                    new: access.write.as_ref().map(bytes).transpose()?,
                };
                run.set_ctx_field("write", access.write.is_some().into());
                run.set_ctx_field("file_pos", access.position.into());
            }
            What::Device(text, access) => {
                let (kind, major, minor) = device(text)?;
                let mut bits = 0;
                for c in access.access.chars() {
                    bits |= match c {
                        'm' => 1,
                        'r' => 2,
                        'w' => 4,
                        c => return Err(format!("access: `{c}`; expected r, w, m")),
                    };
                }
                run.set_ctx_field("access_type", bits << 16 | kind);
                run.set_ctx_field("major", major);
                run.set_ctx_field("minor", minor);
            }
            What::SockOps(op, ops) => {
                let op = crate::options::sockops(op)?;
                let (local, remote) = (end("local", &ops.local)?, end("remote", &ops.remote)?);
                run.set_ctx_field("op", op);
                run.set_ctx_field("is_fullsock", 1);
                for (n, arg) in ops.args.iter().enumerate().take(4) {
                    run.set_ctx_element("args", n, (*arg).into());
                }
                fields::set_ends(run, local, remote);
                if let Some(text) = &ops.packet {
                    let frame = packet::frame(text).map_err(|e| format!("packet: {e}"))?;
                    run.set_packet(&frame);
                    run.set_ctx_field("skb_len", frame.len() as u64);
                }
                self.attach(run, local, remote, true);
                more = ops.fields.as_ref();
            }
            What::Data(text, data) => {
                let bytes = crate::options::payload(text).map_err(|e| format!("{}: {e}", item.key))?;
                let (local, remote) = (end("local", &data.local)?, end("remote", &data.remote)?);
                let protocol = data.protocol.as_deref().unwrap_or(if item.key == "sk_msg" { "tcp" } else { "udp" });
                let (number, _) = fields::protocol(protocol)?;
                fields::set_ends(run, local, remote);
                run.set_packet(&bytes);
                for (name, value) in
                    [("size", bytes.len() as u64), ("len", bytes.len() as u64), ("ip_protocol", number)]
                {
                    run.set_ctx_field(name, value);
                }
                let ipv6 = local.or(remote).is_some_and(|e| e.is_ipv6());
                let ethertype: u16 = if ipv6 { 0x86dd } else { 0x0800 };
                run.set_ctx_field("eth_protocol", u16::from_ne_bytes(ethertype.to_be_bytes()).into());
                self.attach(run, local, remote, protocol == "tcp");
                more = data.fields.as_ref();
            }
            What::Lookup(text, data) => {
                let local = fields::end(item.key, text)?;
                let remote = end("remote", &data.remote)?;
                let protocol = data.protocol.as_deref().unwrap_or("tcp");
                fields::set_ends(run, Some(local), remote);
                run.set_ctx_field("protocol", fields::protocol(protocol)?.0);
                run.set_ctx_field("ingress_ifindex", 1);
                more = data.fields.as_ref();
            }
            _ => {}
        }
        more.into_iter().flatten().try_for_each(|(name, value)| fields::set(run, name, &value.0))
    }

    /// Makes the socket between two ends the one that the context points to.
    fn attach(&mut self, run: &mut Run, local: Option<SocketAddr>, remote: Option<SocketAddr>, tcp: bool) {
        if let Some(number) = self.socket(local, remote, tcp) {
            self.enter(run);
            attach_socket(run, number);
            self.leave(run);
        }
    }

    /// Runs an iterator's program for each element, and once more at the end.
    fn iterate(&mut self, item: &Item, n: usize, report: &mut Report) -> Result<(), String> {
        let What::Iter(kind, _) = &item.what else { return Ok(()) };
        let types = self.types.clone();
        let btf = types.as_deref();
        let mut elements = match kind.as_str() {
            "task" => {
                let mut all = Vec::new();
                for task in self.tasks.named() {
                    let mut builder = Builder::new(&mut self.memory);
                    all.push(self.tasks.address(task, btf, &mut builder).map_err(|e| e.to_string())?);
                }
                all
            }
            other => return Err(format!("iter: `{other}` has no elements here yet; expected task")),
        };
        elements.push(0);
        let meta_type = btf.and_then(|b| b.find("bpf_iter_meta", Kind::Struct));
        for (number, element) in elements.into_iter().enumerate() {
            let mut builder = Builder::new(&mut self.memory);
            let meta = match (btf, meta_type) {
                (Some(btf), Some(ty)) => {
                    let seq = builder.memory.place(vec![0; 256], Space::Kernel).map_err(|e| e.to_string())?;
                    let members = vec![
                        ("seq".to_owned(), Value::Pointer(seq)),
                        ("seq_num".to_owned(), Value::Int(number as i128)),
                    ];
                    builder.pointee(btf, ty, &Value::Struct(members)).map_err(|e| e.to_string())?
                }
                _ => 0,
            };
            let bytes: Vec<u8> = [meta, element].iter().flat_map(|w| w.to_ne_bytes()).collect();
            let ran = self.run_program(item, None, n, &mut Input::Plain(bytes))?;
            let ends = ran.fault.is_some();
            outcome::merge(&mut report.programs, ran);
            if ends {
                break;
            }
        }
        Ok(())
    }
}

fn unspecified(like: SocketAddr) -> std::net::IpAddr {
    if like.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() }
}

fn family(name: Option<&str>) -> Result<bool, String> {
    match name {
        None | Some("inet") => Ok(false),
        Some("inet6") => Ok(true),
        Some(other) => Err(format!("family: `{other}`; expected inet or inet6")),
    }
}

/// A device as `c 1:3` or `b 8:0`: kind, major and minor number.
fn device(text: &str) -> Result<(u64, u64, u64), String> {
    let wrong = || format!("cgroup_device: \"{text}\"; expected a device such as \"c 1:3\"");
    let (kind, numbers) = text.split_once(' ').ok_or_else(wrong)?;
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    let kind = match kind {
        "b" => 1,
        "c" => 2,
        _ => return Err(wrong()),
    };
    Ok((kind, major.parse().map_err(|_| wrong())?, minor.parse().map_err(|_| wrong())?))
}

/// The struct that a program's main function says it gets, in the object's types.
pub fn context_type(btf: &Btf, program: &ebpfkit_object::Program) -> Option<TypeId> {
    let func = program.func_info.iter().find(|f| f.insn == 0)?.type_id;
    let Some(Type::Func { proto, .. }) = btf.get(func) else { return None };
    let Some(Type::Ptr(to)) = btf.get(btf.resolve(btf.params(proto).next()?.ty)) else { return None };
    let ty = btf.resolve(to);
    matches!(btf.kind(ty), Some(Kind::Struct | Kind::Union)).then_some(ty)
}

/// The prototype of an operation of a struct_ops map.
fn member_prototype(object: &Object, btf: Option<&Btf>, to: &str) -> Prototype {
    let found = hooks::struct_ops(object, btf, to).first().copied();
    found.map_or_else(Prototype::default, |(map, at, _)| {
        Prototype::of_member(btf, object.maps[map].kernel_value_type, at)
    })
}
