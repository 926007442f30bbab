//! Dynptrs as kernel functions see them, packets among them; strings and memory of user space.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::dynptr::{Dynptr, Kind};
use crate::helpers::probe;
use crate::maps::mem;
use crate::{Errno, Fault, Run};

pub(super) const ROWS: &[Row] = &[
    int!("bpf_dynptr_from_skb", from_skb),
    int!("bpf_dynptr_from_xdp", from_xdp),
    ("bpf_dynptr_slice", slice),
    ("bpf_dynptr_slice_rdwr", slice_rdwr),
    int!("bpf_dynptr_adjust", adjust),
    ("bpf_dynptr_is_null", is_null),
    ("bpf_dynptr_is_rdonly", is_rdonly),
    int!("bpf_dynptr_size", size),
    int!("bpf_dynptr_clone", clone),
    int!("bpf_dynptr_copy", copy),
    int!("bpf_dynptr_memset", memset),
    int!("bpf_copy_from_user_str", copy_str),
    int!("bpf_strlen", strlen),
    int!("bpf_strnlen", strnlen),
    int!("bpf_strcmp", strcmp),
    int!("bpf_strchr", strchr),
    int!("bpf_xdp_metadata_rx_timestamp", no_metadata),
    int!("bpf_xdp_metadata_rx_hash", no_metadata),
    int!("bpf_xdp_metadata_rx_vlan_tag", no_metadata),
];

/// Writes memory of the run's own making.
pub(in crate::helpers) fn raw_write(address: u64, bytes: &[u8]) {
    debug_assert!(super::super::heap::contains(address, bytes.len() as u64));
    // SAFETY: callers pass addresses inside objects of the heap, which are never given back.
    unsafe { mem::store(address as usize as *mut u8, bytes) };
}

/// Reads memory of the run's own making.
pub(super) fn raw_read(address: u64, bytes: &mut [u8]) {
    debug_assert!(super::super::heap::contains(address, bytes.len() as u64));
    // SAFETY: as in `raw_write`.
    unsafe { mem::load(address as usize as *const u8, bytes) };
}

fn from_packet(run: &mut Run, flags: u64, to: u64, kind: Kind, read_only: bool) -> Ret {
    if flags != 0 {
        return Dynptr::refuse(run, to, Errno::EINVAL);
    }
    let mut ptr = Dynptr::new(run.ctx.address(), kind, run.packet.full_len() as u32);
    if read_only {
        ptr.make_read_only();
    }
    ptr.store(run, to)?;
    Ok(0)
}

fn from_skb(run: &mut Run, [_, flags, to, ..]: [u64; 5]) -> Ret {
    // Programs that may not write to the packet get a dynptr that may not either.
    let read_only = !run.program().prog_type().writes_packets();
    from_packet(run, flags, to, Kind::Skb, read_only)
}

fn from_xdp(run: &mut Run, [_, flags, to, ..]: [u64; 5]) -> Ret {
    from_packet(run, flags, to, Kind::Xdp, false)
}

fn slice_of(run: &mut Run, [at, offset, buffer, len, _]: [u64; 5], write: bool) -> Ret {
    let (offset, len) = (offset as u32, len as u32);
    let ptr = Dynptr::load(run, at)?;
    if ptr.data == 0 || ptr.check(offset, len).is_err() || write && ptr.is_read_only() {
        return Ok(0);
    }
    if let Some(address) = ptr.address(run, offset, len) {
        return Ok(address);
    }
    if !matches!(ptr.kind(), Kind::Skb | Kind::Xdp) || buffer == 0 {
        return Ok(0);
    }
    // Bytes that do not lie in one piece go to the program's own buffer.
    match ptr.get(run, offset, len)? {
        Ok(bytes) => cx::write(run, buffer, &bytes).map(|()| buffer),
        Err(_) => Ok(0),
    }
}

fn slice(run: &mut Run, args: [u64; 5]) -> Ret {
    slice_of(run, args, false)
}

fn slice_rdwr(run: &mut Run, args: [u64; 5]) -> Ret {
    slice_of(run, args, true)
}

fn adjust(run: &mut Run, [at, start, end, ..]: [u64; 5]) -> Ret {
    let (start, end) = (start as u32, end as u32);
    let mut ptr = Dynptr::load(run, at)?;
    if ptr.data == 0 || start > end {
        return cx::fail(Errno::EINVAL);
    }
    if start > ptr.size() || end > ptr.size() {
        return cx::fail(Errno::ERANGE);
    }
    let Some(offset) = ptr.offset.checked_add(start) else { return cx::fail(Errno::ERANGE) };
    ptr.offset = offset;
    ptr.set_size(end - start);
    ptr.store(run, at)?;
    Ok(0)
}

fn is_null(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    Ok((Dynptr::load(run, at)?.data == 0).into())
}

fn is_rdonly(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    let ptr = Dynptr::load(run, at)?;
    Ok((ptr.data != 0 && ptr.is_read_only()).into())
}

fn size(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    let ptr = Dynptr::load(run, at)?;
    if ptr.data == 0 { cx::fail(Errno::EINVAL) } else { Ok(ptr.size().into()) }
}

fn clone(run: &mut Run, [at, to, ..]: [u64; 5]) -> Ret {
    let ptr = Dynptr::load(run, at)?;
    if ptr.data == 0 {
        return Dynptr::refuse(run, to, Errno::EINVAL);
    }
    ptr.store(run, to)?;
    Ok(0)
}

fn copy(run: &mut Run, [to, to_offset, from, from_offset, len]: [u64; 5]) -> Ret {
    let (to_offset, from_offset, len) = (to_offset as u32, from_offset as u32, len as u32);
    let (dst, src) = (Dynptr::load(run, to)?, Dynptr::load(run, from)?);
    if dst.data == 0 || src.data == 0 || dst.is_read_only() {
        return cx::fail(Errno::EINVAL);
    }
    if src.check(from_offset, len).is_err() || dst.check(to_offset, len).is_err() {
        return cx::fail(Errno::E2BIG);
    }
    match src.get(run, from_offset, len)? {
        Ok(bytes) => {
            let done = dst.put(run, to_offset, &bytes)?;
            cx::status(done)
        }
        Err(errno) => cx::fail(errno),
    }
}

fn memset(run: &mut Run, [at, offset, len, value, _]: [u64; 5]) -> Ret {
    let (offset, len) = (offset as u32, len as u32);
    let ptr = match Dynptr::writable(run, at, offset, len)? {
        Ok(ptr) => ptr,
        Err(errno) => return cx::fail(errno),
    };
    let done = ptr.fill(run, offset, len, value as u8)?;
    cx::status(done)
}

/// `BPF_F_PAD_ZEROS`
const PAD_ZEROS: u64 = 1;

fn copy_str(run: &mut Run, [to, size, from, flags, _]: [u64; 5]) -> Ret {
    let size = u64::from(size as u32);
    if flags & !PAD_ZEROS != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if size == 0 {
        return Ok(0);
    }
    let Some(text) = probe::string_within(run, from, size as usize) else {
        cx::clear(run, to, size)?;
        return cx::fail(Errno::EFAULT);
    };
    if flags & PAD_ZEROS != 0 {
        cx::write_padded(run, to, size, &text)?;
    } else {
        cx::write(run, to, &text)?;
    }
    Ok(text.len() as u64)
}

/// Longest string that these functions look at (`XATTR_SIZE_MAX`).
const MAX_STRING: usize = 65536;

/// A string of at most `most` bytes, byte by byte: its zero is the last one, and `EFAULT` comes where it leaves what is
/// there.
fn bytes_of(run: &mut Run, address: u64, most: usize) -> impl Iterator<Item = Result<u8, Errno>> + use<> {
    let (text, whole) = probe::string_at(run, address, most);
    cx::charge(run, text.len());
    text.into_iter().map(Ok).chain((!whole).then_some(Err(Errno::EFAULT)))
}

fn length(run: &mut Run, address: u64, most: usize) -> Ret {
    for (i, byte) in bytes_of(run, address, most.min(MAX_STRING)).enumerate() {
        match byte {
            Ok(0) => return Ok(i as u64),
            Ok(_) => {}
            Err(errno) => return cx::fail(errno),
        }
    }
    if most <= MAX_STRING { Ok(most as u64) } else { cx::fail(Errno::E2BIG) }
}

fn strlen(run: &mut Run, [text, ..]: [u64; 5]) -> Ret {
    length(run, text, usize::MAX)
}

fn strnlen(run: &mut Run, [text, most, ..]: [u64; 5]) -> Ret {
    length(run, text, most as usize)
}

fn strcmp(run: &mut Run, [one, two, ..]: [u64; 5]) -> Ret {
    let (one, two) = (bytes_of(run, one, MAX_STRING), bytes_of(run, two, MAX_STRING));
    for pair in one.zip(two) {
        match pair {
            (Err(errno), _) | (_, Err(errno)) => return cx::fail(errno),
            (Ok(a), Ok(b)) if a != b => return Ok(if a < b { -1i64 as u64 } else { 1 }),
            (Ok(0), _) => return Ok(0),
            _ => {}
        }
    }
    cx::fail(Errno::E2BIG)
}

fn strchr(run: &mut Run, [text, sought, ..]: [u64; 5]) -> Ret {
    for (i, byte) in bytes_of(run, text, MAX_STRING).enumerate() {
        match byte {
            Ok(b) if b == sought as u8 => return Ok(i as u64),
            Ok(0) => return cx::fail(Errno::ENOENT),
            Ok(_) => {}
            Err(errno) => return cx::fail(errno),
        }
    }
    cx::fail(Errno::E2BIG)
}

/// No device gives metadata here.
fn no_metadata(_: &mut Run, _: [u64; 5]) -> Result<u64, Fault> {
    cx::fail(Errno::EOPNOTSUPP)
}
