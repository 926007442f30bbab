// What a library gives to programs in Rust: contexts, maps, helpers, a panic handler.
use core::mem::transmute;

pub const LICENSE_OF: [u8; 4] = *b"GPL\0";

#[repr(C)]
pub struct SkBuff {
    pub len: u32,
    pub pkt_type: u32,
    pub mark: u32,
    pub queue_mapping: u32,
    pub protocol: u32,
    pub vlan_present: u32,
    pub vlan_tci: u32,
    pub vlan_proto: u32,
    pub priority: u32,
}

#[repr(C)]
pub struct XdpMd {
    pub data: u32,
    pub data_end: u32,
}

/// An array map, as its types say.
#[repr(C)]
pub struct Array<V, const N: usize> {
    r#type: *const [i32; 2],
    key: *const u32,
    value: *const V,
    max_entries: *const [i32; N],
}

unsafe impl<V, const N: usize> Sync for Array<V, N> {}

impl<V, const N: usize> Array<V, N> {
    pub const fn new() -> Self {
        use core::ptr::null;
        Self { r#type: null(), key: null(), value: null(), max_entries: null() }
    }
}

#[inline(always)]
pub fn lookup<V, const N: usize>(map: &'static Array<V, N>, key: &u32) -> Option<&'static mut V> {
    let helper: extern "C" fn(*const Array<V, N>, *const u32) -> *mut V = unsafe { transmute(1usize) };
    unsafe { helper(map, key).as_mut() }
}

#[inline(always)]
pub fn probe_read_kernel(to: *mut u8, len: u32, from: usize) -> i64 {
    let helper: extern "C" fn(*mut u8, u32, usize) -> i64 = unsafe { transmute(113usize) };
    helper(to, len, from)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
