//! Elements of arrays that native code with checks was given: it finds them itself and leaves a mark for each.
//!
//! A mark is the number of the run that it belongs to, so that a new run begins without any.

use crate::maps::{ArrayLayout, Map, check::flag};
use crate::regions::{AddedRegion, What};
use std::sync::Arc;

/// Elements of a map, over all CPUs, that have marks; native code leaves larger maps to the helper.
const MOST: u64 = 1 << 16;

/// Programs whose marks are kept for later runs.
const MOST_PROGRAMS: usize = 64;

/// An array whose elements have marks.
#[derive(Clone, Copy, Debug)]
pub struct MarkedArray {
    /// Address of the map.
    pub map: u64,
    /// Where the values lie.
    pub layout: ArrayLayout,
    /// Bytes of a value.
    pub size: u64,
    /// Number of the first element's mark. Those of another CPU's elements follow those of the CPU before.
    pub first: u64,
}

impl MarkedArray {
    fn elements(&self) -> u64 {
        u64::from(self.layout.cpus.max(1)) * u64::from(self.layout.max_entries)
    }

    /// The number of the mark, and the address, of the element that an address may lie in.
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

    fn loan(&self, base: u64) -> AddedRegion {
        AddedRegion { base, len: self.size, what: What::Value(self.map), writable: true }
    }
}

/// The arrays of a program that native code finds elements of.
pub(crate) fn arrays(maps: &[Arc<Map>]) -> Arc<[MarkedArray]> {
    let mut first = 0;
    let mut arrays = Vec::new();
    for map in maps {
        let Some(layout) = map.array().filter(|_| map.facts().flags & flag::RDONLY_PROG == 0) else { continue };
        let array = MarkedArray { map: crate::maps::address(map), layout, size: map.value_size() as u64, first };
        if array.elements() <= MOST && layout.stride != 0 {
            first += array.elements();
            arrays.push(array);
        }
    }
    arrays.into()
}

/// Marks of one program's arrays.
#[derive(Debug)]
struct Marks {
    arrays: Arc<[MarkedArray]>,
    marks: Box<[u32]>,
}

/// The marks of a run's programs.
#[derive(Debug, Default)]
pub(crate) struct Given {
    programs: Vec<Marks>,
    /// The mark of this run; not zero once there are marks.
    mark: u32,
}

impl Given {
    /// Makes a program's arrays the ones that native code marks; the address of their marks, if there are any.
    pub fn adopt(&mut self, arrays: &Arc<[MarkedArray]>) -> Option<u64> {
        if arrays.is_empty() {
            return None;
        }
        let known = self.programs.iter().position(|p| Arc::ptr_eq(&p.arrays, arrays));
        let n = known.unwrap_or_else(|| {
            if self.programs.len() >= MOST_PROGRAMS {
                let mark = self.mark;
                self.programs.retain(|p| p.marks.contains(&mark));
            }
            let count: u64 = arrays.iter().map(MarkedArray::elements).sum();
            self.programs.push(Marks { arrays: arrays.clone(), marks: vec![0; count as usize].into() });
            self.programs.len() - 1
        });
        Some(self.programs[n].marks.as_mut_ptr() as u64)
    }

    /// Takes all elements back; the mark of the run that begins.
    #[inline]
    pub fn reset(&mut self) -> u32 {
        self.mark = self.mark.wrapping_add(1);
        if self.mark == 0 {
            self.restart();
        }
        self.mark
    }

    /// The numbers start over: no old mark may pass for a new one.
    #[cold]
    fn restart(&mut self) {
        self.programs.iter_mut().for_each(|p| p.marks.fill(0));
        self.mark = 1;
    }

    /// The element that holds an address, if it was given.
    pub fn find(&self, address: u64) -> Option<AddedRegion> {
        self.programs.iter().find_map(|program| {
            program.arrays.iter().find_map(|array| {
                let (number, base) = array.element(address)?;
                (program.marks[number] == self.mark && address - base < array.size).then(|| array.loan(base))
            })
        })
    }

    /// All elements that were given.
    pub fn iter(&self) -> impl Iterator<Item = AddedRegion> {
        self.programs.iter().flat_map(move |program| {
            program.arrays.iter().flat_map(move |array| {
                let numbers = array.first..array.first + array.elements();
                numbers.filter(|n| program.marks[*n as usize] == self.mark).map(|n| {
                    let n = n - array.first;
                    let entries = u64::from(array.layout.max_entries);
                    let place = n / entries * array.layout.cpu_stride + n % entries * array.layout.stride;
                    array.loan(array.layout.base + place)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(base: u64, cpus: u32, first: u64) -> MarkedArray {
        let layout = ArrayLayout { base, stride: 16, cpu_stride: 128, max_entries: 5, cpus };
        MarkedArray { map: 1, layout, size: 12, first }
    }

    #[test]
    fn what_is_marked_is_found_until_the_next_run() {
        let arrays: Arc<[MarkedArray]> = [array(1000, 0, 0), array(2000, 2, 5)].into();
        let mut given = Given::default();
        given.adopt(&arrays);
        given.reset();
        // Element 3 of the first, element 4 of the second one's second CPU.
        for n in [3, 5 + 5 + 4] {
            given.programs[0].marks[n] = given.mark;
        }
        let bases: Vec<u64> = given.iter().map(|l| l.base).collect();
        assert_eq!(bases, [1048, 2000 + 128 + 64]);
        for (address, base) in [(1048, Some(1048)), (1059, Some(1048)), (1060, None), (1047, None), (1032, None)] {
            assert_eq!(given.find(address).map(|l| l.base), base, "{address}");
        }
        assert_eq!(given.find(2192 + 11).map(|l| l.base), Some(2192));
        for address in [0, 999, 1080, 2064, 2192 + 12, 2192 + 16, 2256, u64::MAX] {
            assert!(given.find(address).is_none(), "{address}");
        }
        // Programs that come and go leave nothing, but what was given stays.
        for _ in 0..200 {
            given.adopt(&[array(3000, 0, 0)].into());
        }
        assert!(given.programs.len() <= MOST_PROGRAMS);
        assert_eq!(given.find(1048).map(|l| l.base), Some(1048));
        given.reset();
        assert_eq!(given.iter().count(), 0);
        given.programs[0].marks[2] = 1;
        given.mark = u32::MAX;
        given.reset();
        assert!(given.find(1032).is_none(), "a mark of the last time around");
    }
}
