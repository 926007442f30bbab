//! Maps of what packets are redirected to: interfaces and CPUs, with programs for the packets that arrive there.

use super::Info;
use super::check::flag;
use super::commands::Descriptor;
use super::elements::{Elements, index};
use super::hash::HashMap;
use super::refs::{Owner, Words, number, put};
use crate::Errno;
use ebpfkit_abi::{AttachType, MapType, ProgType};
use ebpfkit_object::record::Record;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// `DEVMAP`, `CPUMAP`: slots with a value of four or eight bytes that programs may read.
#[derive(Debug)]
pub struct Targets {
    words: Words,
    size: usize,
    cpumap: bool,
    cpus: u32,
    /// What its programs have in common.
    owner: OnceLock<Owner>,
}

/// A program for packets that went to an entry, and what all such programs of a map have in common.
fn target_program(program: Descriptor<'_>, attach: AttachType, owner: &OnceLock<Owner>) -> Result<u64, Errno> {
    match program {
        Descriptor::Program(program) => {
            let fits = program.prog_type() == ProgType::Xdp && program.attach_type() == attach;
            let own = program.owner();
            let same = fits && *owner.get_or_init(|| own.clone()) == own;
            if same { Ok(program.id().into()) } else { Err(Errno::EINVAL) }
        }
        Descriptor::Closed => Err(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}

/// Longest queue of a CPU.
const MAX_QUEUE: u32 = 16384;

impl Targets {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self {
            words: Words::new(info)?,
            size: info.value_size as usize,
            cpumap: info.map_type == MapType::Cpumap,
            cpus: info.cpus,
            owner: OnceLock::new(),
        })
    }

    /// Address of an entry's value: the interface or queue length, then the program.
    pub fn lookup(&self, index: u32) -> Option<NonNull<u8>> {
        // An entry without interface, or without queue, is empty.
        let used = self.words.get(index)?.load(Ordering::Acquire) as u32 != 0;
        self.words.address(index).filter(|_| used)
    }

    /// Refusals of an entry, whatever program it names.
    fn refuses(&self, key: &[u8], first: u64, flags: u64) -> Result<(), Errno> {
        let index = index(key);
        if flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        if index >= self.words.count {
            return Err(Errno::E2BIG);
        }
        if flags == flag::NOEXIST {
            return Err(Errno::EEXIST);
        }
        if self.cpumap && first > MAX_QUEUE.into() {
            return Err(Errno::EOVERFLOW);
        }
        if self.cpumap && index >= self.cpus {
            return Err(Errno::ENODEV);
        }
        Ok(())
    }
}

/// Interface or queue length and program; a program of zero or less is none.
fn check_target(value: &[u8]) -> Result<u64, Errno> {
    let content = number(value);
    Ok(if (content >> 32) as i32 <= 0 { content & u64::from(u32::MAX) } else { content })
}

impl Elements for Targets {
    fn lookup(&self, key: &[u8], _cpu: u32) -> Option<NonNull<u8>> {
        self.lookup(index(key))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.words.get(index(key)).ok_or(Errno::EINVAL)?.store(0, Ordering::Release);
        Ok(())
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        super::array::next_key(self.words.count, key, next)
    }

    fn user_lookup(&self, key: &[u8], out: &mut [u8], _flags: u64) -> Result<(), Errno> {
        let index = index(key);
        self.lookup(index).ok_or(Errno::ENOENT)?;
        let content = self.words.get(index).map_or(0, |s| s.load(Ordering::Acquire));
        put(content, &mut out[..self.size]);
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let content = check_target(value)?;
        let first = content & u64::from(u32::MAX);
        self.refuses(key, first, flags)?;
        if !self.cpumap && first == 0 && content != 0 {
            return Err(Errno::EINVAL);
        }
        self.words.get(index(key)).ok_or(Errno::E2BIG)?.store(content, Ordering::Release);
        Ok(())
    }

    fn put_program(&self, key: &[u8], value: &[u8], program: Option<Descriptor<'_>>, flags: u64) -> Result<(), Errno> {
        let program = program.filter(|_| self.size > 4);
        let first = number(value) & u64::from(u32::MAX);
        let alone = first.to_ne_bytes();
        let Some(program) = program else { return self.user_update(key, &alone[..self.size], flags) };
        if !self.cpumap && first == 0 {
            // What is refused without a program is refused with one for the same reason.
            self.refuses(key, first, flags)?;
            return Err(Errno::EINVAL);
        }
        self.refuses(key, first, flags)?;
        let (attach, wrong) = match self.cpumap {
            true => (AttachType::XdpCpumap, Errno::ENOMEM),
            false => (AttachType::XdpDevmap, Errno::EINVAL),
        };
        let content = match first {
            0 => 0,
            _ => first | target_program(program, attach, &self.owner).map_err(|_| wrong)? << 32,
        };
        self.words.get(index(key)).ok_or(Errno::E2BIG)?.store(content, Ordering::Release);
        Ok(())
    }
}

/// Devices by key.
#[derive(Debug)]
pub struct DevmapHash {
    devices: HashMap,
    /// What its programs have in common.
    owner: OnceLock<Owner>,
}

impl DevmapHash {
    pub(super) fn new(info: &Info) -> Result<Self, Errno> {
        Ok(Self { devices: HashMap::new(info, &Record::default())?, owner: OnceLock::new() })
    }
}

impl Elements for DevmapHash {
    fn inner(&self) -> Option<&dyn Elements> {
        Some(&self.devices)
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, _cpu: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if index(value) == 0 || flags > flag::EXIST {
            return Err(Errno::EINVAL);
        }
        // The kernel makes an entry even when it is told to replace one.
        self.devices.update(key, value, flags & flag::NOEXIST, None)
    }

    fn put_program(&self, key: &[u8], value: &[u8], program: Option<Descriptor<'_>>, flags: u64) -> Result<(), Errno> {
        let mut content = (number(value) & u64::from(u32::MAX)).to_ne_bytes();
        if let Some(program) = program.filter(|_| value.len() > 4) {
            if index(value) == 0 || flags > flag::EXIST {
                return Err(Errno::EINVAL);
            }
            if flags == flag::NOEXIST && self.devices.look(key).is_some() {
                return Err(Errno::EEXIST);
            }
            let id = target_program(program, AttachType::XdpDevmap, &self.owner).map_err(|_| Errno::EINVAL)?;
            content = (number(value) & u64::from(u32::MAX) | id << 32).to_ne_bytes();
        }
        self.user_update(key, &content[..value.len()], flags)
    }
}
