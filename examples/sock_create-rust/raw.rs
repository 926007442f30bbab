// Keeps the tasks of a cgroup from making raw sockets, and counts those of each kind.
#![feature(no_core, lang_items)]
#![no_core]
#![crate_type = "lib"]
#![allow(internal_features, dead_code, unused_imports)]

#[path = "../lang.rs"]
mod lang;
use lang::*;

const RAW: u32 = 3;

/// The socket, as `linux/bpf.h` has it.
#[repr(C)]
pub struct BpfSock {
    bound_dev_if: u32,
    family: u32,
    kind: u32,
    protocol: u32,
}

#[unsafe(no_mangle)]
pub static mut ALLOWED: u32 = 0;
#[unsafe(no_mangle)]
pub static mut REFUSED: u32 = 0;

#[unsafe(no_mangle)]
#[unsafe(link_section = "cgroup/sock_create")]
pub unsafe extern "C" fn no_raw(socket: *const BpfSock) -> i32 {
    if (*socket).kind == RAW {
        REFUSED += 1;
        return 0;
    }
    ALLOWED += 1;
    1
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 4] = [b'G', b'P', b'L', 0];
