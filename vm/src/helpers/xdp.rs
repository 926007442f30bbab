//! Packets of XDP programs.

use super::Row;
use super::cx::{self, Ret};
use crate::{Errno, Run};

pub(super) const ROWS: &[Row] = &[
    ("xdp_adjust_head", adjust_head),
    ("xdp_adjust_meta", adjust_meta),
    ("xdp_adjust_tail", adjust_tail),
    ("xdp_get_buff_len", len),
    ("xdp_load_bytes", load_bytes),
    ("xdp_store_bytes", store_bytes),
];

/// Runs a change of the packet's edges, and tells the context.
fn change(run: &mut Run, result: Result<(), Errno>) -> Ret {
    run.packet_moved();
    cx::status(result)
}

fn done(ok: bool) -> Result<(), Errno> {
    if ok { Ok(()) } else { Err(Errno::EINVAL) }
}

fn adjust_head(run: &mut Run, [_, by, ..]: [u64; 5]) -> Ret {
    let result = done(run.packet.xdp_head((by as i32).into()));
    change(run, result)
}

fn adjust_tail(run: &mut Run, [_, by, ..]: [u64; 5]) -> Ret {
    let result = done(run.packet.xdp_tail((by as i32).into()));
    change(run, result)
}

fn adjust_meta(run: &mut Run, [_, by, ..]: [u64; 5]) -> Ret {
    let result = run.packet.xdp_meta((by as i32).into());
    change(run, result)
}

fn len(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.packet.full_len() as u64)
}

/// Whether a copy of `len` bytes at an offset can be made.
fn check(run: &Run, offset: u64, len: u64) -> Result<(usize, usize), Errno> {
    let (offset, len) = (offset as u32 as usize, len as u32 as usize);
    if offset > 0xffff || len > 0xffff {
        return Err(Errno::EFAULT);
    }
    if offset + len > run.packet.full_len() { Err(Errno::EINVAL) } else { Ok((offset, len)) }
}

fn load_bytes(run: &mut Run, [_, offset, to, len, _]: [u64; 5]) -> Ret {
    match check(run, offset, len) {
        Ok((offset, len)) => {
            let mut bytes = vec![0; len];
            run.packet.read_at(offset, &mut bytes);
            cx::write(run, to, &bytes)?;
            Ok(0)
        }
        Err(errno) => cx::fail(errno),
    }
}

fn store_bytes(run: &mut Run, [_, offset, from, len, _]: [u64; 5]) -> Ret {
    match check(run, offset, len) {
        Ok((offset, len)) => {
            let bytes = cx::copy(run, from, len)?;
            run.packet.write_at(offset, &bytes);
            Ok(0)
        }
        Err(errno) => cx::fail(errno),
    }
}
