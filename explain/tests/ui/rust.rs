// Programs as they are written in Rust, with what a library would give them in `aya.rs`.
#![no_std]
#![no_main]
#[path = "aya.rs"]
mod aya;
use aya::{Array, LICENSE_OF, SkBuff, XdpMd, lookup, probe_read_kernel};
use core::mem::size_of;

#[repr(C)]
pub struct EthHdr {
    dst: [u8; 6],
    src: [u8; 6],
    ether_type: u16,
}

#[repr(C)]
pub struct Ipv4Hdr {
    version_ihl: u8,
    tos: u8,
    tot_len: u16,
    id_frag: u32,
    ttl: u8,
    proto: u8,
    check: u16,
    addresses: [u32; 2],
}

static WEIGHTS: [u32; 16] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59];

#[unsafe(no_mangle)]
#[unsafe(link_section = ".maps")]
static COUNTS: Array<u64, 16> = Array::new();

// An index that may be too large panics.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn index_panics(skb: *const SkBuff) -> i32 {
    let i = unsafe { (*skb).mark } as usize;
    WEIGHTS[i] as i32
}

// So does a range whose end may lie before its start.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn range_panics(skb: *const SkBuff) -> i32 {
    let (from, to) = unsafe { ((*skb).mark as usize, (*skb).priority as usize) };
    let mut sum = 0;
    if to <= WEIGHTS.len() {
        for weight in &WEIGHTS[from..to] {
            sum += weight;
        }
    }
    sum as i32
}

// A division by what may be zero.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn division_panics(skb: *const SkBuff) -> i32 {
    let (len, parts) = unsafe { ((*skb).len, (*skb).queue_mapping) };
    (len / parts) as i32
}

// The entry may be missing.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn unwrap_panics(skb: *const SkBuff) -> i32 {
    let key = unsafe { (*skb).mark };
    let count = lookup(&COUNTS, &key).unwrap();
    *count += 1;
    0
}

/// A pointer into the packet, where there is room for so much.
#[inline(always)]
fn ptr_at<T>(ctx: *const XdpMd, offset: usize) -> Option<*const T> {
    let (start, end) = unsafe { ((*ctx).data as usize, (*ctx).data_end as usize) };
    if start + offset > end {
        return None;
    }
    Some((start + offset) as *const T)
}

// The function compares the offset with the end, and not what is read there.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub extern "C" fn size_forgotten(ctx: *const XdpMd) -> i32 {
    let Some(ip) = ptr_at::<Ipv4Hdr>(ctx, size_of::<EthHdr>()) else { return 2 };
    match unsafe { (*ip).proto } {
        17 => 1,
        _ => 2,
    }
}

// The value that the map gives is used where there may be none.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn unchecked_value(skb: *const SkBuff) -> i32 {
    let key = unsafe { (*skb).mark };
    let count = unsafe { lookup(&COUNTS, &key).unwrap_unchecked() };
    *count as i32
}

// A pointer of the kernel's is followed.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe/tcp_connect")]
pub extern "C" fn kernel_pointer(regs: *const [usize; 21]) -> i32 {
    let sk = unsafe { (*regs)[14] } as *const u16;
    let family = unsafe { *sk.add(8) };
    (family == 10) as i32
}

// The length that is copied is the caller's.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe/vfs_write")]
pub extern "C" fn length_of_caller(regs: *const [usize; 21]) -> i32 {
    let mut buf = [0u8; 64];
    let (from, len) = unsafe { ((*regs)[13], (*regs)[12]) };
    probe_read_kernel(buf.as_mut_ptr(), len as u32, from);
    buf[3] as i32
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 4] = LICENSE_OF;
