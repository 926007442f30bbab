//! The world file: what programs see of the machine, as JSON.

use crate::files;
use anyhow::{Context, Result};
use ebpfkit_vm::{Connection, Device, Limits, Neighbour, Route, Task, World, hex};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The file. What it leaves out keeps its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    monotonic_ns: u64,
    epoch_ns: u64,
    tick_ns: u64,
    seed: u64,
    cpu: u32,
    cpus: u32,
    numa_node: u32,
    attach_cookie: u64,
    file_path: String,
    task: FileTask,
    devices: Vec<FileDevice>,
    routes: Vec<FileRoute>,
    neighbours: Vec<FileNeighbour>,
    connections: Vec<FileConnection>,
    limits: FileLimits,
}

/// How much memory programs may take; see [`Limits`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimits {
    emitted: u64,
    map_memory: u64,
    objects: u64,
    timers: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        let Limits { emitted, map_memory, objects, timers } = Limits::default();
        Self { emitted, map_memory, objects, timers }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileTask {
    pid: u32,
    tgid: u32,
    uid: u32,
    gid: u32,
    comm: String,
    cgroup: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDevice {
    index: u32,
    name: String,
    mac: String,
    #[serde(default = "ethernet_mtu")]
    mtu: u32,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRoute {
    /// `10.0.0.0/8`
    to: String,
    via: Option<IpAddr>,
    device: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNeighbour {
    address: IpAddr,
    device: u32,
    mac: String,
}

/// A connection that the kernel keeps track of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConnection {
    from: SocketAddr,
    to: SocketAddr,
    protocol: Protocol,
    #[serde(default)]
    zone: u16,
    #[serde(default)]
    status: u32,
    #[serde(default = "connection_seconds")]
    seconds: u32,
    #[serde(default)]
    mark: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Tcp,
    Udp,
}

fn connection_seconds() -> u32 {
    600
}

fn ethernet_mtu() -> u32 {
    1500
}

impl Default for File {
    fn default() -> Self {
        let w = World::default();
        Self {
            monotonic_ns: w.monotonic_ns,
            epoch_ns: w.epoch_ns,
            tick_ns: w.tick_ns,
            seed: w.random,
            cpu: w.cpu,
            cpus: w.cpus,
            numa_node: w.numa_node,
            attach_cookie: w.attach_cookie,
            file_path: w.file_path,
            task: FileTask::default(),
            devices: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            connections: Vec::new(),
            limits: FileLimits::default(),
        }
    }
}

impl Default for FileTask {
    fn default() -> Self {
        let t = Task::default();
        Self { pid: t.pid, tgid: t.tgid, uid: t.uid, gid: t.gid, comm: t.comm, cgroup: t.cgroup }
    }
}

/// Reads a world file; the default world without one.
pub fn read(path: Option<&Path>) -> Result<World> {
    let Some(path) = path else { return Ok(World::default()) };
    let source = || files::name(path);
    let text = files::read_text(path)?;
    let file: File = serde_json::from_str(&text).with_context(source)?;
    world(file).with_context(source)
}

fn world(file: File) -> Result<World> {
    anyhow::ensure!(file.cpus > 0 && file.cpus <= 4096, "cpus: {}; expected 1 to 4096", file.cpus);
    anyhow::ensure!(file.cpu < file.cpus, "cpu: {}; there are {} CPUs", file.cpu, file.cpus);
    let mut world = World {
        monotonic_ns: file.monotonic_ns,
        epoch_ns: file.epoch_ns,
        tick_ns: file.tick_ns,
        random: file.seed,
        cpu: file.cpu,
        cpus: file.cpus,
        numa_node: file.numa_node,
        attach_cookie: file.attach_cookie,
        file_path: file.file_path,
        task: Task {
            pid: file.task.pid,
            tgid: file.task.tgid,
            uid: file.task.uid,
            gid: file.task.gid,
            comm: file.task.comm,
            cgroup: file.task.cgroup,
        },
        limits: Limits {
            emitted: file.limits.emitted,
            map_memory: file.limits.map_memory,
            objects: file.limits.objects,
            timers: file.limits.timers,
        },
        ..World::default()
    };
    for d in file.devices {
        world.devices.retain(|old| old.index != d.index);
        world.devices.push(Device {
            index: d.index,
            name: d.name,
            mac: mac(&d.mac)?,
            mtu: d.mtu,
            addresses: d.addresses,
        });
    }
    for r in file.routes {
        let (network, prefix) = network(&r.to)?;
        world.routes.push(Route { network, prefix, gateway: r.via, device: r.device });
    }
    for n in file.neighbours {
        world.neighbours.push(Neighbour { address: n.address, device: n.device, mac: mac(&n.mac)? });
    }
    for c in file.connections {
        let FileConnection { from, to, protocol, zone, status, seconds, mark } = c;
        anyhow::ensure!(from.is_ipv4() == to.is_ipv4(), "connections: {from} and {to} are of two families");
        let tcp = protocol == Protocol::Tcp;
        world.connections.push(Connection { from, to, tcp, zone, status, seconds, mark });
    }
    Ok(world)
}

fn mac(text: &str) -> Result<[u8; 6]> {
    hex::hardware_address(text)
        .with_context(|| format!("`{text}`: expected a hardware address such as 02:00:00:00:00:01"))
}

fn network(text: &str) -> Result<(IpAddr, u8)> {
    let wrong = || format!("`{text}`: expected a network such as 10.0.0.0/8");
    let (address, prefix) = text.split_once('/').with_context(wrong)?;
    let address: IpAddr = address.parse().with_context(wrong)?;
    let prefix: u8 = prefix.parse().with_context(wrong)?;
    anyhow::ensure!(prefix <= if address.is_ipv4() { 32 } else { 128 }, wrong());
    Ok((address, prefix))
}
