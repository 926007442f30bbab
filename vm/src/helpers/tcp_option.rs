//! Options of TCP headers, for sock_ops programs.

use super::Row;
use super::cx::{self, Ret};
use crate::{Errno, Run};
use ebpfkit_abi::net::TCP_HLEN;

pub(super) const ROWS: &[Row] = &[
    ("load_hdr_opt", load_header_option),
    ("store_hdr_opt", store_header_option),
    ("reserve_hdr_opt", reserve_header_option),
];

/// Kinds of options: end, no-operation, experiments.
const END: u8 = 0;
const NOP: u8 = 1;
const EXPERIMENTS: [u8; 2] = [254, 253];
/// Operations of sock_ops programs around header options.
const OP_LEN: u64 = 14;
const OP_WRITE: u64 = 15;
/// `BPF_LOAD_HDR_OPT_TCP_SYN`
const OF_SYN: u64 = 1;

/// Where an option stands: `ENOMSG` when there is none (with whether the list was ended), `EFAULT` when the list is
/// broken.
fn search(options: &[u8], kind: u8, magic: &[u8]) -> Result<std::ops::Range<usize>, (Errno, bool)> {
    let mut at = 0;
    while at < options.len() {
        match options[at] {
            END => return Err((Errno::ENOMSG, true)),
            NOP => at += 1,
            found => {
                let len = options.get(at + 1).map_or(0, |l| usize::from(*l));
                if len < 2 || at + len > options.len() {
                    return Err((Errno::EFAULT, false));
                }
                if found == kind {
                    if magic.len() > len - 2 {
                        return Err((Errno::ENOMSG, false));
                    }
                    if options[at + 2..].starts_with(magic) {
                        return Ok(at..at + len);
                    }
                }
                at += len;
            }
        }
    }
    Err((Errno::ENOMSG, false))
}

fn options(run: &Run) -> &[u8] {
    run.packet.bytes().get(TCP_HLEN..).unwrap_or(&[])
}

fn load_header_option(run: &mut Run, [_, at, len, flags, _]: [u64; 5]) -> Ret {
    let len = len as u32 as usize;
    if len < 2 || flags & !OF_SYN != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let option = cx::copy(run, at, len)?.to_vec();
    let (kind, option_len) = (option[0], usize::from(option[1]));
    if option_len > len || kind == NOP || kind == END {
        return cx::fail(Errno::EINVAL);
    }
    let magic = if EXPERIMENTS.contains(&kind) {
        if option_len != 4 && option_len != 6 {
            return cx::fail(Errno::EINVAL);
        }
        &option[2..option_len]
    } else if option_len != 0 {
        return cx::fail(Errno::EINVAL);
    } else {
        &[]
    };
    // No SYN is kept here.
    if flags & OF_SYN != 0 {
        return cx::fail(Errno::ENOENT);
    }
    if !run.has_packet() || run.ctx.get("op") == Some(OP_LEN) {
        return cx::fail(Errno::EPERM);
    }
    match search(options(run), kind, magic) {
        Ok(range) => {
            let found = options(run)[range].to_vec();
            cx::write(run, at, &found[..found.len().min(len)])?;
            if found.len() > len { cx::fail(Errno::ENOSPC) } else { Ok(found.len() as u64) }
        }
        Err((errno, _)) => cx::fail(errno),
    }
}

fn store_header_option(run: &mut Run, [_, from, len, flags, _]: [u64; 5]) -> Ret {
    let len = len as u32 as usize;
    if run.ctx.get("op") != Some(OP_WRITE) {
        return cx::fail(Errno::EPERM);
    }
    if len < 2 || flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    let new = cx::copy(run, from, len)?.to_vec();
    let (kind, new_len) = (new[0], usize::from(new[1]));
    if new_len > len || kind == NOP || kind == END {
        return cx::fail(Errno::EINVAL);
    }
    if new_len > run.state.sockets.reserved as usize {
        return cx::fail(Errno::ENOSPC);
    }
    let experiment = EXPERIMENTS.contains(&kind);
    if experiment && new_len < 4 {
        return cx::fail(Errno::EINVAL);
    }
    let magic = if experiment { &new[2..4] } else { &[][..] };
    match search(options(run), kind, magic) {
        Ok(_) => cx::fail(Errno::EEXIST),
        Err((Errno::ENOMSG, false)) => {
            let end = run.packet.len();
            run.packet.set_len(end + new_len);
            run.packet.bytes_mut()[end..].copy_from_slice(&new[..new_len]);
            run.state.sockets.reserved -= new_len as u32;
            run.packet_moved();
            Ok(0)
        }
        Err((Errno::ENOMSG, true)) => cx::fail(Errno::ENOSPC),
        Err((errno, _)) => cx::fail(errno),
    }
}

/// Bytes of options that a TCP header has room for.
const MAX_OPTIONS: u32 = 40;

fn reserve_header_option(run: &mut Run, [_, len, flags, ..]: [u64; 5]) -> Ret {
    let len = len as u32;
    if run.ctx.get("op") != Some(OP_LEN) {
        return cx::fail(Errno::EPERM);
    }
    if flags != 0 || len < 2 {
        return cx::fail(Errno::EINVAL);
    }
    if len > MAX_OPTIONS - run.state.sockets.reserved.min(MAX_OPTIONS) {
        return cx::fail(Errno::ENOSPC);
    }
    run.state.sockets.reserved += len;
    Ok(0)
}
