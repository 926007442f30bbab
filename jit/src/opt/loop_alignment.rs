//! Where a function's code stands among the cache lines.
//!
//! Processors fetch decoded instructions by aligned lines of 64 bytes, one in each cycle. A loop of a few instructions
//! that stands across two lines takes two cycles for an iteration where it could take one, so the start of a function is
//! chosen for its loops.

use cranelift_codegen::CompiledCode;

/// Bytes of a line.
pub(crate) const LINE: u32 = 64;
/// Loops longer than this, in bytes, do not care.
const LONGEST: u32 = 512;
/// How much more often than a loop the loops inside it are gone through, at a hint.
const INNER: u64 = 8;
/// More loops than this are not looked at.
const MOST_LOOPS: usize = 64;

/// A loop: its first byte, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loop {
    start: u32,
    end: u32,
}

/// Bytes to leave free after the beginning of a line so that the loops of a function cross few lines. A multiple of
/// `step`, which divides a line.
pub(crate) fn offset(code: &CompiledCode, step: u32) -> u32 {
    let size = code.code_buffer().len() as u32;
    best(&loops(&code.bb_starts, &code.bb_edges, size), step)
}

/// The short loops, from jumps backwards: the place of blocks, and the places of blocks that control goes from and to.
fn loops(starts: &[u32], edges: &[(u32, u32)], size: u32) -> Vec<Loop> {
    let mut all: Vec<Loop> = Vec::new();
    for (from, to) in edges.iter().filter(|(from, to)| to <= from) {
        let next = starts.partition_point(|s| s <= from);
        let end = starts.get(next).copied().unwrap_or(size);
        match all.iter_mut().find(|l| l.start == *to) {
            Some(one) => one.end = one.end.max(end),
            None => all.push(Loop { start: *to, end }),
        }
        if all.len() > MOST_LOOPS {
            return Vec::new();
        }
    }
    all.retain(|l| l.end - l.start <= LONGEST);
    all
}

fn best(loops: &[Loop], step: u32) -> u32 {
    let candidates = (0..LINE).step_by(step.clamp(1, LINE) as usize);
    if loops.is_empty() {
        return 0;
    }
    candidates.min_by_key(|offset| cost(loops, *offset)).unwrap_or(0)
}

/// Lines that loops touch beyond what their sizes need, weighed by how deep they stand and how short they are.
fn cost(loops: &[Loop], offset: u32) -> u64 {
    let one = |l: &Loop| {
        let needed = (l.end - l.start).div_ceil(LINE);
        let touched = (offset + l.end - 1) / LINE - (offset + l.start) / LINE + 1;
        let depth = loops.iter().filter(|o| o.start <= l.start && l.end <= o.end).count().min(6) as u32;
        u64::from(touched - needed) * INNER.pow(depth) * 64 / u64::from(needed)
    };
    loops.iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_loop_stays_in_one_line() {
        let loops = loops(&[0, 50, 70, 80], &[(0, 50), (50, 50), (50, 70)], 90);
        assert_eq!(loops, [Loop { start: 50, end: 70 }]);
        let at = best(&loops, 16);
        assert_eq!(at, 16);
        assert_eq!((at + 50) / LINE, (at + 69) / LINE);
    }

    #[test]
    fn inner_loops_count_for_more() {
        // Both cannot be whole: the outer one takes 60 bytes, the inner one begins at its end.
        let loops = [Loop { start: 0, end: 100 }, Loop { start: 60, end: 100 }];
        let at = best(&loops, 4);
        assert_eq!((at + 60) / LINE, (at + 99) / LINE);
    }

    #[test]
    fn code_without_loops_starts_with_its_line() {
        assert_eq!(best(&loops(&[0, 10], &[(0, 10)], 20), 1), 0);
    }
}
