//! Tasks, cgroups and files: the one of each that the world has.

use crate::Run;
use crate::helpers::Row;
use crate::helpers::cx::Ret;

pub(super) const ROWS: &[Row] = &[
    ("bpf_task_acquire", same),
    ("bpf_task_release", nothing),
    ("bpf_task_from_pid", from_pid),
    ("bpf_task_from_vpid", from_pid),
    ("bpf_cgroup_acquire", same),
    ("bpf_cgroup_release", nothing),
    ("bpf_task_under_cgroup", under_cgroup),
    ("bpf_path_d_path", crate::helpers::trace::path_d_path),
];

fn same(_: &mut Run, [object, ..]: [u64; 5]) -> Ret {
    Ok(object)
}

fn nothing(_: &mut Run, _: [u64; 5]) -> Ret {
    Ok(0)
}

fn from_pid(run: &mut Run, [pid, ..]: [u64; 5]) -> Ret {
    Ok(if pid as u32 == run.world.task.pid { run.state.task() } else { 0 })
}

fn under_cgroup(run: &mut Run, [task, ..]: [u64; 5]) -> Ret {
    Ok((task == run.state.task()).into())
}
