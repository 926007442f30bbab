// Checks of Rust that can fail, in functions that return a result, and accesses without one.
#![no_std]
#![no_main]
#[path = "aya.rs"]
mod aya;
use aya::{LICENSE_OF, SkBuff, XdpMd};

#[repr(C)]
pub struct EthHdr {
    dst: [u8; 6],
    src: [u8; 6],
    ether_type: u16,
}

static WEIGHTS: [u32; 16] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59];

fn try_weigh(skb: *const SkBuff) -> Result<i32, ()> {
    let key = unsafe { (*skb).mark } as usize;
    let weight = WEIGHTS[key];
    if weight > 20 {
        return Err(());
    }
    Ok(weight as i32)
}

// The check is in a function that was inlined.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn weigh(skb: *const SkBuff) -> i32 {
    match try_weigh(skb) {
        Ok(weight) => weight,
        Err(()) => 0,
    }
}

// The end of a range.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn sum_of_first(skb: *const SkBuff) -> i32 {
    let n = unsafe { (*skb).mark as usize };
    let mut sum = 0;
    for weight in &WEIGHTS[..n] {
        sum += weight;
    }
    sum as i32
}

// Without a check at all.
#[unsafe(no_mangle)]
#[unsafe(link_section = "tc")]
pub extern "C" fn unchecked_index(skb: *const SkBuff) -> i32 {
    let slot = unsafe { (*skb).mark } as usize;
    let weight = unsafe { *WEIGHTS.get_unchecked(slot) };
    weight as i32
}

// The packet may be empty.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub extern "C" fn type_of_frame(ctx: *const XdpMd) -> i32 {
    let data = unsafe { (*ctx).data } as usize;
    let eth = data as *const EthHdr;
    if unsafe { (*eth).ether_type } == 8 {
        return 1;
    }
    2
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 4] = LICENSE_OF;
