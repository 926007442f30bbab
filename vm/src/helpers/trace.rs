//! What tracing programs ask: stacks, arguments, cookies; and what programs of cgroups answer.

use super::cx::{self, Ret};
use super::{Row, events, format};
use crate::maps::Kind;
use crate::maps::stack_trace::stack_flag;
use crate::{Errno, Event, Run};
use ebpfkit_abi::AttachType;

pub(super) const ROWS: &[Row] = &[
    ("get_stackid", get_stackid),
    ("get_stack", get_stack),
    ("get_task_stack", get_task_stack),
    ("get_attach_cookie", attach_cookie),
    ("get_func_ip", func_ip),
    ("get_func_arg", func_arg),
    ("get_func_ret", func_ret),
    ("get_func_arg_cnt", func_arg_cnt),
    ("get_retval", get_retval),
    ("set_retval", set_retval),
    ("override_return", override_return),
    ("read_branch_records", no_branches),
    ("get_branch_snapshot", no_branches),
    ("seq_printf", seq_printf),
    ("seq_write", seq_write),
    ("d_path", d_path),
    ("sysctl_get_name", sysctl_get_name),
    ("sysctl_get_current_value", sysctl_get_current),
    ("sysctl_get_new_value", sysctl_get_new),
    ("sysctl_set_new_value", sysctl_set_new),
    ("perf_prog_read_value", perf_prog_read_value),
    ("find_vma", find_vma),
    ("ima_inode_hash", not_here),
    ("ima_file_hash", not_here),
];

fn frames(run: &Run, flags: u64) -> Vec<u64> {
    if flags & stack_flag::USER_STACK != 0 { run.world.user_stack.clone() } else { run.world.kernel_stack.clone() }
}

/// The values of the perf event that the program runs for.
fn perf_prog_read_value(run: &mut Run, [_, to, size, ..]: [u64; 5]) -> Ret {
    let values: Vec<u8> = run.world.perf_event.iter().flat_map(|v| v.to_ne_bytes()).collect();
    if u64::from(size as u32) != values.len() as u64 {
        cx::clear(run, to, u64::from(size as u32))?;
        return cx::fail(Errno::EINVAL);
    }
    cx::write(run, to, &values)?;
    Ok(0)
}

/// The world's task has no mappings, as kernel threads have none.
fn find_vma(_: &mut Run, [_, _, _, _, flags]: [u64; 5]) -> Ret {
    cx::fail(if flags != 0 { Errno::EINVAL } else { Errno::ENOENT })
}

fn get_stackid(run: &mut Run, [_, handle, flags, ..]: [u64; 5]) -> Ret {
    let Kind::StackTrace(traces) = cx::map(run, handle)?.kind() else {
        return Err(cx::bad("get_stackid on another kind of map"));
    };
    let frames = frames(run, flags);
    cx::number(traces.put(&frames, flags).map(u64::from))
}

fn stack_to(run: &mut Run, to: u64, size: u64, flags: u64) -> Ret {
    let size = u64::from(size as u32);
    let known = stack_flag::SKIP_FIELD | stack_flag::USER_STACK | stack_flag::USER_BUILD_ID;
    let build_ids = flags & stack_flag::USER_BUILD_ID != 0;
    if flags & !known != 0 || build_ids || !size.is_multiple_of(8) {
        cx::clear(run, to, size)?;
        return cx::fail(Errno::EINVAL);
    }
    let all = frames(run, flags);
    let skip = (flags & stack_flag::SKIP_FIELD) as usize;
    let Some(kept) = all.get(skip..).filter(|k| !k.is_empty()) else {
        cx::clear(run, to, size)?;
        return cx::fail(Errno::EFAULT);
    };
    let bytes: Vec<u8> = kept.iter().take(size as usize / 8).flat_map(|f| f.to_ne_bytes()).collect();
    cx::write_padded(run, to, size, &bytes)?;
    Ok(bytes.len() as u64)
}

fn get_stack(run: &mut Run, [_, to, size, flags, _]: [u64; 5]) -> Ret {
    stack_to(run, to, size, flags)
}

fn get_task_stack(run: &mut Run, [_, to, size, flags, _]: [u64; 5]) -> Ret {
    stack_to(run, to, size, flags)
}

fn attach_cookie(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.attach_cookie)
}

fn func_ip(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(run.world.attach_address)
}

/// Arguments of the traced function: the words of the context, without the returned value that programs at a
/// function's end find behind them.
fn arguments(run: &Run) -> u64 {
    let words = run.ctx.size() / 8;
    if returns(run) { words.saturating_sub(1) } else { words }
}

fn returns(run: &Run) -> bool {
    matches!(run.program().attach_type(), AttachType::TraceFexit | AttachType::ModifyReturn)
}

fn word(run: &Run, n: u64) -> u64 {
    let bytes = run.ctx.to_struct();
    let at = n as usize * 8;
    bytes.get(at..at + 8).map_or(0, |b| u64::from_ne_bytes(b.try_into().unwrap_or_default()))
}

fn func_arg(run: &mut Run, [_, n, to, ..]: [u64; 5]) -> Ret {
    let n = u64::from(n as u32);
    if n >= arguments(run) {
        return cx::fail(Errno::EINVAL);
    }
    let value = word(run, n);
    cx::write(run, to, &value.to_ne_bytes())?;
    Ok(0)
}

fn func_ret(run: &mut Run, [_, to, ..]: [u64; 5]) -> Ret {
    if !returns(run) {
        return cx::fail(Errno::EOPNOTSUPP);
    }
    let value = word(run, arguments(run));
    cx::write(run, to, &value.to_ne_bytes())?;
    Ok(0)
}

fn func_arg_cnt(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(arguments(run))
}

fn get_retval(run: &mut Run, _: [u64; 5]) -> Ret {
    Ok(i64::from(run.state.retval) as u64)
}

fn set_retval(run: &mut Run, [value, ..]: [u64; 5]) -> Ret {
    run.state.retval = value as i32;
    Ok(0)
}

fn override_return(run: &mut Run, [_, value, ..]: [u64; 5]) -> Ret {
    run.state.override_return = Some(value);
    Ok(0)
}

fn no_branches(_: &mut Run, _: [u64; 5]) -> Ret {
    cx::fail(Errno::ENOENT)
}

fn not_here(_: &mut Run, _: [u64; 5]) -> Ret {
    cx::fail(Errno::EOPNOTSUPP)
}

fn seq_printf(run: &mut Run, [_, fmt, size, args, len]: [u64; 5]) -> Ret {
    let args = match format::array(run, args, len)? {
        Ok(args) => args,
        Err(errno) => return cx::fail(errno),
    };
    let fmt = cx::copy(run, fmt, size as u32 as usize)?;
    match format::run_format(run, &fmt, &args) {
        Ok(text) => output(run, text),
        Err(errno) => cx::fail(errno),
    }
}

fn seq_write(run: &mut Run, [_, data, len, ..]: [u64; 5]) -> Ret {
    let data = cx::copy(run, data, len as u32 as usize)?.to_vec();
    output(run, data)
}

pub(super) fn output(run: &mut Run, bytes: Vec<u8>) -> Ret {
    if events::emit(run, Event::Output(bytes)) { Ok(0) } else { cx::fail(Errno::EOVERFLOW) }
}

/// The path of a file with its zero byte, all of it or nothing.
fn d_path(run: &mut Run, [_, to, size, ..]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    if size == 0 {
        return Ok(0);
    }
    let path = [run.world.file_path.as_bytes(), &[0]].concat();
    if path.len() > size {
        return cx::fail(Errno::ENAMETOOLONG);
    }
    cx::write(run, to, &path)?;
    Ok(path.len() as u64)
}

/// The kernel function, which takes no empty buffer.
pub(super) fn path_d_path(run: &mut Run, args: [u64; 5]) -> Ret {
    if args[2] as u32 == 0 { cx::fail(Errno::EINVAL) } else { d_path(run, args) }
}

/// `BPF_F_SYSCTL_BASE_NAME`
const BASE_NAME: u64 = 1;

/// A text with its zero byte, cut where the buffer ends; the length, or [`Errno::E2BIG`] when it was cut.
fn put_text(run: &mut Run, to: u64, size: usize, text: &[u8]) -> Ret {
    if size == 0 {
        return cx::fail(Errno::E2BIG);
    }
    let kept = &text[..text.len().min(size - 1)];
    cx::write(run, to, &[kept, &[0]].concat())?;
    if kept.len() < text.len() { cx::fail(Errno::E2BIG) } else { Ok(text.len() as u64) }
}

fn sysctl_get_name(run: &mut Run, [_, to, size, flags, _]: [u64; 5]) -> Ret {
    if to == 0 {
        return cx::fail(Errno::EINVAL);
    }
    let name = run.world.sysctl.name.clone();
    let name = if flags & BASE_NAME != 0 { name.rsplit('/').next().unwrap_or_default() } else { &name };
    put_text(run, to, size as usize, name.as_bytes())
}

/// A value: what is left of the buffer is zeroed.
fn put_value(run: &mut Run, to: u64, size: u64, value: Option<Vec<u8>>) -> Ret {
    if to == 0 {
        return cx::fail(Errno::EINVAL);
    }
    if size == 0 {
        return cx::fail(Errno::E2BIG);
    }
    let Some(value) = value.filter(|v| !v.is_empty()) else {
        cx::clear(run, to, size)?;
        return cx::fail(Errno::EINVAL);
    };
    // The last byte is zero in any case.
    let len = value.len() as u64;
    cx::write_padded(run, to, size, &value[..len.min(size - 1) as usize])?;
    if size > len { Ok(len) } else { cx::fail(Errno::E2BIG) }
}

fn sysctl_get_current(run: &mut Run, [_, to, size, ..]: [u64; 5]) -> Ret {
    let value = run.world.sysctl.current.clone();
    put_value(run, to, size, Some(value))
}

fn sysctl_get_new(run: &mut Run, [_, to, size, ..]: [u64; 5]) -> Ret {
    match run.world.sysctl.new.clone() {
        Some(value) => put_value(run, to, size, Some(value)),
        None => {
            if to != 0 {
                cx::clear(run, to, size)?;
            }
            cx::fail(Errno::EINVAL)
        }
    }
}

/// Longest value: a page without its last byte.
const MAX_VALUE: u64 = 4095;

fn sysctl_set_new(run: &mut Run, [_, from, len, ..]: [u64; 5]) -> Ret {
    let writes = run.world.sysctl.new.as_ref().is_some_and(|v| !v.is_empty());
    if !writes || from == 0 || len == 0 {
        return cx::fail(Errno::EINVAL);
    }
    if len > MAX_VALUE {
        return cx::fail(Errno::E2BIG);
    }
    let value = cx::copy(run, from, len as usize)?.to_vec();
    run.world.sysctl.new = Some(value);
    Ok(0)
}
