//! Sets of map types, as rows name what a helper works on.

use crate::map_type::{MapTraits, MapType as M, MapTypes};

const fn of(types: &[M]) -> u64 {
    MapTypes::of(types).0
}

const fn with(traits: MapTraits) -> u64 {
    MapTypes::with(traits).0
}

/// What a helper takes that asks for no special type.
pub(super) const PLAIN: u64 = with(MapTraits::PLAIN);

macro_rules! single {
    ($($name:ident = $map_type:ident;)*) => {
        $(pub(super) const $name: u64 = of(&[M::$map_type]);)*
    };
}

single! {
    PROG_ARRAY = ProgArray;
    PERF_EVENT_ARRAY = PerfEventArray;
    CGROUP_ARRAY = CgroupArray;
    STACK_TRACE = StackTrace;
    SOCKMAP = Sockmap;
    SOCKHASH = Sockhash;
    XSKMAP = Xskmap;
    CPUMAP = Cpumap;
    BLOOM_FILTER = BloomFilter;
    REUSEPORT_SOCKARRAY = ReuseportSockarray;
    RINGBUF = Ringbuf;
    USER_RINGBUF = UserRingbuf;
    SK_STORAGE = SkStorage;
    INODE_STORAGE = InodeStorage;
    TASK_STORAGE = TaskStorage;
    CGRP_STORAGE = CgrpStorage;
}

pub(super) const SOCKETS: u64 = SOCKMAP | SOCKHASH;
pub(super) const DEVICES: u64 = of(&[M::Devmap, M::DevmapHash]);
pub(super) const MAPS_OF_MAPS: u64 = with(MapTraits::MAPS);
pub(super) const QUEUES: u64 = of(&[M::Queue, M::Stack]);
pub(super) const PER_CPU: u64 = of(&[M::PercpuArray, M::PercpuHash, M::LruPercpuHash]);
pub(super) const CGROUP_STORAGES: u64 = of(&[M::CgroupStorage, M::PercpuCgroupStorage]);
pub(super) const LOCAL_STORAGES: u64 = SK_STORAGE | INODE_STORAGE | TASK_STORAGE | CGRP_STORAGE;
