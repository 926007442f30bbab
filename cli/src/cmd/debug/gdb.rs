//! A run served to a debugger that speaks gdb's remote protocol.
//!
//! The run stays in the main thread, and stops inside of its watcher; the protocol is spoken in another thread. What the
//! debugger asks of a run that is stopped goes to it as requests, and where it stops comes back as events.

mod target;

use crate::cmd::run::{self, Single};
use crate::end::End;
use crate::out::{note, say};
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Engine, Fault, FaultKind, Interpreter, Run};
use gdbstub::stub::{DisconnectReason, GdbStub};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use target::{Events, Target};

/// Registers of a program, `r0` to `r10`.
const REGISTERS: usize = 11;
/// Bytes of an instruction's slot.
const SLOT: u64 = 8;

/// What a debugger asks of a run that is stopped.
enum Request {
    /// So many bytes at an address.
    Read(u64, usize, Sender<Vec<u8>>),
    /// Go on to the next instruction, or until something stops it.
    Resume { step: bool },
    /// Go on without a debugger.
    Detach,
    /// End the run.
    Kill,
}

/// Where a run is.
enum Event {
    /// Before an instruction: why it stopped, its slot, and the registers.
    Stopped(Why, usize, [u64; REGISTERS]),
    /// It has ended: with this value, or by a fault.
    Ended(Option<u64>),
}

/// Why a run stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It begins, or one step is done.
    Step,
    /// A breakpoint.
    Breakpoint,
    /// The debugger interrupted it.
    Interrupt,
}

/// What both threads look at while the program runs.
#[derive(Default)]
struct Shared {
    breakpoints: Mutex<BTreeSet<u64>>,
    interrupt: AtomicBool,
}

/// The run's side.
struct Stops {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    events: Sender<Event>,
    /// The program that is debugged; others that it calls as tails run through.
    program: u32,
    /// Stop before the next instruction.
    stepping: bool,
    detached: bool,
}

impl Stops {
    /// Looks at the run before an instruction, and holds it while the debugger wants it to stand still.
    fn before(&mut self, run: &Run, slot: usize, regs: &[u64]) -> Result<(), Fault> {
        if self.detached || run.current().id() != self.program {
            return Ok(());
        }
        let at = slot as u64 * SLOT;
        let why = if std::mem::take(&mut self.stepping) {
            Why::Step
        } else if self.shared.interrupt.swap(false, Relaxed) {
            Why::Interrupt
        } else if self.shared.breakpoints.lock().unwrap_or_else(PoisonError::into_inner).contains(&at) {
            Why::Breakpoint
        } else {
            return Ok(());
        };
        let mut copy = [0; REGISTERS];
        for (to, from) in copy.iter_mut().zip(regs) {
            *to = *from;
        }
        let _ = self.events.send(Event::Stopped(why, slot, copy));
        loop {
            match self.requests.recv() {
                Ok(Request::Read(address, len, answer)) => {
                    let mut bytes = vec![0; len];
                    let found = run.peek(address, &mut bytes);
                    bytes.truncate(found);
                    let _ = answer.send(bytes);
                }
                Ok(Request::Resume { step }) => {
                    self.stepping = step;
                    return Ok(());
                }
                Ok(Request::Detach) | Err(_) => {
                    self.detached = true;
                    return Ok(());
                }
                Ok(Request::Kill) => return Err(FaultKind::Stopped.into()),
            }
        }
    }
}

/// Waits for a debugger at an address, and lets it lead the run to its end.
pub fn serve(args: &run::Args, address: &str) -> Result<End> {
    let mut single = Single::new(args, "served")?;
    // Only a run with checks knows which memory there is to read.
    single.run.set_checked(true);
    // `:1234` is this machine alone, as for gdb's own server on a local port.
    let whole = if address.starts_with(':') { format!("localhost{address}") } else { address.to_owned() };
    let listener = TcpListener::bind(&whole).with_context(|| format!("--gdb {address}"))?;
    let bound = listener.local_addr().with_context(|| format!("--gdb {address}"))?;
    let program = single.program();
    note!("{}: waiting for a debugger at {bound} (gdb: `target remote {bound}`)", program.name);
    let (connection, peer) = listener.accept().with_context(|| format!("--gdb {address}"))?;
    drop(listener);
    note!("{peer} is connected");

    let shared = Arc::new(Shared::default());
    let (to_run, requests) = channel();
    let (events, from_run) = channel();
    let texts = ebpfkit_explain::explore::Exploration::of(single.object(), program);
    let mut target = Target::new(texts, &program.insns, shared.clone(), to_run, from_run);
    let protocol = thread::spawn(move || {
        // It stops before its first instruction, which is where debuggers begin.
        if !target.wait() {
            return Ok(DisconnectReason::Disconnect);
        }
        let end = GdbStub::new(connection).run_blocking::<Events>(&mut target);
        target.let_go(matches!(end, Ok(DisconnectReason::Kill)));
        end.map_err(|e| e.to_string())
    });
    let mut stops = Stops {
        shared,
        requests,
        events: events.clone(),
        program: single.run.program().id(),
        stepping: true,
        detached: false,
    };
    single.run.set_watcher(Some(Watcher::new(move |run, slot, regs| stops.before(run, slot, regs))));
    let result = Interpreter.run(&mut single.run);
    single.run.set_watcher(None);
    let _ = events.send(Event::Ended(result.as_ref().ok().copied()));
    drop(events);
    match protocol.join() {
        Ok(Ok(_)) => {}
        Ok(Err(e)) => note!("{} the debugger's connection: {e}", paint::warning("note:")),
        Err(_) => bail!("the debugger's connection ended unexpectedly"),
    }
    let name = &single.program().name;
    match result {
        Ok(r0) => {
            say!("{name}: {}", single.returned(r0))?;
            Ok(End::Good)
        }
        Err(fault) => {
            say!("{name}: fault: {fault}")?;
            Ok(End::Bad)
        }
    }
}
