//! The output streams of a program.

use crate::helpers::cx::{self, Ret};
use crate::helpers::{Row, events, format};
use crate::{Errno, Event, Run};

pub(super) const ROWS: &[Row] = &[int!("bpf_stream_vprintk", vprintk), int!("bpf_stream_vprintk_impl", vprintk)];

/// Numbers of the streams that a program has: standard output and standard error (`BPF_STDOUT`, `BPF_STDERR`).
const STREAMS: std::ops::RangeInclusive<u32> = 1..=2;

fn vprintk(run: &mut Run, [stream, fmt, args, len, _]: [u64; 5]) -> Ret {
    let stream = stream as u32;
    if !STREAMS.contains(&stream) {
        return cx::fail(Errno::ENOENT);
    }
    let args = match format::array(run, args, len)? {
        Ok(args) => args,
        Err(errno) => return cx::fail(errno),
    };
    let fmt = format::terminated(run, fmt)?;
    match format::line(run, &fmt, &args) {
        Ok(text) => {
            events::emit(run, Event::Stream { stream, text: String::from_utf8_lossy(&text).into_owned() });
            Ok(0)
        }
        Err(errno) => cx::fail(errno),
    }
}
