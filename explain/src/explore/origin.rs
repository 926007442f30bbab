//! Where a value came from. The page's script follows values by the same rules.

use super::{Exploration, Location};

/// The instructions that the value of a location before a step came from, as positions in the path, the last first.
pub(super) fn origin(exploration: &Exploration, path: &[usize], at: usize, location: Location) -> Vec<usize> {
    let step = |i: usize| &exploration.steps[path[i]];
    let (mut location, mut depth) = (location, step(at).2);
    let mut found = Vec::new();
    for i in (0..at).rev() {
        if step(i).2 < depth {
            // The call that began the frame: arguments come from the caller's registers.
            if !(1..=5).contains(&location) {
                break;
            }
            depth = step(i).2;
            found.push(i);
            continue;
        }
        if step(i).2 > depth {
            // A function that has returned: the result is what its r0 was.
            if location != 0 || step(i + 1).2 != depth {
                continue;
            }
            depth = step(i).2;
            found.push(i);
            continue;
        }
        let insn = &exploration.insns[step(i).0];
        if !insn.writes.contains(&location) {
            continue;
        }
        found.push(i);
        match insn.copies {
            Some(copied) => location = copied,
            None => break,
        }
    }
    found
}
