//! Programs made smaller while something stays true of them: what is left of a long random program then shows what
//! mattered.

use ebpfkit_asm::{Style, Syntax, assemble_object, listing};
use ebpfkit_object::Prepared;

use crate::running;

/// A program with its maps as text that the assembler reads back, without instruction numbers.
pub fn text(prepared: &Prepared) -> String {
    let style = Style { syntax: Syntax::PseudoC, declarations: true, ..Style::default() };
    let all: Vec<usize> = (0..prepared.object.programs.len()).collect();
    let unnumbered = |line: &str| match line.split_once(": ") {
        Some((number, rest)) if number.trim().parse::<u32>().is_ok() => format!("    {rest}\n"),
        _ => format!("{line}\n"),
    };
    listing(&prepared.object, &all, style).lines().map(unnumbered).collect()
}

/// The program that a text assembles to; `None` where it is no program.
pub fn assemble(name: &str, text: &str) -> Option<Prepared> {
    running::prepare(assemble_object(name, text).ok()?).ok()
}

/// Leaves out lines of `text` as long as `holds` says so of what remains: first large runs of lines, then single ones.
/// The result holds if `text` does.
pub fn lines(text: &str, mut holds: impl FnMut(&str) -> bool) -> String {
    let mut kept: Vec<&str> = text.lines().collect();
    let mut run = kept.len().div_ceil(2);
    loop {
        let mut at = 0;
        let before = kept.len();
        while at < kept.len() {
            let end = (at + run).min(kept.len());
            let rest: Vec<&str> = kept[..at].iter().chain(&kept[end..]).copied().collect();
            if holds(&concatenated(&rest)) {
                kept = rest;
            } else {
                at = end;
            }
        }
        // A line may be free to go only after a later one went.
        if run == 1 && kept.len() == before {
            return concatenated(&kept);
        }
        run = run.div_ceil(2);
    }
}

fn concatenated(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_matters_is_left() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        let holds = |t: &str| t.contains("17\n") && t.contains("80\n");
        assert_eq!(lines(&text, holds), "17\n80\n");
    }
}
