//! The path that leads to a rejection, read from the verifier's log at level 1, ours or a kernel's: what each register
//! held, and which instruction made it.

use ebpfkit_isa::opcode::EXIT;
use ebpfkit_isa::{Insn, RegSet};

/// One line of the log that says something of registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Step {
    /// Slot, for lines of instructions.
    insn: Option<usize>,
    /// Registers with what is known of them after it.
    regs: Vec<(u8, String)>,
    /// Another frame begins or ends here; registers before it are not the same.
    frame_changes: bool,
}

/// Where a register's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This instruction wrote it.
    Made(usize),
    /// This call, or legacy packet load, gave it up: neither leaves anything in `r1` to `r5`.
    Clobbered(usize),
}

/// A register that a rejection is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Involved {
    /// Number.
    pub reg: u8,
    /// What was known of it, in the kernel's words.
    pub state: Option<String>,
    /// Where its value comes from; `None` when the path does not say.
    pub origin: Option<Origin>,
}

/// Splits at blanks that are not inside parentheses.
fn words(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth <= 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

pub(crate) fn registers(text: &str) -> Vec<(u8, String)> {
    let one = |word: &str| {
        let (number, state) = word.strip_prefix('R')?.split_once('=')?;
        // Older kernels add liveness marks: R1_w=...
        let number = number.split('_').next()?.parse().ok()?;
        Some((number, state.to_owned()))
    };
    words(text).into_iter().filter_map(one).collect()
}

fn step(line: &str) -> Option<Step> {
    let frame_changes =
        ["caller:", "callee:", "returning from callee:", "to caller at "].iter().any(|p| line.starts_with(p));
    if frame_changes {
        return Some(Step { frame_changes, ..Step::default() });
    }
    if line.starts_with("from ") || line.trim_start().starts_with("frame") {
        return Some(Step { regs: registers(line.trim()), ..Step::default() });
    }
    let (number, rest) = line.split_once(": ")?;
    let slot = number.parse().ok()?;
    // Registers stand behind a semicolon, or, after a jump, behind the number of the next instruction.
    let insn = rest.starts_with('(').then_some(slot);
    Some(Step { insn, regs: registers(rest.trim()), frame_changes: false })
}

/// Registers that a message names (`R3 ...`), in its order.
pub(crate) fn named_registers(message: &str) -> Vec<u8> {
    let mut named = Vec::new();
    for (at, _) in message.match_indices('R') {
        let starts_word = !message[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let digits: String = message[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        if let (true, Ok(reg @ 0..=9)) = (starts_word, digits.parse())
            && !named.contains(&reg)
        {
            named.push(reg);
        }
    }
    named
}

/// Registers that a message names, or else those that the instruction uses.
fn involved(message: &str, insn: Insn) -> Vec<u8> {
    let named = named_registers(message);
    if !named.is_empty() {
        return named;
    }
    if let Some(base) = insn.memory_base() {
        return vec![base];
    }
    if insn.is_call() || insn.code == EXIT { vec![] } else { insn.reads().iter().collect() }
}

/// What an instruction does to a register.
fn effect(insn: Insn, at: usize, reg: u8) -> Option<Origin> {
    if !insn.writes().contains(reg) {
        return None;
    }
    let clobbered = insn.writes() == RegSet::CALLER_SAVED && reg != 0;
    Some(if clobbered { Origin::Clobbered(at) } else { Origin::Made(at) })
}

/// The registers that a rejection at slot `at` is about, as the log of the failing path shows them.
pub fn involved_registers(log: &str, insns: &[Insn], at: usize, message: &str) -> Vec<Involved> {
    let Some(&rejected) = insns.get(at) else { return Vec::new() };
    let steps: Vec<Step> = log.lines().filter_map(step).collect();
    // The rejected instruction is the last one; what it says of itself comes too late.
    let end = steps.iter().rposition(|s| s.insn == Some(at)).unwrap_or(steps.len());
    let describe = |reg: u8| {
        let path = || steps[..end].iter().rev().take_while(|s| !s.frame_changes);
        let state = path().find_map(|s| s.regs.iter().find(|(r, _)| *r == reg).map(|(_, state)| state.clone()));
        let origin = path().find_map(|s| effect(*insns.get(s.insn?)?, s.insn?, reg));
        // A register that a call gave up is not what was known before the call.
        let state = state.filter(|_| !matches!(origin, Some(Origin::Clobbered(_))));
        Involved { reg, state, origin }
    };
    involved(message, rejected).into_iter().map(describe).filter(|i| i.state.is_some() || i.origin.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "0: R1=ctx() R10=fp0\n; source @ a.c:1\n0: (b7) r1 = 1                  ; R1=1\n\
        1: (85) call bpf_get_prandom_u32#7    ; R0=scalar(var_off=(0x0; 0xff))\n2: (bf) r2 = r0   ; R0=scalar(id=1) \
        R2=scalar(id=1)\n3: (61) r3 = *(u32 *)(r2 +0)\nR2 invalid mem access 'scalar'\nprocessed 4 insns\n";

    fn program() -> Vec<Insn> {
        vec![
            Insn::new(0xb7, 1, 0, 0, 1),
            Insn::new(0x85, 0, 0, 0, 7),
            Insn::new(0xbf, 2, 0, 0, 0),
            Insn::new(0x61, 3, 2, 0, 0),
        ]
    }

    #[test]
    fn the_maker_of_a_value_is_found() {
        let found = involved_registers(LOG, &program(), 3, "R2 invalid mem access 'scalar'");
        let want = Involved { reg: 2, state: Some("scalar(id=1)".into()), origin: Some(Origin::Made(2)) };
        assert_eq!(found, [want]);
        // Without a name the operands count.
        assert_eq!(involved_registers(LOG, &program(), 3, "no name")[0].reg, 2);
    }

    #[test]
    fn calls_give_registers_up() {
        let found = involved_registers(LOG, &program(), 2, "R1 !read_ok");
        assert_eq!(found, [Involved { reg: 1, state: None, origin: Some(Origin::Clobbered(1)) }]);
    }

    #[test]
    fn an_acquire_load_makes_its_destination() {
        // r1 = 0; r0 = load_acquire((u64 *)(r10 - 8)); r1 += r0
        let (load, add) = (Insn::new(0xdb, 0, 10, -8, 0x100), Insn::new(0x0f, 1, 0, 0, 0));
        let insns = [Insn::new(0xb7, 0, 0, 0, 0), load, add];
        let log =
            "0: (b7) r0 = 0  ; R0=0\n1: (db) r0 = load_acquire((u64 *)(r10 -8))  ; R0=map_value()\n2: (0f) r1 += r0\n";
        let origin = |insns: &[Insn]| involved_registers(log, insns, 2, "R0 pointer arithmetic")[0].origin;
        assert_eq!(origin(&insns), Some(Origin::Made(1)));
        // A release store makes nothing.
        let store = Insn::new(0xdb, 10, 0, -8, 0x110);
        assert_eq!(origin(&[insns[0], store, add]), Some(Origin::Made(0)));
    }

    #[test]
    fn states_with_blanks_stay_whole() {
        assert_eq!(registers("R0_w=scalar(var_off=(0x0; 0xff)) R10=fp0")[0], (0, "scalar(var_off=(0x0; 0xff))".into()));
    }
}
