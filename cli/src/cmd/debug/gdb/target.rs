//! What the protocol's library asks of a program: registers, memory, breakpoints, steps.

use super::{Event, REGISTERS, Request, SLOT, Shared, Why};
use ebpfkit_explain::explore::Exploration;
use ebpfkit_isa::Insn;
use gdbstub::arch::{Arch, RegId, Registers};
use gdbstub::common::Signal;
use gdbstub::conn::ConnectionExt;
use gdbstub::outputln;
use gdbstub::stub::SingleThreadStopReason;
use gdbstub::stub::run_blocking::{self, WaitForStopReasonError};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::base::singlethread::{
    SingleThreadBase, SingleThreadResume, SingleThreadResumeOps, SingleThreadSingleStep, SingleThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{Breakpoints, BreakpointsOps, SwBreakpoint, SwBreakpointOps};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::{self, TargetError, TargetResult};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, atomic::Ordering::Relaxed};
use std::time::Duration;

/// How often a program that runs is asked whether it has stopped, and the debugger whether it has something to say.
const TICK: Duration = Duration::from_millis(5);

/// BPF as debuggers know it: `r0` to `r10`, then `pc`, of 64 bits each.
#[derive(Debug)]
pub enum Bpf {}

/// The registers of a stopped program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BpfRegisters {
    regs: [u64; REGISTERS],
    pc: u64,
}

impl Registers for BpfRegisters {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        self.pc
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        for value in self.regs.iter().chain([&self.pc]) {
            value.to_le_bytes().into_iter().for_each(|b| write_byte(Some(b)));
        }
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let mut values = bytes.chunks_exact(8).map(|b| b.try_into().map(u64::from_le_bytes));
        for to in self.regs.iter_mut().chain([&mut self.pc]) {
            *to = values.next().ok_or(())?.map_err(|_| ())?;
        }
        Ok(())
    }
}

/// A register by its number.
#[derive(Clone, Copy, Debug)]
pub struct BpfRegister(usize);

impl RegId for BpfRegister {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        (id <= REGISTERS).then(|| (Self(id), NonZeroUsize::new(8)))
    }

    fn to_raw_id(&self) -> Option<usize> {
        Some(self.0)
    }
}

impl Arch for Bpf {
    type Usize = u64;
    type Registers = BpfRegisters;
    type BreakpointKind = usize;
    type RegId = BpfRegister;

    fn target_description_xml() -> Option<&'static str> {
        Some(include_str!("target.xml"))
    }
}

/// A program that a debugger leads.
pub struct Target {
    texts: Exploration,
    code: Vec<u8>,
    shared: Arc<Shared>,
    requests: Sender<Request>,
    events: Receiver<Event>,
    at: BpfRegisters,
    has_ended: bool,
}

impl Target {
    pub fn new(
        texts: Exploration,
        insns: &[Insn],
        shared: Arc<Shared>,
        requests: Sender<Request>,
        events: Receiver<Event>,
    ) -> Self {
        let code = insns.iter().flat_map(|i| i.to_bytes(ebpfkit_isa::Endian::Little)).collect();
        Self { texts, code, shared, requests, events, at: BpfRegisters::default(), has_ended: false }
    }

    /// Waits for the first stop; whether there is one.
    pub fn wait(&mut self) -> bool {
        self.events.recv().is_ok_and(|event| !matches!(self.take(event), SingleThreadStopReason::Exited(_)))
    }

    /// Lets the program end, with its last instruction or here.
    pub fn let_go(&self, kill: bool) {
        let _ = self.requests.send(if kill { Request::Kill } else { Request::Detach });
        self.shared.breakpoints.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What an event is to a debugger.
    fn take(&mut self, event: Event) -> SingleThreadStopReason<u64> {
        match event {
            Event::Stopped(why, slot, regs) => {
                self.at = BpfRegisters { regs, pc: slot as u64 * SLOT };
                match why {
                    Why::Step => SingleThreadStopReason::DoneStep,
                    Why::Breakpoint => SingleThreadStopReason::SwBreak(()),
                    Why::Interrupt => SingleThreadStopReason::Signal(Signal::SIGINT),
                }
            }
            Event::Ended(result) => {
                self.has_ended = true;
                match result {
                    // A process has eight bits to say how it ended.
                    Some(r0) => SingleThreadStopReason::Exited(r0 as u8),
                    None => SingleThreadStopReason::Terminated(Signal::SIGSEGV),
                }
            }
        }
    }

    fn resume(&self, step: bool) -> Result<(), String> {
        self.requests.send(Request::Resume { step }).map_err(|_| "the run has ended".to_owned())
    }

    /// The instruction where the program stands, and its line.
    fn location(&self) -> String {
        let slot = (self.at.pc / SLOT) as usize;
        let Some(row) = self.texts.insns.get(slot) else { return format!("instruction {slot}") };
        let insn = format!("instruction {slot}: {}", row.text);
        match row.line.and_then(|l| self.texts.lines.get(l)) {
            Some(line) => {
                let file = self.texts.files.get(line.0).map_or("", String::as_str);
                format!("{file}:{}: {}\n{insn}", line.1, line.2.trim())
            }
            None => insn,
        }
    }
}

impl target::Target for Target {
    type Arch = Bpf;
    type Error = String;

    fn base_ops(&mut self) -> BaseOps<'_, Bpf, String> {
        BaseOps::SingleThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadBase for Target {
    fn read_registers(&mut self, regs: &mut BpfRegisters) -> TargetResult<(), Self> {
        *regs = self.at.clone();
        Ok(())
    }

    fn write_registers(&mut self, _: &BpfRegisters) -> TargetResult<(), Self> {
        // The program was verified with the values that it computes itself.
        Err(TargetError::NonFatal)
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, (), Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8]) -> TargetResult<usize, Self> {
        // Instructions stand at zero, where no program has memory.
        if let Some(code) = usize::try_from(start).ok().and_then(|s| self.code.get(s..)).filter(|c| !c.is_empty()) {
            let len = code.len().min(data.len());
            data[..len].copy_from_slice(&code[..len]);
            return Ok(len);
        }
        if self.has_ended {
            return Err(TargetError::NonFatal);
        }
        let (answer, bytes) = channel();
        self.requests.send(Request::Read(start, data.len(), answer)).map_err(|_| TargetError::NonFatal)?;
        match bytes.recv() {
            Ok(bytes) if !bytes.is_empty() => {
                data[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            _ => Err(TargetError::NonFatal),
        }
    }

    fn write_addrs(&mut self, _: u64, _: &[u8]) -> TargetResult<(), Self> {
        Err(TargetError::NonFatal)
    }

    fn support_resume(&mut self) -> Option<SingleThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleRegisterAccess<()> for Target {
    fn read_register(&mut self, (): (), reg: BpfRegister, buf: &mut [u8]) -> TargetResult<usize, Self> {
        let value = self.at.regs.get(reg.0).copied().unwrap_or(self.at.pc);
        buf.get_mut(..8).ok_or(TargetError::NonFatal)?.copy_from_slice(&value.to_le_bytes());
        Ok(8)
    }

    fn write_register(&mut self, (): (), _: BpfRegister, _: &[u8]) -> TargetResult<(), Self> {
        Err(TargetError::NonFatal)
    }
}

impl SingleThreadResume for Target {
    fn resume(&mut self, _: Option<Signal>) -> Result<(), String> {
        Self::resume(self, false)
    }

    fn support_single_step(&mut self) -> Option<SingleThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadSingleStep for Target {
    fn step(&mut self, _: Option<Signal>) -> Result<(), String> {
        Self::resume(self, true)
    }
}

impl Breakpoints for Target {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Target {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        let is_insn = address.is_multiple_of(SLOT) && address < self.code.len() as u64;
        if is_insn {
            self.shared.breakpoints.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
        }
        Ok(is_insn)
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.shared.breakpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&address))
    }
}

impl MonitorCmd for Target {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), String> {
        match String::from_utf8_lossy(command).trim() {
            "" | "line" => outputln!(out, "{}", self.location()),
            other => outputln!(out, "no command `{other}`: `monitor line` says which line comes next"),
        }
        Ok(())
    }
}

/// Waits for the program and for the debugger.
pub enum Events {}

type Failure = WaitForStopReasonError<String, std::io::Error>;

impl run_blocking::BlockingEventLoop for Events {
    type Target = Target;
    type Connection = TcpStream;
    type StopReason = SingleThreadStopReason<u64>;

    fn wait_for_stop_reason(
        target: &mut Target,
        connection: &mut TcpStream,
    ) -> Result<run_blocking::Event<Self::StopReason>, Failure> {
        loop {
            match target.events.recv_timeout(TICK) {
                Ok(event) => return Ok(run_blocking::Event::TargetStopped(target.take(event))),
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(run_blocking::Event::TargetStopped(SingleThreadStopReason::Terminated(Signal::SIGKILL)));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if ConnectionExt::peek(connection).map_err(WaitForStopReasonError::Connection)?.is_some() {
                let byte = ConnectionExt::read(connection).map_err(WaitForStopReasonError::Connection)?;
                return Ok(run_blocking::Event::IncomingData(byte));
            }
        }
    }

    fn on_interrupt(target: &mut Target) -> Result<Option<Self::StopReason>, String> {
        // The program says itself where it has stopped.
        target.shared.interrupt.store(true, Relaxed);
        let event = target.events.recv().map_err(|_| "the run has ended".to_owned())?;
        Ok(Some(target.take(event)))
    }
}
