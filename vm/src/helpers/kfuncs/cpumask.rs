//! Sets of CPUs.

use super::memory::{raw_read, raw_write};
use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap::{self, Kind};
use crate::{Fault, Run};

pub(super) const ROWS: &[Row] = &[
    ("bpf_cpumask_create", create),
    ("bpf_cpumask_acquire", acquire),
    ("bpf_cpumask_release", release),
    ("bpf_cpumask_set_cpu", set_cpu),
    ("bpf_cpumask_clear_cpu", clear_cpu),
    ("bpf_cpumask_test_cpu", test_cpu),
    ("bpf_cpumask_test_and_set_cpu", test_and_set),
    ("bpf_cpumask_test_and_clear_cpu", test_and_clear),
    ("bpf_cpumask_setall", set_all),
    ("bpf_cpumask_clear", clear),
    ("bpf_cpumask_first", first),
    ("bpf_cpumask_first_zero", first_zero),
    ("bpf_cpumask_first_and", first_and),
    ("bpf_cpumask_any_distribute", first),
    ("bpf_cpumask_any_and_distribute", first_and),
    ("bpf_cpumask_and", and),
    ("bpf_cpumask_or", or),
    ("bpf_cpumask_xor", xor),
    ("bpf_cpumask_equal", equal),
    ("bpf_cpumask_intersects", intersects),
    ("bpf_cpumask_subset", subset),
    ("bpf_cpumask_empty", empty),
    ("bpf_cpumask_full", full),
    ("bpf_cpumask_copy", copy),
    ("bpf_cpumask_weight", weight),
];

/// CPUs that a set has room for (`NR_CPUS`), in words.
const WORDS: usize = 8192 / 64;
/// Bytes of `struct bpf_cpumask`: the set, then a count.
const SIZE: usize = WORDS * 8 + 8;

type Set = [u64; WORDS];

/// Only the sets that programs have made are known.
fn check(at: u64) -> Result<(), Fault> {
    let known = heap::is_inside(Kind::Cpumask, at, WORDS as u64 * 8);
    if known { Ok(()) } else { Err(cx::bad("no set of CPUs")) }
}

fn load(at: u64) -> Result<Set, Fault> {
    check(at)?;
    let mut bytes = [0; WORDS * 8];
    raw_read(at, &mut bytes);
    let mut set = [0; WORDS];
    for (word, chunk) in set.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().unwrap_or_default());
    }
    Ok(set)
}

fn store(at: u64, set: &Set) -> Result<(), Fault> {
    check(at)?;
    let bytes: Vec<u8> = set.iter().flat_map(|w| w.to_ne_bytes()).collect();
    raw_write(at, &bytes);
    Ok(())
}

fn cpus(run: &Run) -> u32 {
    run.world.cpus.clamp(1, WORDS as u32 * 64)
}

/// The CPUs that exist.
fn all(run: &Run) -> Set {
    let n = cpus(run);
    std::array::from_fn(|i| match n.saturating_sub(i as u32 * 64) {
        0 => 0,
        rest if rest >= 64 => u64::MAX,
        rest => (1 << rest) - 1,
    })
}

fn has(set: &Set, cpu: u32) -> bool {
    set[cpu as usize / 64] >> (cpu % 64) & 1 != 0
}

fn create(run: &mut Run, _: [u64; 5]) -> Ret {
    let set = cx::allocate(run, Kind::Cpumask, SIZE);
    if set != 0 {
        cx::add_region(run, set, SIZE as u64, "a set of CPUs", false);
    }
    Ok(set)
}

fn acquire(_: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    if !heap::acquire(Kind::Cpumask, set) {
        return Err(cx::bad("no set of CPUs"));
    }
    Ok(set)
}

fn release(run: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    if !cx::release_object(run, Kind::Cpumask, set) {
        return Err(cx::bad("no set of CPUs"));
    }
    Ok(0)
}

/// Changes one bit; what it was. CPUs that do not exist are left alone.
fn change(run: &Run, cpu: u64, at: u64, to: bool) -> Result<bool, Fault> {
    let cpu = cpu as u32;
    if cpu >= cpus(run) {
        return Ok(false);
    }
    let mut set = load(at)?;
    let was = has(&set, cpu);
    let bit = 1 << (cpu % 64);
    if to {
        set[cpu as usize / 64] |= bit;
    } else {
        set[cpu as usize / 64] &= !bit;
    }
    store(at, &set)?;
    Ok(was)
}

fn set_cpu(run: &mut Run, [cpu, set, ..]: [u64; 5]) -> Ret {
    change(run, cpu, set, true)?;
    Ok(0)
}

fn clear_cpu(run: &mut Run, [cpu, set, ..]: [u64; 5]) -> Ret {
    change(run, cpu, set, false)?;
    Ok(0)
}

fn test_and_set(run: &mut Run, [cpu, set, ..]: [u64; 5]) -> Ret {
    Ok(change(run, cpu, set, true)?.into())
}

fn test_and_clear(run: &mut Run, [cpu, set, ..]: [u64; 5]) -> Ret {
    Ok(change(run, cpu, set, false)?.into())
}

fn test_cpu(run: &mut Run, [cpu, set, ..]: [u64; 5]) -> Ret {
    let cpu = cpu as u32;
    Ok((cpu < cpus(run) && has(&load(set)?, cpu)).into())
}

fn set_all(run: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    store(set, &all(run))?;
    Ok(0)
}

fn clear(_: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    store(set, &[0; WORDS])?;
    Ok(0)
}

/// The first CPU that satisfies; the number of CPUs when there is none.
fn first_that(run: &Run, is: impl Fn(u32) -> bool) -> Ret {
    let n = cpus(run);
    Ok((0..n).find(|c| is(*c)).unwrap_or(n).into())
}

fn first(run: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    let set = load(set)?;
    first_that(run, |c| has(&set, c))
}

fn first_zero(run: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    let set = load(set)?;
    first_that(run, |c| !has(&set, c))
}

fn first_and(run: &mut Run, [one, two, ..]: [u64; 5]) -> Ret {
    let (one, two) = (load(one)?, load(two)?);
    first_that(run, |c| has(&one, c) && has(&two, c))
}

fn combine(to: u64, one: u64, two: u64, with: fn(u64, u64) -> u64) -> Result<bool, Fault> {
    let (one, two) = (load(one)?, load(two)?);
    let result: Set = std::array::from_fn(|i| with(one[i], two[i]));
    store(to, &result)?;
    Ok(result.iter().any(|w| *w != 0))
}

fn and(_: &mut Run, [to, one, two, ..]: [u64; 5]) -> Ret {
    Ok(combine(to, one, two, |a, b| a & b)?.into())
}

fn or(_: &mut Run, [to, one, two, ..]: [u64; 5]) -> Ret {
    combine(to, one, two, |a, b| a | b)?;
    Ok(0)
}

fn xor(_: &mut Run, [to, one, two, ..]: [u64; 5]) -> Ret {
    combine(to, one, two, |a, b| a ^ b)?;
    Ok(0)
}

fn equal(_: &mut Run, [one, two, ..]: [u64; 5]) -> Ret {
    Ok((load(one)? == load(two)?).into())
}

fn intersects(_: &mut Run, [one, two, ..]: [u64; 5]) -> Ret {
    let (one, two) = (load(one)?, load(two)?);
    Ok(one.iter().zip(&two).any(|(a, b)| a & b != 0).into())
}

fn subset(_: &mut Run, [one, two, ..]: [u64; 5]) -> Ret {
    let (one, two) = (load(one)?, load(two)?);
    Ok(one.iter().zip(&two).all(|(a, b)| a & !b == 0).into())
}

fn empty(_: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    Ok(load(set)?.iter().all(|w| *w == 0).into())
}

fn full(run: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    let (set, all) = (load(set)?, all(run));
    Ok(set.iter().zip(&all).all(|(a, b)| a & b == *b).into())
}

fn copy(_: &mut Run, [to, from, ..]: [u64; 5]) -> Ret {
    store(to, &load(from)?)?;
    Ok(0)
}

fn weight(_: &mut Run, [set, ..]: [u64; 5]) -> Ret {
    Ok(load(set)?.iter().map(|w| u64::from(w.count_ones())).sum())
}
