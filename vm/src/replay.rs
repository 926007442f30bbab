//! The packets of a capture, one after the other, through a program. The run's clock follows the capture's.

use crate::capture::{LinkError, Record, ethernet_frame};
use crate::helpers::{collect, run_timers};
use crate::input::{Origin, frame_after, set_frame};
use crate::{Engine, Fault, Run};
use ebpfkit_abi::ProgType;

/// Why a replay ended before its capture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A packet that no frame can be made of.
    #[error("packet {packet}: {error}")]
    Link {
        /// Number of the packet, from 1.
        packet: u64,
        /// Why.
        error: LinkError,
    },
    /// The program faulted.
    #[error("packet {packet}: {fault}")]
    Fault {
        /// Number of the packet, from 1.
        packet: u64,
        /// What the program did.
        fault: Fault,
    },
}

/// A run that is given the packets of a capture, whoever reads them.
pub struct Feed<'r> {
    run: &'r mut Run,
    engine: &'r dyn Engine,
    kind: ProgType,
    /// The world's clock at the first packet, and the first packet's time.
    start: u64,
    first_time: Option<u64>,
    packets: u64,
}

/// A packet that a program has seen.
pub struct Replayed<'s> {
    /// Number of the packet, from 1.
    pub packet: u64,
    /// What the capture says of it.
    pub record: Record,
    /// The frame that the program was given.
    pub before: &'s [u8],
    /// The program's return value.
    pub retval: u32,
    /// The run as the program left it.
    pub run: &'s mut Run,
    kind: ProgType,
}

impl Replayed<'_> {
    /// The frame as the program left it; see [`frame_after`].
    pub fn after<'a>(&'a self, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        frame_after(self.run, self.kind, Origin::Wire, self.before, buffer)
    }
}

impl<'r> Feed<'r> {
    /// Gets ready to run the run's program on packets.
    pub fn new(run: &'r mut Run, engine: &'r dyn Engine) -> Self {
        let (kind, start) = (run.program().prog_type(), run.world().monotonic_ns);
        Self { run, engine, kind, start, first_time: None, packets: 0 }
    }

    /// Says when the capture's first packet came, where another run gets that.
    pub fn set_first_time(&mut self, time_ns: u64) {
        self.first_time = Some(time_ns);
    }

    /// Packets that ran to the end so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The run.
    pub fn run(&self) -> &Run {
        self.run
    }

    /// Runs the program on a packet, which is an Ethernet frame.
    #[inline]
    pub fn packet<'s>(&'s mut self, record: Record, frame: &'s [u8]) -> Result<Replayed<'s>, ReplayError> {
        let packet = record.number;
        set_frame(self.run, self.kind, Origin::Wire, frame);
        let first = *self.first_time.get_or_insert(record.time_ns);
        let now = self.start + record.time_ns.saturating_sub(first);
        if !self.run.state().timers.is_empty() {
            run_timers(self.run, now).map_err(|fault| ReplayError::Fault { packet, fault })?;
        }
        self.run.set_time(now);
        let result = self.engine.run(self.run);
        collect(self.run);
        let retval = match result {
            Ok(r0) => r0 as u32,
            Err(fault) => return Err(ReplayError::Fault { packet, fault }),
        };
        self.packets += 1;
        Ok(Replayed { packet, record, before: frame, retval, run: self.run, kind: self.kind })
    }
}

/// The Ethernet frame of a captured packet; see [`ethernet_frame`].
#[inline]
pub fn framed<'a>(record: Record, data: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8], ReplayError> {
    let packet = record.number;
    ethernet_frame(record.link_type, data, buffer).map_err(|error| ReplayError::Link { packet, error })
}
