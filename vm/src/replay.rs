//! The packets of a capture, one after the other, through a program: as a stream, so that memory does not grow with the
//! capture. The run's clock follows the capture's.

use crate::capture::{CaptureError, LinkError, Reader, Record, ethernet_frame};
use crate::helpers::{collect, run_timers};
use crate::input::{Origin, frame_after, set_frame};
use crate::{Engine, Fault, Run};
use ebpfkit_abi::ProgType;

/// Why a replay ended before its capture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The capture cannot be read any further.
    #[error(transparent)]
    Capture(#[from] CaptureError),
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

/// A capture on its way through a program.
pub struct Replay<'r, 'c> {
    run: &'r mut Run,
    engine: &'r dyn Engine,
    kind: ProgType,
    reader: Reader<'c>,
    /// A frame that was put together.
    frame: Vec<u8>,
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

impl<'r, 'c> Replay<'r, 'c> {
    /// Gets ready to run the run's program on every packet.
    pub fn new(run: &'r mut Run, engine: &'r dyn Engine, reader: Reader<'c>) -> Self {
        let (kind, start) = (run.program().prog_type(), run.world().monotonic_ns);
        Self { run, engine, kind, reader, frame: Vec::new(), start, first_time: None, packets: 0 }
    }

    /// The capture.
    pub fn reader(&self) -> &Reader<'c> {
        &self.reader
    }

    /// Packets that ran to the end so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Runs the program on the next packet; `None` at the capture's end.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "what it lends ends with the next call")]
    pub fn next(&mut self) -> Result<Option<Replayed<'_>>, ReplayError> {
        let Some((record, data)) = self.reader.next()? else { return Ok(None) };
        let packet = record.number;
        let before = ethernet_frame(record.link_type, data, &mut self.frame)
            .map_err(|error| ReplayError::Link { packet, error })?;
        set_frame(self.run, self.kind, Origin::Wire, before);
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
        Ok(Some(Replayed { packet, record, before, retval, run: self.run, kind: self.kind }))
    }
}
