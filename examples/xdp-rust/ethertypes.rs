// Lets through IPv4, IPv6 and ARP, drops all else, and counts both.
#![feature(no_core, lang_items)]
#![no_core]
#![crate_type = "lib"]
#![allow(internal_features, dead_code, unused_imports)]

#[path = "../lang.rs"]
mod lang;
use lang::*;

const DROP: i32 = 1;
const PASS: i32 = 2;

/// The context, as `linux/bpf.h` has it.
#[repr(C)]
pub struct XdpMd {
    data: u32,
    data_end: u32,
}

#[unsafe(no_mangle)]
pub static mut PASSED: u64 = 0;
#[unsafe(no_mangle)]
pub static mut DROPPED: u64 = 0;

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub unsafe extern "C" fn ethertypes(ctx: *const XdpMd) -> i32 {
    let (start, end) = ((*ctx).data as usize, (*ctx).data_end as usize);
    if start + 14 > end {
        DROPPED += 1;
        return DROP;
    }
    let (high, low) = (*((start + 12) as *const u8), *((start + 13) as *const u8));
    let known = match high {
        0x08 => low == 0x00 || low == 0x06,
        0x86 => low == 0xdd,
        _ => false,
    };
    if known {
        PASSED += 1;
        PASS
    } else {
        DROPPED += 1;
        DROP
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 4] = [b'G', b'P', b'L', 0];
