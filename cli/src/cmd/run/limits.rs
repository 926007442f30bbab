//! What ends a run from outside: the user's patience, as `--timeout` or Ctrl-C.

use crate::end::End;
use crate::files;
use crate::out::{self, note};
use crate::paint;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How a shell calls the end by Ctrl-C.
const INTERRUPTED_EXIT: i32 = 130;
/// How long a run that does not look at the clock goes on after its time.
const GRACE: Duration = Duration::from_millis(500);
/// How often somebody who waits looks up.
const TICK: Duration = Duration::from_millis(100);
/// Bytes read at once from a live source.
const CHUNK: usize = 1 << 16;

/// Set by the first Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

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
    Timeout(Duration),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Timeout(time) => write!(f, "the time of {} s is used up", time.as_secs_f64()),
        }
    }
}

impl Stop {
    /// How the command ends.
    pub fn end(self) -> End {
        End::Bad
    }
}

/// The limits of this process.
pub struct Limits {
    start: Instant,
    timeout: Option<Duration>,
}

impl Limits {
    /// Starts the clock. From now on the first Ctrl-C is noticed, and the second one ends the process; with `at_once`
    /// the first one does, as there is nothing to be told of half a run. One that does not come back in time is ended
    /// with the process too; `json` says how to report it.
    pub fn start(timeout: Option<Duration>, json: bool, at_once: bool) -> Self {
        // Where there are no signals, Ctrl-C does what it always does.
        let _ = ctrlc::set_handler(move || {
            if INTERRUPTED.swap(true, Relaxed) {
                files::remove_unfinished();
                std::process::exit(INTERRUPTED_EXIT);
            }
            if at_once {
                give_up(Stop::Interrupted, json);
            }
        });
        if let Some(time) = timeout {
            thread::spawn(move || {
                thread::sleep(time.saturating_add(GRACE));
                give_up(Stop::Timeout(time), json);
            });
        }
        Self { start: Instant::now(), timeout }
    }

    /// Why to end now, if so.
    #[inline]
    pub fn reached(&self) -> Option<Stop> {
        if INTERRUPTED.load(Relaxed) {
            return Some(Stop::Interrupted);
        }
        self.timeout.filter(|time| self.start.elapsed() >= *time).map(Stop::Timeout)
    }
}

/// Ends the process while a program still runs.
fn give_up(stop: Stop, json: bool) {
    if json {
        let _ = out::json(&serde_json::json!({ "fault": { "message": stop.to_string() } }));
    }
    note!("{}: {stop}", paint::error("stopped"));
    files::remove_unfinished();
    std::process::exit(stop.end() as i32);
}

/// A source that may have nothing to say for a while, such as a pipe; it ends at Ctrl-C.
pub struct Live {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Live {
    /// Reads from a source in a thread of its own.
    pub fn new(mut source: impl Read + Send + 'static) -> Self {
        let (to, chunks) = sync_channel(16);
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let result = source.read(&mut chunk).map(|n| {
                    chunk.truncate(n);
                    chunk
                });
                let ends = !matches!(&result, Ok(chunk) if !chunk.is_empty());
                if to.send(result).is_err() || ends {
                    return;
                }
            }
        });
        Self { chunks, chunk: io::Cursor::default() }
    }
}

impl Read for Live {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.chunk.read(into)?;
            if n != 0 || into.is_empty() {
                return Ok(n);
            }
            if INTERRUPTED.load(Relaxed) {
                return Ok(0);
            }
            match self.chunks.recv_timeout(TICK) {
                Ok(chunk) => {
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
