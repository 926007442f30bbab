//! Reads and writes of memory that may not be there.

use super::Row;
use super::cx::{self, Ret};
use crate::maps::mem;
use crate::{Errno, Run, Space};

pub(super) const ROWS: &[Row] = &[
    ("probe_read", probe_read),
    ("probe_read_kernel", probe_read_kernel),
    ("probe_read_user", probe_read_user),
    ("probe_read_str", probe_read_str),
    ("probe_read_kernel_str", probe_read_kernel_str),
    ("probe_read_user_str", probe_read_user_str),
    ("probe_write_user", probe_write_user),
    ("copy_from_user", probe_read_user),
    ("copy_from_user_task", copy_from_user_task),
];

/// The bytes at an address, if all of them are there: in this run's memory or in what the world describes.
pub(super) fn bytes_at(run: &Run, address: u64, len: usize) -> Option<Vec<u8>> {
    bytes_in(run, Space::Any, address, len)
}

/// The same for reads of kernel or of user memory. A run's own memory counts as either.
fn bytes_in(run: &Run, space: Space, address: u64, len: usize) -> Option<Vec<u8>> {
    if cx::is_known(run, address, len as u64) {
        let mut out = vec![0; len];
        // SAFETY: the bytes lie in memory that this run owns or keeps.
        unsafe { mem::load(address as usize as *const u8, &mut out) };
        return Some(out);
    }
    run.world.memory.get(address, len, space).map(<[u8]>::to_vec)
}

/// Bytes of a string that are looked at together.
const PART: usize = 64;

/// A string of at most `len` bytes: what is there up to its zero byte, which is included; and whether all of it is there.
/// No more memory is taken than the string has, whatever length the program names.
pub(super) fn string_at(run: &Run, address: u64, len: usize) -> (Vec<u8>, bool) {
    string_in(run, Space::Any, address, len)
}

fn string_in(run: &Run, space: Space, address: u64, len: usize) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let mut part = PART;
    while text.len() < len {
        let at = address.wrapping_add(text.len() as u64);
        let Some(bytes) = bytes_in(run, space, at, part.min(len - text.len())) else {
            // The end of what is there may lie inside of this part.
            if part == 1 {
                return (text, false);
            }
            part = 1;
            continue;
        };
        if let Some(end) = bytes.iter().position(|b| *b == 0) {
            text.extend_from_slice(&bytes[..=end]);
            return (text, true);
        }
        text.extend_from_slice(&bytes);
    }
    (text, true)
}

/// A string that is copied into a buffer of `size` bytes: cut where need be, its last byte is zero. `None` when it is
/// not there.
pub(super) fn string_within(run: &mut Run, address: u64, size: usize) -> Option<Vec<u8>> {
    string_within_space(run, Space::Any, address, size)
}

fn string_within_space(run: &mut Run, space: Space, address: u64, size: usize) -> Option<Vec<u8>> {
    let (mut text, whole) = string_in(run, space, address, size);
    cx::charge(run, text.len());
    if !whole {
        return None;
    }
    if text.last() != Some(&0) {
        text.truncate(size - 1);
        text.push(0);
    }
    Some(text)
}

/// What cannot be read is zeroed.
fn read_in(run: &mut Run, space: Space, [to, size, from, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    match bytes_in(run, space, from, size) {
        Some(bytes) => {
            cx::write(run, to, &bytes)?;
            Ok(0)
        }
        None => {
            cx::clear(run, to, size as u64)?;
            cx::fail(Errno::EFAULT)
        }
    }
}

fn probe_read(run: &mut Run, args: [u64; 5]) -> Ret {
    read_in(run, Space::Any, args)
}

fn probe_read_kernel(run: &mut Run, args: [u64; 5]) -> Ret {
    read_in(run, Space::Kernel, args)
}

fn probe_read_user(run: &mut Run, args: [u64; 5]) -> Ret {
    read_in(run, Space::User, args)
}

/// The length with the zero byte; the last byte of the buffer is always zero.
fn read_str_in(run: &mut Run, space: Space, [to, size, from, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    if size == 0 {
        return Ok(0);
    }
    let Some(text) = string_within_space(run, space, from, size) else {
        cx::clear(run, to, size as u64)?;
        return cx::fail(Errno::EFAULT);
    };
    cx::write(run, to, &text)?;
    Ok(text.len() as u64)
}

fn probe_read_str(run: &mut Run, args: [u64; 5]) -> Ret {
    read_str_in(run, Space::Any, args)
}

fn probe_read_kernel_str(run: &mut Run, args: [u64; 5]) -> Ret {
    read_str_in(run, Space::Kernel, args)
}

fn probe_read_user_str(run: &mut Run, args: [u64; 5]) -> Ret {
    read_str_in(run, Space::User, args)
}

/// There is no user memory to write to but what the world describes, which stays as it is.
fn probe_write_user(run: &mut Run, [to, from, size, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    let bytes = cx::copy(run, from, size)?;
    if run.world.memory.write(to, &bytes, Space::User) { Ok(0) } else { cx::fail(Errno::EPERM) }
}

fn copy_from_user_task(run: &mut Run, [to, size, from, task, flags]: [u64; 5]) -> Ret {
    if flags != 0 {
        return cx::fail(Errno::EINVAL);
    }
    if size as u32 == 0 {
        return Ok(0);
    }
    probe_read_user(run, [to, size, from, task, 0])
}
