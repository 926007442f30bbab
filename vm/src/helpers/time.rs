//! Clocks, random numbers, the CPU and the task.

use super::Row;
use super::cx::{self, Ret};
use crate::{Errno, Run};

pub(super) const ROWS: &[Row] = &[
    ("ktime_get_ns", monotonic),
    ("ktime_get_boot_ns", monotonic),
    ("ktime_get_coarse_ns", coarse),
    ("ktime_get_tai_ns", tai),
    ("jiffies64", jiffies),
    ("get_prandom_u32", random),
    ("get_smp_processor_id", cpu),
    ("get_numa_node_id", numa),
    ("get_current_pid_tgid", pid_tgid),
    ("get_current_uid_gid", uid_gid),
    ("get_current_comm", comm),
    ("get_current_cgroup_id", cgroup_id),
    ("get_current_ancestor_cgroup_id", ancestor_cgroup_id),
    ("get_current_task", task),
    ("get_current_task_btf", task),
    ("task_pt_regs", task_pt_regs),
    ("get_ns_current_pid_tgid", ns_pid_tgid),
    ("send_signal", send_signal),
    ("send_signal_thread", send_signal),
];

/// Ticks of the kernel's timer a second.
pub(super) const HZ: u64 = 250;
/// Bytes of a command name, its zero included (`TASK_COMM_LEN`).
const COMM_LEN: usize = 16;

fn monotonic(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.now_ns())
}

/// The clock of the last timer tick.
fn coarse(run: &mut Run, _: [u64; 5]) -> Ret {
    let tick = 1_000_000_000 / HZ;
    Ok(run.world.now_ns() / tick * tick)
}

fn tai(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.now_ns().wrapping_add(run.world.epoch_ns))
}

fn jiffies(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.now_ns() / (1_000_000_000 / HZ))
}

fn random(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.next_random() >> 32)
}

fn cpu(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.cpu.into())
}

fn numa(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.numa_node.into())
}

fn pid_tgid(run: &mut Run, _: [u64; 5]) -> Ret {
    let task = &run.world.task;
    Ok(u64::from(task.tgid) << 32 | u64::from(task.pid))
}

fn uid_gid(run: &mut Run, _: [u64; 5]) -> Ret {
    let task = &run.world.task;
    Ok(u64::from(task.gid) << 32 | u64::from(task.uid))
}

/// The name, padded with zeros to the buffer's size.
fn comm(run: &mut Run, [buffer, size, ..]: [u64; 5]) -> Ret {
    let size = u64::from(size as u32);
    let most = (COMM_LEN - 1).min(size.saturating_sub(1) as usize);
    let name: Vec<u8> = run.world.task.comm.bytes().take(most).collect();
    cx::write_padded(run, buffer, size, &name)?;
    Ok(0)
}

fn cgroup_id(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.task.cgroup)
}

/// The world knows one level of cgroups: that of the task, and the root above it.
fn ancestor_cgroup_id(run: &mut Run, [level, ..]: [u64; 5]) -> Ret {
    Ok(match level as u32 as i32 {
        0 => 1,
        1 => run.world.task.cgroup,
        _ => 0,
    })
}

/// Address of the task: the world's in runs with checks, otherwise zeros.
fn task(run: &mut Run, _: [u64; 5]) -> Ret {
    match run.world.task_address {
        address if address != 0 && run.is_checked() => Ok(address),
        _ => Ok(run.state.task()),
    }
}

fn task_pt_regs(run: &mut Run, _: [u64; 5]) -> Ret {
    match run.world.registers_address {
        address if address != 0 && run.is_checked() => Ok(address),
        _ => Ok(run.state.registers()),
    }
}

/// The namespace is taken for the task's own when it is not zero.
fn ns_pid_tgid(run: &mut Run, [dev, ino, to, size, _]: [u64; 5]) -> Ret {
    if size as u32 != 8 {
        cx::clear(run, to, u64::from(size as u32))?;
        return cx::fail(Errno::EINVAL);
    }
    if dev == 0 || ino == 0 {
        cx::clear(run, to, 8)?;
        return cx::fail(Errno::EINVAL);
    }
    let task = &run.world.task;
    let info = u64::from(task.tgid) << 32 | u64::from(task.pid);
    cx::write(run, to, &info.to_ne_bytes())?;
    Ok(0)
}

/// Signals that exist (`_NSIG`).
const LAST_SIGNAL: u64 = 64;

fn send_signal(run: &mut Run, [signal, ..]: [u64; 5]) -> Ret {
    let signal = signal as u32;
    if signal == 0 || u64::from(signal) > LAST_SIGNAL {
        return cx::fail(Errno::EINVAL);
    }
    let event = crate::Event::Signal { pid: run.world.task.pid, signal };
    if super::events::emit(run, event) { Ok(0) } else { cx::fail(Errno::EAGAIN) }
}
