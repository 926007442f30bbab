//! What the log says while paths are walked: instructions, source lines, states that changed, starts and ends of
//! paths.

use crate::Env;
use crate::log::state::Scratched;
use crate::state::VerifierState;

/// States after an instruction stand in this column, or later by a multiple of [`TAB`].
const COLUMN: usize = 40;
const TAB: usize = 8;

fn speculative(state: &VerifierState) -> &'static str {
    if state.speculative { " (speculative execution)" } else { "" }
}

impl Env<'_> {
    /// Prints an instruction that is about to be verified, with the state where it changed and the source line where
    /// a new one starts.
    pub(crate) fn log_step(&mut self, at: usize) {
        let frame = self.path.state.curframe();
        if self.log_level() > 1 && std::mem::take(&mut self.tables.trace.announce) {
            let state = self.fmt_state(&self.path.state, frame, Scratched::All);
            let from = self.path.state.last_insn_idx;
            let how = speculative(&self.path.state);
            self.verbose(format_args!("\nfrom {from} to {at}{how}:{state}\n"));
        }
        if self.tables.trace.regs != 0 || self.tables.trace.slots != 0 {
            self.log_insn_state();
        }
        self.log_line(at, "; ");
        let before = self.observer.position();
        self.verbose(format_args!("{at}: "));
        self.log_insn(at);
        let after = self.observer.position();
        self.tables.trace.insn_width = after - before;
        self.tables.trace.after_insn = Some(after);
    }

    /// Prints what the last instruction changed, behind it if nothing else was printed since.
    pub(crate) fn log_insn_state(&mut self) {
        if self.log_level() == 0 {
            return;
        }
        let (regs, slots) = (std::mem::take(&mut self.tables.trace.regs), std::mem::take(&mut self.tables.trace.slots));
        let frame = self.path.state.curframe();
        let state = self.fmt_state(&self.path.state, frame, Scratched::Some { regs, slots });
        let position = self.observer.position();
        if self.tables.trace.after_insn == Some(position) {
            self.observer.rewind(position - 1);
            let width = self.tables.trace.insn_width;
            let spaces = (width + TAB / 2).max(COLUMN).next_multiple_of(TAB) - width - 1;
            self.verbose(format_args!("{:spaces$};{state}\n", ' '));
        } else {
            let at = self.path.state.insn_idx;
            self.verbose(format_args!("{at}:{state}\n"));
        }
    }

    /// Prints the source line that an instruction belongs to, unless it was the last to be printed.
    pub(crate) fn log_line(&mut self, at: usize, prefix: &str) {
        if self.log_level() == 0 {
            return;
        }
        let lines = &self.prog().line_info;
        let Some(index) = lines.partition_point(|l| l.insn as usize <= at).checked_sub(1) else { return };
        let position_of = |i: usize| (lines[i].file_name, lines[i].line);
        if self.tables.trace.line.is_some_and(|last| position_of(last) == position_of(index)) {
            return;
        }
        let (line, Some(btf)) = (lines[index], self.btf()) else { return };
        let file = btf.str_at(line.file_name);
        let file = file.rsplit('/').next().unwrap_or(file);
        let text = btf.str_at(line.line_text).trim_start();
        self.verbose(format_args!("{prefix}{text} @ {file}:{}\n", line.line));
        self.tables.trace.line = Some(index);
    }

    /// Prints that the path ends because a saved state allows all of it.
    pub(crate) fn log_pruned(&mut self) {
        if self.log_level() == 0 {
            return;
        }
        let (from, at) = (self.path.state.last_insn_idx, self.path.state.insn_idx);
        if self.tables.trace.announce {
            let how = speculative(&self.path.state);
            self.verbose(format_args!("\nfrom {from} to {at}{how}: safe\n"));
        } else {
            self.verbose(format_args!("{at}: safe\n"));
        }
    }

    /// Prints both frames after a function was entered.
    pub(crate) fn log_enter(&mut self) {
        if self.log_level() == 0 {
            return;
        }
        self.tables.trace.all();
        let frame = self.path.state.curframe();
        let caller = self.fmt_state(&self.path.state, frame - 1, Scratched::All);
        let callee = self.fmt_state(&self.path.state, frame, Scratched::All);
        self.verbose(format_args!("caller:\n{caller}\ncallee:\n{callee}\n"));
    }

    /// Prints both frames before a function is left for the instruction at `to`.
    pub(crate) fn log_leave(&mut self, to: usize) {
        if self.log_level() == 0 {
            return;
        }
        let frame = self.path.state.curframe();
        let callee = self.fmt_state(&self.path.state, frame, Scratched::All);
        let caller = self.fmt_state(&self.path.state, frame - 1, Scratched::All);
        self.verbose(format_args!("returning from callee:\n{callee}\nto caller at {to}:\n{caller}\n"));
    }
}
