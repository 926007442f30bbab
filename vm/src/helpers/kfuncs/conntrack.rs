//! Connection tracking. The world tracks no connections, so that lookups check what they are given, as the kernel does,
//! and then find nothing.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::{Errno, Fault, Run};
use ebpfkit_abi::net::ip_protocol;

pub(super) const ROWS: &[Row] = &[("bpf_skb_ct_lookup", lookup), ("bpf_xdp_ct_lookup", lookup)];

/// Bytes of `struct bpf_ct_opts` with and without the zone.
const OPTS_SIZE: u64 = 16;
const OPTS_SIZE_SHORT: u64 = 12;
/// Bytes of a `struct bpf_sock_tuple` for IPv4 and IPv6.
const TUPLE_SIZES: [u64; 2] = [12, 36];
/// Where the error number stands in the options.
const ERROR: u64 = 4;
/// The network namespace of the program (`BPF_F_CURRENT_NETNS`).
const CURRENT_NETNS: i32 = -1;

fn lookup(run: &mut Run, [_, tuple, tuple_size, opts, opts_size]: [u64; 5]) -> Ret {
    let opts_size = u64::from(opts_size as u32);
    let errno = refusal(run, tuple, u64::from(tuple_size as u32), opts, opts_size)?.unwrap_or(Errno::ENOENT);
    if opts != 0 && opts_size >= ERROR + 4 {
        cx::write(run, opts.wrapping_add(ERROR), &(-errno.0).to_ne_bytes())?;
    }
    Ok(0)
}

/// Why the kernel would not even look.
fn refusal(run: &mut Run, tuple: u64, tuple_size: u64, opts: u64, opts_size: u64) -> Result<Option<Errno>, Fault> {
    if tuple == 0 || opts == 0 || opts_size != OPTS_SIZE && opts_size != OPTS_SIZE_SHORT {
        return Ok(Some(Errno::EINVAL));
    }
    let options = cx::copy(run, opts, opts_size as usize)?;
    let netns = i32::from_ne_bytes([options[0], options[1], options[2], options[3]]);
    let protocol = options[8];
    Ok(if opts_size == OPTS_SIZE && options[13..] != [0; 3] || netns < CURRENT_NETNS {
        Some(Errno::EINVAL)
    } else if protocol != ip_protocol::TCP && protocol != ip_protocol::UDP {
        Some(Errno::EPROTO)
    } else if !TUPLE_SIZES.contains(&tuple_size) {
        Some(Errno::EAFNOSUPPORT)
    } else if netns > CURRENT_NETNS {
        Some(Errno::ENONET)
    } else {
        None
    })
}
