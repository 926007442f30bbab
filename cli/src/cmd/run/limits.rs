//! What ends a run from outside: the user's patience, as `--timeout` or Ctrl-C.

use crate::end::End;
use crate::files;
use ebpfkit_vm::{FaultKind, Run, StopHandle};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How a shell calls the end by Ctrl-C.
const INTERRUPTED_EXIT: i32 = 130;
/// How often somebody who waits looks up.
const TICK: Duration = Duration::from_millis(100);
/// Bytes read at once from a live source.
const CHUNK: usize = 1 << 16;

/// Reads the argument of `--timeout`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()).ok_or_else(|| "expected more than 0".into())
}

/// Why a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// The time is used up.
    Timeout,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted",
            Self::Timeout => "the time limit is reached",
        })
    }
}

impl Stop {
    /// The reason behind what a run says, if it is one.
    pub fn of(kind: &FaultKind) -> Option<Self> {
        match kind {
            FaultKind::Stopped => Some(Self::Interrupted),
            FaultKind::TimedOut => Some(Self::Timeout),
            _ => None,
        }
    }

    /// How the command ends.
    pub fn end(self) -> End {
        End::Bad
    }
}

/// What may end the runs of this process.
#[derive(Clone)]
pub struct Limits {
    stop: StopHandle,
    deadline: Option<Instant>,
}

impl Limits {
    /// Limits that runs are given; the first Ctrl-C stops those, the second one ends the process.
    pub fn new(timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let stop = StopHandle::default();
        let handle = stop.clone();
        // Where there are no signals, Ctrl-C does what it always does.
        let _ = ctrlc::set_handler(move || {
            if handle.is_stopped() {
                files::remove_unfinished();
                std::process::exit(INTERRUPTED_EXIT);
            }
            handle.stop();
        });
        Self { stop, deadline }
    }

    /// Gives a run its time, and lets it be stopped.
    pub fn give(&self, run: &mut Run) {
        run.set_deadline(self.deadline);
        run.set_stop_handle(self.stop.clone());
    }

    /// Limits for these runs.
    pub fn set<'r>(runs: impl IntoIterator<Item = &'r mut Run>, timeout: Option<Duration>) -> Self {
        let this = Self::new(timeout);
        runs.into_iter().for_each(|run| this.give(run));
        this
    }

    /// Why to end now, if so.
    #[inline]
    pub fn reached(&self) -> Option<Stop> {
        if self.stop.is_stopped() {
            return Some(Stop::Interrupted);
        }
        self.deadline.filter(|d| Instant::now() >= *d).map(|_| Stop::Timeout)
    }
}

/// How many chunks of a live source have come and are not read yet.
#[derive(Clone, Default)]
pub struct Pending(Arc<AtomicUsize>);

impl Pending {
    /// Whether there are none, so that reading may have to wait.
    pub fn is_empty(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

/// A source that may have nothing to say for a while, such as a pipe; it ends when a limit is reached.
pub struct Live {
    pending: Pending,
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    limits: Limits,
}

impl Live {
    /// Reads from a source in a thread of its own.
    pub fn new(mut source: impl Read + Send + 'static, limits: Limits) -> Self {
        let (to, chunks) = sync_channel(16);
        let pending = Pending::default();
        let come = pending.clone();
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let result = source.read(&mut chunk).map(|n| {
                    chunk.truncate(n);
                    chunk
                });
                let ends = !matches!(&result, Ok(chunk) if !chunk.is_empty());
                come.0.fetch_add(1, Relaxed);
                if to.send(result).is_err() || ends {
                    return;
                }
            }
        });
        Self { pending, chunks, chunk: io::Cursor::default(), limits }
    }

    /// What has come and is not read yet.
    pub fn pending(&self) -> Pending {
        self.pending.clone()
    }
}

impl Read for Live {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.chunk.read(into)?;
            if n != 0 || into.is_empty() {
                return Ok(n);
            }
            if self.limits.reached().is_some() {
                return Ok(0);
            }
            match self.chunks.recv_timeout(TICK) {
                Ok(chunk) => {
                    self.pending.0.fetch_sub(1, Relaxed);
                    self.chunk = io::Cursor::new(chunk?);
                    if self.chunk.get_ref().is_empty() {
                        return Ok(0);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
