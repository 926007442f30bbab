//! The system call itself.

use std::os::fd::{FromRawFd, OwnedFd};

pub(crate) const MAP_CREATE: i32 = 0;
pub(crate) const MAP_LOOKUP_ELEM: i32 = 1;
pub(crate) const MAP_UPDATE_ELEM: i32 = 2;
pub(crate) const MAP_DELETE_ELEM: i32 = 3;
pub(crate) const MAP_GET_NEXT_KEY: i32 = 4;
pub(crate) const PROG_LOAD: i32 = 5;
pub(crate) const PROG_TEST_RUN: i32 = 10;
pub(crate) const BTF_LOAD: i32 = 18;
pub(crate) const MAP_LOOKUP_AND_DELETE_ELEM: i32 = 21;
pub(crate) const MAP_FREEZE: i32 = 22;
pub(crate) const MAP_LOOKUP_BATCH: i32 = 24;
pub(crate) const MAP_LOOKUP_AND_DELETE_BATCH: i32 = 25;
pub(crate) const MAP_UPDATE_BATCH: i32 = 26;
pub(crate) const MAP_DELETE_BATCH: i32 = 27;

/// An attribute structure of bpf(2): plain old data whose addresses stay valid during the call.
///
/// # Safety
/// Every address in the structure must point to memory of the length that the structure says, writable where the
/// command writes, for as long as the structure is passed to [`call`].
pub(crate) unsafe trait Attr: Copy {}

/// Calls bpf(2); the result, or the error number.
#[cfg(target_os = "linux")]
pub(crate) fn call<A: Attr>(command: i32, attr: &mut A) -> Result<i32, i32> {
    loop {
        // SAFETY: `attr` is a live structure of the size given, and `Attr` vouches for the addresses inside.
        let r = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<A>()) };
        if r >= 0 {
            return Ok(r as i32);
        }
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        // The verifier is interrupted by signals and asks to be called again.
        if errno != libc::EAGAIN && errno != libc::EINTR {
            return Err(errno);
        }
    }
}

/// There is no bpf(2) elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn call<A: Attr>(_command: i32, _attr: &mut A) -> Result<i32, i32> {
    Err(libc::ENOSYS)
}

/// Calls a command that gives a descriptor.
pub(crate) fn call_fd<A: Attr>(command: i32, attr: &mut A) -> Result<OwnedFd, i32> {
    let fd = call(command, attr)?;
    // SAFETY: the command succeeded, so the number is a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Keeps the calling thread on one CPU; false when it cannot.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on_cpu(cpu: u32) -> bool {
    if cpu >= libc::CPU_SETSIZE as u32 {
        return false;
    }
    // SAFETY: all zeros is an empty set, the CPU is one that a set has room for, and the call only reads the set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set) == 0
    }
}

/// Keeps the calling thread on one CPU; there is no such call here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on_cpu(_: u32) -> bool {
    false
}

/// A descriptor of a process.
#[cfg(target_os = "linux")]
pub(crate) fn open_process(pid: u32) -> Option<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a number that is no error is a fresh descriptor that nobody else owns.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// There is no such call elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_process(_: u32) -> Option<OwnedFd> {
    None
}

/// A perf event of the calling thread that counts nothing.
#[cfg(target_os = "linux")]
pub(crate) fn open_perf_event() -> Option<OwnedFd> {
    /// `struct perf_event_attr` of its first version.
    #[repr(C)]
    struct Attributes {
        kind: u32,
        size: u32,
        config: u64,
        rest: [u64; 6],
    }
    /// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_DUMMY`.
    const SOFTWARE: u32 = 1;
    const DUMMY: u64 = 9;
    let attributes = Attributes { kind: SOFTWARE, size: size_of::<Attributes>() as u32, config: DUMMY, rest: [0; 6] };
    // SAFETY: the structure lives as long as the call and says its size; the rest are numbers.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, 0, -1, -1, 0) };
    // SAFETY: a number that is no error is a fresh descriptor that nobody else owns.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// There is no such call elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_perf_event() -> Option<OwnedFd> {
    None
}

/// Processor time of the calling thread.
#[cfg(target_os = "linux")]
pub(crate) fn thread_time() -> Option<std::time::Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the structure it is given, which lives as long as the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let (seconds, ns) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    (result == 0).then(|| std::time::Duration::new(seconds, ns))
}

/// Processor time of the calling thread; there is no such call here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_time() -> Option<std::time::Duration> {
    None
}
