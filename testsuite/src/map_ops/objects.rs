//! What descriptors stand for, in the kernel and here: maps, programs, sockets, files.

use super::shape;
use ebpfkit_abi::{AttachType, MapTraits, MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_kernel::{Kernel, KernelMap, LoadParams, LoadedProgram, MapParams, machine};
use ebpfkit_object::record::Record;
use ebpfkit_vm::maps::{Descriptor, Map, create};
use ebpfkit_vm::{Loader, Program};
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// One thing in both worlds.
struct Object {
    ours: Ours,
    /// What the kernel gives where it is asked for what a map holds.
    id: u64,
    fd: i32,
    /// Keeps the descriptor open.
    keeps: Keeps,
}

enum Ours {
    Map(Arc<Map>),
    Program(Arc<Program>),
    Cgroup(u64),
    Socket(u64),
    PerfEvent(u64),
    Other,
    Closed,
}

#[expect(dead_code, reason = "some are held and never looked at")]
enum Keeps {
    Map(KernelMap),
    Program(LoadedProgram),
    File(OwnedFd),
    Nothing,
}

/// All of them.
pub struct Objects {
    all: Vec<Object>,
    /// Owners of storage, by the type of the map.
    owners: Vec<(MapType, OwnedFd)>,
}

fn holds_programs(map_type: MapType) -> bool {
    use MapType as T;
    matches!(map_type, T::ProgArray | T::Devmap | T::DevmapHash | T::Cpumap)
}

/// A number that no open file has.
const CLOSED: i32 = 1 << 20;

/// What the kernel says of a descriptor.
fn number_of(fd: i32, what: &str) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = info.lines().find_map(|l| l.strip_prefix(what)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

/// The cookie of a socket, as a map of sockets shows it; nothing where the map does not take the socket.
fn cookie(kernel: &Kernel, socket: &OwnedFd) -> Option<u64> {
    let params = MapParams {
        map_type: MapType::Sockmap,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        name: "cookie",
        ..MapParams::default()
    };
    let map = kernel.create_map(&params).ok()?;
    map.update(&[0; 4], &(socket.as_raw_fd() as u64).to_ne_bytes(), 0).ok()?;
    Some(u64::from_ne_bytes(map.lookup(&[0; 4]).ok()??.try_into().ok()?))
}

impl Objects {
    /// Makes them; what this machine does not have is left out.
    pub fn new(kernel: &Kernel) -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let mut all = Vec::new();
        for def in shape::inner_defs() {
            let params = MapParams { name: "inner", ..MapParams::of(&def) };
            let map = kernel.create_map(&params).map_err(|e| text(&e))?;
            let ours = create(&def, &Record::default(), kernel.possible_cpus() as u32).map_err(|e| text(&e))?;
            let fd = map.as_fd().as_raw_fd();
            let id = number_of(fd, "map_id").ok_or("the map has no number")?;
            all.push(Object { ours: Ours::Map(Arc::new(ours)), id, fd, keeps: Keeps::Map(map) });
        }
        let insns = [Insn::new(0xb7, 0, 0, 0, 1), Insn::new(0x95, 0, 0, 0, 0)];
        for (prog_type, attach_type) in [
            (ProgType::Xdp, AttachType(0)),
            (ProgType::Xdp, AttachType::XdpDevmap),
            (ProgType::Xdp, AttachType::XdpCpumap),
            (ProgType::SocketFilter, AttachType(0)),
            (ProgType::SchedCls, AttachType(0)),
        ] {
            let params = LoadParams { prog_type, attach_type, insns: &insns, license: "GPL", ..LoadParams::default() };
            let loaded = kernel.load_program(&params).map_err(|e| text(&e))?;
            let loaded = loaded.program.map_err(|errno| format!("{prog_type}: errno {errno}"))?;
            let ours =
                Loader::new(&insns).prog_type(prog_type).attach_type(attach_type).load().map_err(|e| text(&e))?;
            let fd = loaded.as_fd().as_raw_fd();
            let id = number_of(fd, "prog_id").ok_or("the program has no number")?;
            all.push(Object { ours: Ours::Program(ours), id, fd, keeps: Keeps::Program(loaded) });
        }
        let udp = || UdpSocket::bind("127.0.0.1:0").map(OwnedFd::from);
        let tcp = TcpListener::bind("127.0.0.1:0");
        // Both ends of a connection.
        let ends = || -> std::io::Result<[OwnedFd; 2]> {
            let listener = tcp.as_ref().map_err(|e| e.kind())?;
            let one = TcpStream::connect(listener.local_addr()?)?;
            Ok([one.into(), listener.accept()?.0.into()])
        };
        let ends = ends().into_iter().flatten();
        let sockets: Vec<OwnedFd> =
            [udp(), udp(), tcp.as_ref().map_err(|e| e.kind().into()).and_then(|l| l.try_clone()).map(OwnedFd::from)]
                .into_iter()
                .flatten()
                .chain(ends)
                .collect();
        let mut owners = Vec::new();
        for socket in sockets {
            owners.extend(socket.try_clone().map(|s| (MapType::SkStorage, s)));
            let Some(cookie) = cookie(kernel, &socket) else { continue };
            all.push(Object {
                ours: Ours::Socket(cookie),
                id: cookie,
                fd: socket.as_raw_fd(),
                keeps: Keeps::File(socket),
            });
        }
        let open = |path: &str| File::open(path).map(OwnedFd::from);
        if let Ok(cgroup) =
            ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(open).into_iter().flatten().next().ok_or(())
        {
            owners.extend(cgroup.try_clone().map(|s| (MapType::CgrpStorage, s)));
            all.push(Object { ours: Ours::Cgroup(1), id: 0, fd: cgroup.as_raw_fd(), keeps: Keeps::File(cgroup) });
        }
        let pids = [std::process::id(), 1];
        owners.extend(pids.into_iter().filter_map(machine::process).map(|fd| (MapType::TaskStorage, fd)));
        owners.extend(
            ["/proc/self/exe", "/dev/null", "/"].map(open).into_iter().flatten().map(|fd| (MapType::InodeStorage, fd)),
        );
        if let Some(event) = machine::perf_event() {
            all.push(Object { ours: Ours::PerfEvent(7), id: 0, fd: event.as_raw_fd(), keeps: Keeps::File(event) });
        }
        let null = open("/dev/null").map_err(|e| text(&e))?;
        all.push(Object { ours: Ours::Other, id: 0, fd: null.as_raw_fd(), keeps: Keeps::File(null) });
        all.push(Object { ours: Ours::Closed, id: 0, fd: CLOSED, keeps: Keeps::Nothing });
        Ok(Self { all, owners })
    }

    /// The template of a number, for the kernel.
    pub fn template(&self, n: usize) -> Option<BorrowedFd<'_>> {
        match &self.all.get(n)?.keeps {
            Keeps::Map(map) => Some(map.as_fd()),
            _ => None,
        }
    }

    /// A descriptor, here and in the kernel.
    pub fn descriptor(&self, n: u64, sockets: bool) -> (Descriptor<'_>, i32) {
        let fits = |o: &&Object| sockets || !matches!(o.ours, Ours::Socket(_));
        let all: Vec<&Object> = self.all.iter().filter(fits).collect();
        let object = all[(n % all.len() as u64) as usize];
        let ours = match &object.ours {
            Ours::Map(map) => Descriptor::Map(map),
            Ours::Program(program) => Descriptor::Program(program),
            Ours::Cgroup(n) => Descriptor::Cgroup(*n),
            Ours::Socket(n) => Descriptor::Socket(*n),
            Ours::PerfEvent(n) => Descriptor::PerfEvent(*n),
            Ours::Other => Descriptor::Other,
            Ours::Closed => Descriptor::Closed,
        };
        (ours, object.fd)
    }

    /// A program for an entry of a map of devices or CPUs, here and in the kernel: often none.
    pub fn program(&self, n: u64) -> (Option<Descriptor<'_>>, i32) {
        match n % 8 {
            0 | 1 => (None, 0),
            2 => (None, -1),
            _ => {
                let (ours, fd) = self.descriptor(n / 8, true);
                (Some(ours), fd)
            }
        }
    }

    /// Owners that maps of a type have storage of; their descriptors in the kernel.
    pub fn owner(&self, map_type: MapType, n: u32) -> Option<i32> {
        let owners: Vec<_> = self.owners.iter().filter(|o| o.0 == map_type).collect();
        Some(owners.get(n as usize % owners.len().max(1))?.1.as_raw_fd())
    }

    /// Which object a map holds, from the number that our map shows for it.
    pub fn which_of_ours(&self, map_type: MapType, id: u64) -> Option<usize> {
        self.all.iter().position(|o| match &o.ours {
            Ours::Map(map) => map_type.is(MapTraits::MAPS) && u64::from(map.info().id) == id,
            Ours::Program(program) => holds_programs(map_type) && u64::from(program.id()) == id,
            Ours::Socket(n) => *n == id,
            _ => false,
        })
    }

    /// The same for the kernel's.
    pub fn which_of_theirs(&self, map_type: MapType, id: u64) -> Option<usize> {
        self.all.iter().position(|o| match &o.ours {
            Ours::Map(_) => map_type.is(MapTraits::MAPS) && o.id == id,
            Ours::Program(_) => holds_programs(map_type) && o.id == id,
            Ours::Socket(n) => *n == id,
            _ => false,
        })
    }
}
