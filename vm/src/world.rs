//! What programs can see of the machine around them: all of it is set by the user, so that runs repeat exactly.

use crate::Limits;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A device that programs can name by index.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Device {
    /// `ifindex`.
    pub index: u32,
    /// Name, such as `eth0`.
    pub name: String,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Largest packet without the link header, in bytes.
    pub mtu: u32,
    /// Its own addresses.
    pub addresses: Vec<std::net::IpAddr>,
}

impl Device {
    /// The first address of a family.
    pub fn address(&self, ipv6: bool) -> Option<std::net::IpAddr> {
        self.addresses.iter().copied().find(|a| a.is_ipv6() == ipv6)
    }
}

/// A route, as `bpf_fib_lookup` finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Network, IPv4 mapped or IPv6.
    pub network: std::net::IpAddr,
    /// Significant bits of the network.
    pub prefix: u8,
    /// Next hop; `None` when the network is on the link.
    pub gateway: Option<std::net::IpAddr>,
    /// Device that packets leave by.
    pub device: u32,
}

/// A known neighbour on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Address.
    pub address: std::net::IpAddr,
    /// Device.
    pub device: u32,
    /// Hardware address.
    pub mac: [u8; 6],
}

/// The task that a program runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Thread.
    pub pid: u32,
    /// Process.
    pub tgid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Command name, at most 15 bytes count.
    pub comm: String,
    /// Cgroup.
    pub cgroup: u64,
}

impl Default for Task {
    fn default() -> Self {
        Self { pid: 1, tgid: 1, uid: 0, gid: 0, comm: "ebpfkit".into(), cgroup: 1 }
    }
}

/// Everything outside the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Nanoseconds since boot (`bpf_ktime_get_ns`).
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970 at monotonic time zero; sums to `CLOCK_TAI` and the like.
    pub epoch_ns: u64,
    /// Nanoseconds that each reading of a clock lets pass.
    pub tick_ns: u64,
    /// State of the random numbers; never zero in use.
    pub random: u64,
    /// Running CPU.
    pub cpu: u32,
    /// Key of the hash function of hash maps. Nothing that programs or users see depends on it, so that it need not be
    /// the same in each process: who sends packets shall not know which keys collide.
    pub hash_seed: u64,
    /// CPUs of the machine; per-CPU maps have as many slots.
    pub cpus: u32,
    /// NUMA node of the CPU.
    pub numa_node: u32,
    /// The running task.
    pub task: Task,
    /// Devices.
    pub devices: Vec<Device>,
    /// Routes, in no order; the longest prefix wins.
    pub routes: Vec<Route>,
    /// Neighbours.
    pub neighbours: Vec<Neighbour>,
    /// Sockets that lookups find.
    pub sockets: Vec<Socket>,
    /// Connections that are tracked when the first program looks; see [`Connection`].
    pub connections: Vec<Connection>,
    /// Return addresses of the kernel's stack where the program is called, innermost first.
    pub kernel_stack: Vec<u64>,
    /// Return addresses of the user's stack.
    pub user_stack: Vec<u64>,
    /// What `bpf_get_attach_cookie` gives.
    pub attach_cookie: u64,
    /// The path of every file, as `bpf_d_path` gives it.
    pub file_path: String,
    /// Address of the function that the program is attached to.
    pub attach_address: u64,
    /// What `bpf_perf_prog_read_value` gives of the perf event: its counter, and how long it was enabled and running.
    pub perf_event: [u64; 3],
    /// The sysctl that a cgroup/sysctl program is asked about.
    pub sysctl: Sysctl,
    /// Memory of the kernel and of processes that probing reads find.
    pub memory: Images,
    /// Where `memory` has the running task's `task_struct` and registers; zero for nowhere. Only runs with checks see
    /// them, as nothing else may follow a pointer there.
    pub task_address: u64,
    /// The registers (`struct pt_regs`) that the task entered the kernel with; zero for nowhere.
    pub registers_address: u64,
    /// How much memory programs may take.
    pub limits: Limits,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Local address and port; the address may be the unspecified one.
    pub local: std::net::SocketAddr,
    /// Peer; `None` for a listening or unconnected socket.
    pub remote: Option<std::net::SocketAddr>,
    /// TCP rather than UDP.
    pub tcp: bool,
    /// Cookie; the position in the world's list plus one when zero.
    pub cookie: u64,
    /// Owner.
    pub uid: u32,
    /// Mark.
    pub mark: u32,
    /// Device that it is bound to; zero for none.
    pub device: u32,
}

/// A connection that the kernel keeps track of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who began it.
    pub from: std::net::SocketAddr,
    /// Whom with.
    pub to: std::net::SocketAddr,
    /// TCP rather than UDP.
    pub tcp: bool,
    /// Zone.
    pub zone: u16,
    /// `IPS_*`; it is confirmed anyway.
    pub status: u32,
    /// How long it lives.
    pub seconds: u32,
    /// Mark.
    pub mark: u32,
}

/// A sysctl.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sysctl {
    /// Name with slashes, such as `net/ipv4/tcp_mem`.
    pub name: String,
    /// Its value.
    pub current: Vec<u8>,
    /// What is about to be written; `None` for a read.
    pub new: Option<Vec<u8>>,
}

/// Who finds an [`Image`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Space {
    /// Reads of kernel and of user memory.
    #[default]
    Any,
    /// Reads of kernel memory alone.
    Kernel,
    /// Reads of user memory alone.
    User,
}

impl Space {
    /// Whether a read of `self` finds what stands in `other`.
    fn finds(self, other: Self) -> bool {
        self == Self::Any || other == Self::Any || self == other
    }
}

/// Bytes at an address.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Image {
    /// First address.
    pub address: u64,
    /// What stands there.
    pub bytes: Vec<u8>,
    /// Programs may write there (`bpf_probe_write_user`, and fields that the verifier lets them set).
    pub writable: bool,
    /// Whose memory it is.
    pub space: Space,
}

impl Image {
    fn range(&self, address: u64, len: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.bytes.len()).then_some(start..end)
    }
}

/// Memory of the kernel and of processes, as images that do not overlap. A program never gets at it by an address of its
/// own process: it is read as a copy, by loads that are checked and by helpers that read what may not be there.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Images(BTreeMap<u64, Image>);

impl Images {
    /// Adds an image, in the place of one that starts at the same address.
    pub fn insert(&mut self, image: Image) {
        self.0.insert(image.address, image);
    }

    /// Takes the image that starts at an address out.
    pub fn remove(&mut self, address: u64) -> Option<Image> {
        self.0.remove(&address)
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Image> {
        self.0.values()
    }

    /// The image that an address lies in.
    pub fn around(&self, address: u64) -> Option<&Image> {
        self.0.range(..=address).next_back().map(|(_, image)| image).filter(|i| i.range(address, 1).is_some())
    }

    /// Bytes that one image has.
    pub fn get(&self, address: u64, len: usize, space: Space) -> Option<&[u8]> {
        let (_, image) = self.0.range(..=address).next_back()?;
        image.bytes.get(image.range(address, len)?).filter(|_| space.finds(image.space))
    }

    /// Bytes that one image has, to be changed.
    pub fn get_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let (_, image) = self.0.range_mut(..=address).next_back()?;
        let range = image.range(address, len)?;
        image.bytes.get_mut(range)
    }

    /// Writes where programs may write; false when there is no such image.
    pub fn write(&mut self, address: u64, bytes: &[u8], space: Space) -> bool {
        let Some(image) = self.around(address) else { return false };
        if !image.writable || !space.finds(image.space) {
            return false;
        }
        let to = self.get_mut(address, bytes.len());
        to.map(|to| to.copy_from_slice(bytes)).is_some()
    }
}

impl FromIterator<Image> for Images {
    fn from_iter<T: IntoIterator<Item = Image>>(images: T) -> Self {
        let mut this = Self::default();
        images.into_iter().for_each(|image| this.insert(image));
        this
    }
}

/// A number that the system draws once for each process.
fn drawn_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(0))
}

impl Default for World {
    fn default() -> Self {
        Self {
            monotonic_ns: 1_000_000_000,
            epoch_ns: 1_700_000_000_000_000_000,
            tick_ns: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            cpu: 0,
            hash_seed: drawn_seed(),
            cpus: 1,
            numa_node: 0,
            task: Task::default(),
            devices: vec![Device { index: 1, name: "lo".into(), mac: [0; 6], mtu: 65536, addresses: Vec::new() }],
            routes: Vec::new(),
            neighbours: Vec::new(),
            sockets: Vec::new(),
            connections: Vec::new(),
            kernel_stack: Vec::new(),
            user_stack: Vec::new(),
            attach_cookie: 0,
            file_path: "/".into(),
            attach_address: 0,
            perf_event: [0; 3],
            sysctl: Sysctl::default(),
            memory: Images::default(),
            task_address: 0,
            registers_address: 0,
            limits: Limits::default(),
        }
    }
}

impl World {
    /// Reads the monotonic clock and lets it tick.
    pub fn now_ns(&mut self) -> u64 {
        let now = self.monotonic_ns;
        self.monotonic_ns = now.wrapping_add(self.tick_ns);
        now
    }

    /// The next random number (SplitMix64: the same seed gives the same numbers).
    pub fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A device by index.
    pub fn device(&self, index: u32) -> Option<&Device> {
        self.devices.iter().find(|d| d.index == index)
    }
}
