//! Iterators.

use super::memory::{raw_read, raw_write};
use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap::{self, Kind};
use crate::helpers::probe;
use crate::{Errno, Run};
use ebpfkit_abi::limits::MAX_LOOPS;

pub(super) const ROWS: &[Row] = &[
    int!("bpf_iter_num_new", num_new),
    ("bpf_iter_num_next", num_next),
    ("bpf_iter_num_destroy", num_destroy),
    int!("bpf_iter_bits_new", bits_new),
    ("bpf_iter_bits_next", bits_next),
    ("bpf_iter_bits_destroy", bits_destroy),
];

/// Longest range.
const MAX_RANGE: i64 = MAX_LOOPS as i64;

fn put(run: &mut Run, at: u64, current: i32, end: i32) -> Result<(), crate::Fault> {
    let word = u64::from(current as u32) | u64::from(end as u32) << 32;
    cx::write(run, at, &word.to_ne_bytes())
}

fn num_new(run: &mut Run, [at, start, end, ..]: [u64; 5]) -> Ret {
    let (start, end) = (start as i32, end as i32);
    let refused = if start > end {
        Some(Errno::EINVAL)
    } else if i64::from(end) - i64::from(start) > MAX_RANGE {
        Some(Errno::E2BIG)
    } else {
        None
    };
    if let Some(errno) = refused {
        put(run, at, 0, 0)?;
        return cx::fail(errno);
    }
    // One before the first number, so that `next` can give the address of the current one.
    put(run, at, start.wrapping_sub(1), end)?;
    Ok(0)
}

fn num_next(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    let word = cx::read_u64(run, at)?;
    let (current, end) = (word as u32 as i32, (word >> 32) as u32 as i32);
    if i64::from(current) + 1 >= i64::from(end) && current.wrapping_add(1) >= end {
        put(run, at, 0, 0)?;
        return Ok(0);
    }
    put(run, at, current.wrapping_add(1), end)?;
    Ok(at)
}

fn num_destroy(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    put(run, at, 0, 0)?;
    Ok(0)
}

/// Most words of a bit iterator.
const MAX_WORDS: u32 = 511;

/// First word: address of the copied bits. Second: their number, and the next one to look at.
fn bits_new(run: &mut Run, [at, from, words, ..]: [u64; 5]) -> Ret {
    let words = words as u32;
    cx::clear(run, at, 16)?;
    let refused = match words {
        _ if from == 0 || words == 0 => Some(Errno::EINVAL),
        n if n > MAX_WORDS => Some(Errno::E2BIG),
        _ => None,
    };
    if let Some(errno) = refused {
        return cx::fail(errno);
    }
    let Some(bits) = probe::bytes_at(run, from, words as usize * 8) else { return cx::fail(Errno::EFAULT) };
    // A word more holds the number that `next` gives the address of.
    let copy = cx::allocate(run, Kind::Iterator, bits.len() + NUMBER);
    if copy == 0 {
        return cx::fail(Errno::ENOMEM);
    }
    raw_write(copy, &bits);
    let words = [copy, u64::from(words * 64)].map(u64::to_ne_bytes);
    cx::write(run, at, words.as_flattened())?;
    Ok(0)
}

/// Bytes behind the copied bits, for the number that `next` gives the address of.
const NUMBER: usize = 8;

/// The copied bits of an iterator: their address and their bytes. The words of an iterator stand in the program's
/// memory, so that they can be anything; `None` where they do not name what `bits_new` has made.
fn bits_of(copy: u64) -> Option<(u64, usize)> {
    let found = heap::object_at(copy).filter(|o| o.base == copy && o.kind == Kind::Iterator)?;
    Some((found.base, found.len.checked_sub(NUMBER)?))
}

fn bits_next(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    let copy = cx::read_u64(run, at)?;
    let state = cx::read_u64(run, at.wrapping_add(8))?;
    let (count, next) = (state as u32, (state >> 32) as u32);
    let Some((copy, bytes)) = bits_of(copy) else { return Ok(0) };
    if count as usize != bytes * 8 {
        return Err(cx::bad("an iterator over bits whose words are not its own"));
    }
    let mut bits = vec![0; bytes];
    raw_read(copy, &mut bits);
    cx::charge(run, bytes);
    let set = (next..count).find(|bit| bits[*bit as usize / 8] >> (bit % 8) & 1 != 0);
    let after = set.map_or(count, |bit| bit + 1);
    cx::write(run, at.wrapping_add(8), &(u64::from(count) | u64::from(after) << 32).to_ne_bytes())?;
    let Some(bit) = set else { return Ok(0) };
    let number = copy + bytes as u64;
    raw_write(number, &bit.to_ne_bytes());
    cx::add_region(run, number, 4, "a number of an iterator", false);
    Ok(number)
}

fn bits_destroy(run: &mut Run, [at, ..]: [u64; 5]) -> Ret {
    let copy = cx::read_u64(run, at)?;
    if let Some((copy, bytes)) = bits_of(copy)
        && heap::release(Kind::Iterator, copy)
    {
        cx::remove_region(run, copy + bytes as u64);
    }
    cx::clear(run, at, 16)?;
    Ok(0)
}
