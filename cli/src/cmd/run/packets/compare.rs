//! The packets of a capture through the running kernel (`BPF_PROG_TEST_RUN`): alone, or beside an engine of ours, which
//! then gets its input as the kernel does, and what they do differently.

use super::results::{Difference, Ended, Kept, PacketResult, Sink, Taking, left, line};
use super::{Source, finish, stream};
use crate::cmd::run::engine::make;
use crate::cmd::run::in_kernel::{Ready, ready};
use crate::cmd::run::limits::Limits;
use crate::cmd::run::load::Loaded;
use crate::cmd::run::{Args, Chosen, no_kernel, print};
use crate::end::End;
use crate::files;
use crate::out::{self, note, say};
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::ctx::{Context as Fields, context_of};
use ebpfkit_abi::{Errno, ProgType, retval_name};
use ebpfkit_kernel::{Kernel, KernelError, LoadedProgram, TestRun, machine};
use ebpfkit_vm::capture::Record;
use ebpfkit_vm::helpers::collect;
use ebpfkit_vm::input::{context_for, output, set_input, takes_packet, unwrap_frame};
use ebpfkit_vm::replay::framed;
use ebpfkit_vm::{Engine, Lost, Run, hex};
use std::io::Write;
use std::path::Path;

/// Differences that are printed for people; more are counted.
const MAX_PRINTED: u64 = 100;
/// Differing bytes of a packet that are printed, and the places where they are looked for.
const MAX_BYTES: usize = 32;
const MAX_PLACES: usize = 4;

/// What a run gave.
#[derive(Default)]
struct Gave {
    retval: u32,
    data: Vec<u8>,
    ctx: Vec<u8>,
    events: Vec<ebpfkit_vm::Event>,
}

/// An engine of ours that runs beside the kernel.
struct Beside {
    run: Run,
    engine: &'static dyn Engine,
    /// The world's clock at the first packet, and that packet's time.
    start: u64,
    first_time: Option<u64>,
}

impl Beside {
    fn packet(&mut self, record: Record, frame: &[u8], ctx: &[u8]) -> Result<Result<Gave, Errno>, Ended> {
        let run = &mut self.run;
        let first = *self.first_time.get_or_insert(record.time_ns);
        run.set_time(self.start + record.time_ns.saturating_sub(first));
        // Nothing is left of the packet before.
        let size = run.ctx().layout().layout().map_or(0, |l| usize::from(l.size));
        run.set_ctx(&vec![0; size]);
        if let Err(e) = set_input(run, Some(frame), ctx) {
            return Ok(Err(e.errno()));
        }
        let result = self.engine.run(run);
        collect(run);
        match result {
            Ok(r0) => {
                let (data, ctx) = output(run, ctx);
                Ok(Ok(Gave { retval: r0 as u32, data, ctx, events: run.take_events() }))
            }
            Err(fault) => Err(match crate::cmd::run::limits::Stop::of(&fault.kind) {
                Some(stop) => Ended::Stopped(stop),
                None => Ended::Fault { packet: record.number, program: run.current().name().to_owned(), fault },
            }),
        }
    }
}

/// Runs the program once for each packet in the kernel, and in `beside` too where there is one.
pub fn run(args: &Args, chosen: &Chosen, beside: Option<Loaded>, path: &Path) -> Result<End> {
    let prepared = &chosen.prepared;
    let kind = prepared.object.programs[chosen.index].prog_type;
    if !takes_packet(kind) {
        bail!("{kind} programs take no packet");
    }
    let Ready { kernel, session, loaded } = match ready(args, chosen)? {
        Ok(ready) => ready,
        Err(end) => return Ok(end),
    };
    let user_ctx = args.ctx_in.as_deref().map(files::read).transpose()?.unwrap_or_default();
    let taking = Taking::of(args, kind)?;
    // Values of per-CPU maps can be compared where both run on one CPU.
    let cpu = (0..machine::possible_cpus()).find(|cpu| machine::stay_on_cpu(*cpu));
    let (mut ours, instance) = match beside {
        Some(loaded) => {
            let mut world = chosen.world.clone();
            world.cpu = cpu.unwrap_or(world.cpu);
            let start = world.monotonic_ns;
            let mut run = Run::new(&loaded.program, world);
            run.set_budget(args.budget);
            if args.checked {
                run.set_checked(true);
            }
            let engine = make(args.engine, &run)?;
            (Some(Beside { run, engine, start, first_time: None }), Some(loaded.instance))
        }
        None => (None, None),
    };
    let limits = Limits::set(ours.iter_mut().map(|o| &mut o.run), args.timeout);
    let mut source = Source::open(args, path, &limits)?;
    let mut sink = Sink::open(args, source.pending.is_some() || out::is_watched())?;
    let mut each =
        Each { taking: &taking, kind, kernel, loaded: &loaded, user_ctx: &user_ctx, refused: 0, differences: 0 };
    let mut streamed = stream(&mut source, &mut sink, &limits, |source, sink| {
        let mut buffer = Vec::new();
        loop {
            let next = source.reader.next().map_err(|e| Ended::Error(e.into()))?;
            let Some((record, data)) = next else { return Ok(()) };
            let frame = framed(record, data, &mut buffer).map_err(|e| Ended::Error(e.into()))?;
            each.packet(record, frame, ours.as_mut(), sink)?;
            source.progress(sink.packets);
            if let Some(stop) = limits.reached() {
                return Err(Ended::Stopped(stop));
            }
        }
    })?;
    let in_kernel = print::Maps::in_kernel(args, prepared, &session);
    let here = instance.as_ref().map(|instance| print::Maps::of(args, prepared, instance));
    if let Some(here) = &here {
        // What ran in one of them alone tells nothing.
        if streamed.ended.is_none() {
            for (what, here, kernel) in here.differences(&in_kernel) {
                each.differences += 1;
                if each.differences <= MAX_PRINTED && !args.json {
                    say!("{what}: {here}, in the kernel {kernel}")?;
                }
            }
        }
        if each.differences > MAX_PRINTED {
            note!("{} the first {MAX_PRINTED} differences are shown", paint::warning("note:"));
        }
    }
    streamed.refused = each.refused;
    streamed.differences = ours.as_ref().map(|_| each.differences);
    streamed.lost = ours.as_ref().map_or(Lost::default(), |o| o.run.state().lost);
    finish(args, prepared, (kind, here.as_ref().unwrap_or(&in_kernel)), path, sink, streamed, || Ok(()))
}

/// What is done with each packet.
struct Each<'a> {
    taking: &'a Taking,
    kind: ProgType,
    kernel: Kernel,
    loaded: &'a LoadedProgram,
    /// The context that the user gives.
    user_ctx: &'a [u8],
    refused: u64,
    differences: u64,
}

impl Each<'_> {
    fn packet(
        &mut self,
        record: Record,
        frame: &[u8],
        ours: Option<&mut Beside>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Ended> {
        let ctx = context_for(self.kind, self.user_ctx, frame);
        let here = ours.map(|ours| ours.packet(record, frame, &ctx)).transpose()?;
        let needs_output = here.is_some() || self.taking.keeps() || self.taking.tells();
        let kernel = self.in_kernel(frame, &ctx, needs_output).map_err(Ended::Error)?;
        let differences = match (&here, &kernel) {
            (Some(Ok(here)), Ok(kernel)) => self.compare(here, kernel),
            (Some(Ok(here)), Err(e)) => vec![Difference::new("error", self.value(here.retval), e.name())],
            (Some(Err(e)), Ok(kernel)) => vec![Difference::new("error", e.name(), self.value(kernel.retval))],
            (Some(Err(here)), Err(kernel)) if here != kernel => {
                vec![Difference::new("error", here.name(), kernel.name())]
            }
            _ => Vec::new(),
        };
        let before = self.differences;
        self.differences += differences.len() as u64;
        let result = here.unwrap_or(kernel);
        let told = self.tell(record, frame, &result, &differences, before, sink).and_then(|()| sink.shown());
        told.context(out::STDOUT).map_err(Ended::Error)?;
        let Ok(mut gave) = result else {
            self.refused += 1;
            return Ok(());
        };
        sink.count(gave.retval);
        if let Some(keep) = self.taking.keep(gave.retval) {
            if self.kind == ProgType::Netfilter {
                // Programs change no packet, and none comes back.
                gave.data = frame.to_vec();
            }
            let meta = unwrap_frame(self.kind, frame, &mut gave.data, &gave.ctx);
            let record = left(record, frame.len(), gave.data.len());
            let kept = gave.data.len().min(keep);
            sink.write(&Kept { record, frame: &gave.data[..kept], meta: &meta }).map_err(Ended::Error)?;
        }
        Ok(())
    }

    /// Runs it in the kernel; the inner error is why the kernel does not take this packet.
    fn in_kernel(&self, frame: &[u8], ctx: &[u8], wants_output: bool) -> Result<Result<Gave, Errno>> {
        let mut test = TestRun::of(self.kind, Some(frame), ctx, 1);
        test.wants_output &= wants_output;
        match self.kernel.test_run(self.loaded, &test) {
            Ok(result) => {
                Ok(Ok(Gave { retval: result.retval, data: result.data, ctx: result.ctx, events: Vec::new() }))
            }
            Err(KernelError::Call { errno, .. }) => Ok(Err(Errno(errno))),
            Err(e) => Err(no_kernel(e)),
        }
    }

    fn value(&self, retval: u32) -> String {
        retval_name(self.kind, retval).map_or_else(|| retval.to_string(), str::to_owned)
    }

    fn compare(&self, here: &Gave, kernel: &Gave) -> Vec<Difference> {
        let mut all = Vec::new();
        if here.retval != kernel.retval {
            all.push(Difference::new("retval", self.value(here.retval), self.value(kernel.retval)));
        }
        packet_differences(&here.data, &kernel.data, &mut all);
        if let Some(Fields::Fields { layout, .. }) = context_of(self.kind) {
            for field in layout.fields {
                let range = usize::from(field.offset)..usize::from(field.offset + field.bytes());
                let (Some(a), Some(b)) = (here.ctx.get(range.clone()), kernel.ctx.get(range)) else { continue };
                if a != b {
                    all.push(Difference::new(field.name, number(a), number(b)));
                }
            }
        }
        all
    }

    fn tell(
        &self,
        record: Record,
        frame: &[u8],
        result: &Result<Gave, Errno>,
        differences: &[Difference],
        before: u64,
        sink: &mut Sink<'_>,
    ) -> std::io::Result<()> {
        let (packet, len) = (record.number, frame.len());
        if sink.json() {
            let mut told = PacketResult { packet, len, differences, ..PacketResult::default() };
            match result {
                Ok(gave) => {
                    told.retval = Some(gave.retval);
                    told.name = retval_name(self.kind, gave.retval);
                    told.events = gave.events.iter().map(print::JsonEvent::from).collect();
                    let meta = unwrap_frame(self.kind, frame, &mut gave.data.clone(), &gave.ctx);
                    told.meta = Some(meta).filter(|m| !m.is_empty()).map(|m| hex::encode(&m));
                }
                Err(e) => told.error = Some(e.name().to_owned()),
            }
            return line(&mut sink.lines, &told);
        }
        match result {
            Ok(gave) if self.taking.tells() => {
                self.taking.verbose_line(packet, len, gave.retval, &mut sink.lines)?;
            }
            Err(e) if self.taking.tells() => writeln!(sink.lines, "{packet:6}  {len:5} bytes  not run: {}", e.name())?,
            _ => {}
        }
        if let Ok(gave) = result {
            gave.events.iter().try_for_each(|e| print::event(&mut sink.lines, e))?;
        }
        let shown = usize::try_from(MAX_PRINTED.saturating_sub(before)).unwrap_or(usize::MAX);
        for Difference { what, here, kernel } in differences.iter().take(shown) {
            writeln!(sink.lines, "packet {packet}, {what}: {here}, in the kernel {kernel}")?;
        }
        Ok(())
    }
}

/// A number of the context, or its bytes where there are many.
fn number(bytes: &[u8]) -> String {
    let mut word = [0; 8];
    match word.get_mut(..bytes.len()) {
        Some(part) => {
            part.copy_from_slice(bytes);
            u64::from_le_bytes(word).to_string()
        }
        None => hex::encode(bytes),
    }
}

/// Where two packets differ.
fn packet_differences(here: &[u8], kernel: &[u8], all: &mut Vec<Difference>) {
    if here.len() != kernel.len() {
        all.push(Difference::new("packet", format!("{} bytes", here.len()), format!("{} bytes", kernel.len())));
        return;
    }
    let (mut at, mut places) = (0, 0);
    while at < here.len() && places < MAX_PLACES {
        let len = here[at..].iter().zip(&kernel[at..]).take_while(|(a, b)| a != b).count();
        if len > 0 {
            let end = at + len.min(MAX_BYTES);
            let what = format!("byte {at} of the packet");
            all.push(Difference::new(what, hex::encode(&here[at..end]), hex::encode(&kernel[at..end])));
            places += 1;
        }
        at += len + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_are_named() {
        let mut all = Vec::new();
        packet_differences(&[1, 2, 3, 4, 5], &[1, 9, 9, 4, 0], &mut all);
        let expected = [
            Difference::new("byte 1 of the packet", "0203", "0909"),
            Difference::new("byte 4 of the packet", "05", "00"),
        ];
        assert_eq!(all, expected);
        all.clear();
        packet_differences(&[1], &[1, 2], &mut all);
        assert_eq!(all, [Difference::new("packet", "1 bytes", "2 bytes")]);
        all.clear();
        packet_differences(&[0; 1000], &[1; 1000], &mut all);
        assert_eq!((all.len(), all[0].here.len()), (1, 2 * MAX_BYTES));
    }

    #[test]
    fn fields_are_numbers() {
        assert_eq!((number(&[1, 2]), number(&[0; 9])), ("513".into(), "00".repeat(9)));
    }
}
