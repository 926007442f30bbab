//! Generation marks: which elements of arrays native code with checks may access. It looks them up itself and writes the
//! run's generation into the mark of each.
//!
//! A run's generation differs from those before, so that a new run begins without any element.

use crate::maps::{ArrayLayout, Map, check::flag};
use crate::regions::{AddedRegion, What};
use std::sync::Arc;

/// Elements of a map, over all CPUs, that have generation marks; native code leaves larger maps to the helper.
const MOST: u64 = 1 << 16;

/// Programs whose generation marks are kept for later runs.
const MOST_PROGRAMS: usize = 64;

/// An array whose elements have generation marks, and which marks these are.
#[derive(Clone, Copy, Debug)]
pub struct ArrayGenerations {
    /// Address of the map.
    pub map: u64,
    /// Where the values lie.
    pub layout: ArrayLayout,
    /// Bytes of a value.
    pub size: u64,
    /// Number of the first element's generation mark. Those of another CPU's elements follow those of the CPU before.
    pub first: u64,
}

impl ArrayGenerations {
    fn elements(&self) -> u64 {
        u64::from(self.layout.cpus.max(1)) * u64::from(self.layout.max_entries)
    }

    /// The number of the generation mark, and the address, of the element that an address may lie in.
    fn element(&self, address: u64) -> Option<(usize, u64)> {
        let layout = &self.layout;
        let distance = address.checked_sub(layout.base)?;
        let (cpu, rest) = match layout.cpus {
            0 => (0, distance),
            _ => (distance / layout.cpu_stride, distance % layout.cpu_stride),
        };
        let index = rest / layout.stride;
        if cpu >= u64::from(layout.cpus.max(1)) || index >= u64::from(layout.max_entries) {
            return None;
        }
        let number = self.first + cpu * u64::from(layout.max_entries) + index;
        Some((usize::try_from(number).ok()?, address - rest % layout.stride))
    }

    fn region(&self, base: u64) -> AddedRegion {
        AddedRegion { base, len: self.size, what: What::Value(self.map), writable: true }
    }
}

/// The arrays of a program that native code finds elements of.
pub(crate) fn arrays(maps: &[Arc<Map>]) -> Arc<[ArrayGenerations]> {
    let mut first = 0;
    let mut arrays = Vec::new();
    for map in maps {
        let Some(layout) = map.array().filter(|_| map.info().flags & flag::RDONLY_PROG == 0) else { continue };
        let array = ArrayGenerations { map: crate::maps::address(map), layout, size: map.value_size() as u64, first };
        if array.elements() <= MOST && layout.stride != 0 {
            first += array.elements();
            arrays.push(array);
        }
    }
    arrays.into()
}

/// Generation marks of one program's arrays.
#[derive(Debug)]
struct ProgramGenerations {
    arrays: Arc<[ArrayGenerations]>,
    of_elements: Box<[u32]>,
}

/// The generation marks of a run's programs.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    programs: Vec<ProgramGenerations>,
    /// The generation of this run; not zero once there are marks.
    current: u32,
}

impl Generations {
    /// Gives a program's arrays generation marks, unless they have them; the address of the marks, if there are any.
    pub fn adopt(&mut self, arrays: &Arc<[ArrayGenerations]>) -> Option<u64> {
        if arrays.is_empty() {
            return None;
        }
        let known = self.programs.iter().position(|p| Arc::ptr_eq(&p.arrays, arrays));
        let n = known.unwrap_or_else(|| {
            if self.programs.len() >= MOST_PROGRAMS {
                let current = self.current;
                self.programs.retain(|p| p.of_elements.contains(&current));
            }
            let count: u64 = arrays.iter().map(ArrayGenerations::elements).sum();
            self.programs
                .push(ProgramGenerations { arrays: arrays.clone(), of_elements: vec![0; count as usize].into() });
            self.programs.len() - 1
        });
        Some(self.programs[n].of_elements.as_mut_ptr() as u64)
    }

    /// Begins a generation, in which no element may be accessed yet.
    #[inline]
    pub fn reset(&mut self) -> u32 {
        self.current = self.current.wrapping_add(1);
        if self.current == 0 {
            self.restart();
        }
        self.current
    }

    /// The numbers start over: no old generation may pass for a new one.
    #[cold]
    fn restart(&mut self) {
        self.programs.iter_mut().for_each(|p| p.of_elements.fill(0));
        self.current = 1;
    }

    /// The element that holds an address, if the run has looked it up.
    pub fn find(&self, address: u64) -> Option<AddedRegion> {
        self.programs.iter().find_map(|program| {
            program.arrays.iter().find_map(|array| {
                let (number, base) = array.element(address)?;
                (program.of_elements[number] == self.current && address - base < array.size).then(|| array.region(base))
            })
        })
    }

    /// All elements that the run has looked up.
    pub fn iter(&self) -> impl Iterator<Item = AddedRegion> {
        self.programs.iter().flat_map(move |program| {
            program.arrays.iter().flat_map(move |array| {
                let numbers = array.first..array.first + array.elements();
                numbers.filter(|n| program.of_elements[*n as usize] == self.current).map(|n| {
                    let n = n - array.first;
                    let entries = u64::from(array.layout.max_entries);
                    let offset = n / entries * array.layout.cpu_stride + n % entries * array.layout.stride;
                    array.region(array.layout.base + offset)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(base: u64, cpus: u32, first: u64) -> ArrayGenerations {
        let layout = ArrayLayout { base, stride: 16, cpu_stride: 128, max_entries: 5, cpus };
        ArrayGenerations { map: 1, layout, size: 12, first }
    }

    #[test]
    fn what_has_the_current_generation_is_found_until_the_next_run() {
        let arrays: Arc<[ArrayGenerations]> = [array(1000, 0, 0), array(2000, 2, 5)].into();
        let mut generations = Generations::default();
        generations.adopt(&arrays);
        generations.reset();
        // Element 3 of the first, element 4 of the second one's second CPU.
        for n in [3, 5 + 5 + 4] {
            generations.programs[0].of_elements[n] = generations.current;
        }
        let bases: Vec<u64> = generations.iter().map(|l| l.base).collect();
        assert_eq!(bases, [1048, 2000 + 128 + 64]);
        for (address, base) in [(1048, Some(1048)), (1059, Some(1048)), (1060, None), (1047, None), (1032, None)] {
            assert_eq!(generations.find(address).map(|l| l.base), base, "{address}");
        }
        assert_eq!(generations.find(2192 + 11).map(|l| l.base), Some(2192));
        for address in [0, 999, 1080, 2064, 2192 + 12, 2192 + 16, 2256, u64::MAX] {
            assert!(generations.find(address).is_none(), "{address}");
        }
        // Programs that come and go leave nothing, but what was looked up stays.
        for _ in 0..200 {
            generations.adopt(&[array(3000, 0, 0)].into());
        }
        assert!(generations.programs.len() <= MOST_PROGRAMS);
        assert_eq!(generations.find(1048).map(|l| l.base), Some(1048));
        generations.reset();
        assert_eq!(generations.iter().count(), 0);
        generations.programs[0].of_elements[2] = 1;
        generations.current = u32::MAX;
        generations.reset();
        assert!(generations.find(1032).is_none(), "a generation from before the numbers started over");
    }
}
