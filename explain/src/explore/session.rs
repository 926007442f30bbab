//! A debugger's session: commands as text, answers as text.

use super::origin::origin;
use super::{Change, Exploration, Location, location_name, location_of};
use std::fmt::Write;

/// Paths listed at once.
const MOST_PATHS: usize = 50;
/// Lines of source or instructions shown around the current one.
const AROUND: usize = 5;

const HELP: &str = "\
step [N], s      N steps on                     back [N], b      N steps back
next, n          on to another line             prev, p          back to another line
continue, c      on to a breakpoint or the end  reverse, rc      back to a breakpoint or the start
start, end       first and last step            jump N           to step N of the path
break PLACE      stop there: a line (12, f.c:12) or an instruction (#7); with `if r3 TEXT` only where r3's value
                 has that text in it            breaks, delete N list, remove breakpoints
where, w         the current step               state            all values of the frame
print X, x       the value of r3 or fp-8        origin X, o      the steps that it came from
list, l          source around the step         insns, i         instructions around the step
paths            the paths that were walked     path N           look at another one
help, h          this text                      quit, q          end
Nothing repeats the last command.
";

/// What a command gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Text to show, with its line ends.
    pub text: String,
    /// The session ends.
    pub quits: bool,
}

/// Where to stop.
#[derive(Clone, Debug)]
struct Breakpoint {
    /// As it was written.
    text: String,
    /// Slots.
    insns: Vec<usize>,
    /// A location, and what its value has to contain.
    condition: Option<(Location, String)>,
}

/// A look at an exploration from one step of one path.
pub struct Session {
    exploration: Exploration,
    path: Vec<usize>,
    position: usize,
    chosen: usize,
    breakpoints: Vec<Breakpoint>,
    last: String,
}

impl Session {
    /// Begins at the end of the last path, which is where a program was refused, or at the start of an accepted one.
    pub fn new(exploration: Exploration) -> Self {
        let chosen = exploration.paths.len().saturating_sub(1);
        let mut this =
            Self { exploration, path: Vec::new(), position: 0, chosen, breakpoints: Vec::new(), last: "help".into() };
        this.choose(chosen);
        if this.exploration.rejected.is_none() {
            this.position = 0;
        }
        this
    }

    /// What is looked at.
    pub fn exploration(&self) -> &Exploration {
        &self.exploration
    }

    /// The steps of the path, and the position of the current one.
    pub fn path(&self) -> (&[usize], usize) {
        (&self.path, self.position)
    }

    /// Slots at which the session stops.
    pub fn stops_at(&self, insn: usize) -> bool {
        self.breakpoints.iter().any(|b| b.insns.contains(&insn))
    }

    fn choose(&mut self, path: usize) {
        let Some(end) = self.exploration.paths.get(path) else { return };
        (self.chosen, self.path) = (path, self.exploration.path_to(end.0));
        self.position = self.path.len().saturating_sub(1);
    }

    /// Runs a command; an empty one repeats the last.
    pub fn execute(&mut self, command: &str) -> Answer {
        let command = match command.trim() {
            "" => self.last.clone(),
            command => command.to_owned(),
        };
        self.last.clone_from(&command);
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((&command, ""));
        let rest = rest.trim();
        if self.path.is_empty() && !matches!(name, "quit" | "q" | "help" | "h") {
            return Answer { text: "no step was recorded\n".into(), quits: false };
        }
        let result = match name {
            "step" | "s" => self.count(rest).map(|n| self.go(self.position.saturating_add(n))),
            "back" | "b" => self.count(rest).map(|n| self.go(self.position.saturating_sub(n))),
            "next" | "n" => Ok(self.go_to_other_line(true)),
            "prev" | "p" => Ok(self.go_to_other_line(false)),
            "continue" | "c" => Ok(self.run(true)),
            "reverse" | "rc" => Ok(self.run(false)),
            "start" => Ok(self.go(0)),
            "end" => Ok(self.go(usize::MAX)),
            "jump" => rest.parse().map(|n| self.go(n)).map_err(|_| format!("jump {rest}: expected a number")),
            "break" => self.add_break(rest),
            "breaks" => Ok(self.breaks()),
            "delete" => self.delete(rest),
            "where" | "w" => Ok(self.position_text()),
            "state" => Ok(self.state()),
            "print" | "x" => self.print(rest),
            "origin" | "o" => self.origin(rest),
            "list" | "l" => Ok(self.list()),
            "insns" | "i" => Ok(self.insns()),
            "paths" => Ok(self.paths()),
            "path" => self.choose_path(rest),
            "help" | "h" => Ok(HELP.to_owned()),
            "quit" | "q" => return Answer { text: String::new(), quits: true },
            other => Err(format!("{other}: no such command; `help` lists them")),
        };
        let text = result.unwrap_or_else(|e| format!("error: {e}\n"));
        Answer { text, quits: false }
    }

    fn count(&self, text: &str) -> Result<usize, String> {
        if text.is_empty() { Ok(1) } else { text.parse().map_err(|_| format!("{text}: expected a number")) }
    }

    fn insn_at(&self, position: usize) -> usize {
        self.exploration.steps[self.path[position]].0
    }

    fn line_at(&self, position: usize) -> Option<usize> {
        self.exploration.insns[self.insn_at(position)].line
    }

    fn go(&mut self, to: usize) -> String {
        self.position = to.min(self.path.len() - 1);
        self.position_text()
    }

    /// On, or back, to the first step of another line.
    fn go_to_other_line(&mut self, forwards: bool) -> String {
        let here = self.line_at(self.position);
        let other = |i: &usize| here.is_none() || self.line_at(*i) != here;
        let found = match forwards {
            true => (self.position + 1..self.path.len()).find(other).unwrap_or(self.path.len() - 1),
            false => {
                // The start of the stretch of the line before.
                let last = (0..self.position).rev().find(other).unwrap_or(0);
                let line = self.line_at(last);
                (0..=last).rev().take_while(|i| self.line_at(*i) == line).last().unwrap_or(last)
            }
        };
        self.go(found)
    }

    /// On, or back, to a breakpoint or the end of the path.
    fn run(&mut self, forwards: bool) -> String {
        let stops = |i: &usize| self.breakpoints.iter().any(|b| self.hits(b, *i));
        let (found, end) = match forwards {
            true => ((self.position + 1..self.path.len()).find(stops), self.path.len() - 1),
            false => ((0..self.position).rev().find(stops), 0),
        };
        self.go(found.unwrap_or(end))
    }

    fn hits(&self, breakpoint: &Breakpoint, position: usize) -> bool {
        breakpoint.insns.contains(&self.insn_at(position))
            && breakpoint.condition.as_ref().is_none_or(|(location, text)| {
                let state = self.exploration.state(&self.path, position);
                state.get(location).is_some_and(|value| value.contains(text.as_str()))
            })
    }

    fn add_break(&mut self, text: &str) -> Result<String, String> {
        let (location, condition) = match text.split_once(" if ") {
            Some((location, condition)) => (location.trim(), Some(condition.trim())),
            None => (text, None),
        };
        let condition = match condition {
            None => None,
            Some(c) => {
                let (name, value) = c.split_once(char::is_whitespace).ok_or("expected `if r3 TEXT`")?;
                let location = location_of(name).ok_or_else(|| format!("{name}: expected r0 to r10 or fp-8"))?;
                Some((location, value.trim().to_owned()))
            }
        };
        let insns = self.insns_of(location)?;
        self.breakpoints.push(Breakpoint { text: text.to_owned(), insns, condition });
        Ok(format!("breakpoint {}: {text}\n", self.breakpoints.len()))
    }

    /// The slots of a place: a line's are where each stretch of its instructions begins.
    fn insns_of(&self, location: &str) -> Result<Vec<usize>, String> {
        let e = &self.exploration;
        if let Some(slot) = location.strip_prefix('#') {
            let slot: usize = slot.parse().map_err(|_| format!("{location}: expected the number of an instruction"))?;
            return match e.insns.get(slot).is_some_and(|i| !i.text.is_empty()) {
                true => Ok(vec![slot]),
                false => Err(format!("{location}: the program has no such instruction")),
            };
        }
        let (file, number) = location.rsplit_once(':').map_or((None, location), |(f, n)| (Some(f), n));
        let number: u32 =
            number.parse().map_err(|_| format!("{location}: expected a line (12, f.c:12) or an instruction (#7)"))?;
        let is_meant = |line: usize| {
            let row = &e.lines[line];
            row.1 == number && file.is_none_or(|f| e.files[row.0].ends_with(f))
        };
        let own = |slot: usize| e.insns[slot].line.is_some_and(is_meant);
        let insns: Vec<usize> = (0..e.insns.len()).filter(|s| own(*s) && !(*s > 0 && own(s - 1))).collect();
        if insns.is_empty() { Err(format!("{location}: no instruction belongs to that line")) } else { Ok(insns) }
    }

    fn breaks(&self) -> String {
        let mut out = String::new();
        for (n, b) in self.breakpoints.iter().enumerate() {
            let _ = writeln!(out, "{}: {}", n + 1, b.text);
        }
        if out.is_empty() { "no breakpoints\n".into() } else { out }
    }

    fn delete(&mut self, text: &str) -> Result<String, String> {
        let n: usize = text.parse().map_err(|_| format!("{text}: expected the number of a breakpoint"))?;
        if n == 0 || n > self.breakpoints.len() {
            return Err(format!("there is no breakpoint {n}"));
        }
        let gone = self.breakpoints.remove(n - 1);
        Ok(format!("removed: {}\n", gone.text))
    }

    /// The current step with its line, and what differs from the step before.
    pub fn position_text(&self) -> String {
        let e = &self.exploration;
        let step = &e.steps[self.path[self.position]];
        let mut out = format!("step {} of {}", self.position, self.path.len() - 1);
        if step.2 > 0 {
            let _ = write!(out, ", {} calls deep", step.2);
        }
        if self.position + 1 == self.path.len()
            && let Some(end) = e.paths.get(self.chosen)
        {
            let _ = write!(out, " ({})", end.1);
        }
        out.push('\n');
        if let Some(line) = e.insns[step.0].line {
            let row = &e.lines[line];
            let _ = writeln!(out, "{}:{}: {}", e.files[row.0], row.1, row.2.trim());
        }
        let _ = writeln!(out, "{:>5}: {}", step.0, e.insns[step.0].text);
        if !step.4 {
            for Change(location, value) in &step.3 {
                let value = usize::try_from(*value).ok().and_then(|v| e.values.get(v));
                let value = value.map_or("nothing any more", String::as_str);
                let _ = writeln!(out, "       {} is now {value}", location_name(*location));
            }
        }
        out
    }

    fn state(&self) -> String {
        let state = self.exploration.state(&self.path, self.position);
        // Registers upwards, then the stack from its top down.
        let (stack, regs): (Vec<_>, Vec<_>) = state.iter().partition(|s| *s.0 < 0);
        let lines = regs.iter().chain(stack.iter().rev());
        lines.map(|(location, value)| format!("{:>7}: {value}\n", location_name(**location))).collect()
    }

    fn location(&self, text: &str) -> Result<Location, String> {
        location_of(text).ok_or_else(|| format!("{text}: expected r0 to r10 or fp-8"))
    }

    fn print(&self, text: &str) -> Result<String, String> {
        let location = self.location(text)?;
        let state = self.exploration.state(&self.path, self.position);
        let value = state.get(&location).copied().unwrap_or("nothing that was ever set");
        Ok(format!("{}: {value}\n", location_name(location)))
    }

    fn origin(&self, text: &str) -> Result<String, String> {
        let location = self.location(text)?;
        let e = &self.exploration;
        let found = origin(e, &self.path, self.position, location);
        if found.is_empty() {
            return Ok(format!("{}: it was there when the function began\n", location_name(location)));
        }
        let mut out = String::new();
        for i in found {
            let insn = self.insn_at(i);
            let _ = write!(out, "step {i}: {insn}: {}", e.insns[insn].text);
            if let Some(line) = e.insns[insn].line {
                let row = &e.lines[line];
                let _ = write!(out, "    {}:{}: {}", e.files[row.0], row.1, row.2.trim());
            }
            out.push('\n');
        }
        Ok(out)
    }

    fn list(&self) -> String {
        let e = &self.exploration;
        let Some(here) = self.line_at(self.position) else { return "the instruction has no line\n".into() };
        let rows = e.lines.iter().enumerate().skip(here.saturating_sub(AROUND)).take(2 * AROUND + 1);
        let mut out = String::new();
        for (n, row) in rows.filter(|(_, row)| row.0 == e.lines[here].0) {
            let _ = writeln!(out, "{} {:>5} | {}", if n == here { '>' } else { ' ' }, row.1, row.2);
        }
        out
    }

    fn insns(&self) -> String {
        let here = self.insn_at(self.position);
        let rows = self.exploration.insns.iter().enumerate().skip(here.saturating_sub(AROUND)).take(2 * AROUND + 1);
        let mut out = String::new();
        for (slot, row) in rows.filter(|(_, row)| !row.text.is_empty()) {
            let _ = writeln!(out, "{} {slot:>5}: {}", if slot == here { '>' } else { ' ' }, row.text);
        }
        out
    }

    fn paths(&self) -> String {
        let e = &self.exploration;
        let mut out = String::new();
        let hidden = e.paths.len().saturating_sub(MOST_PATHS);
        if hidden > 0 {
            let _ = writeln!(out, "  {hidden} paths before these");
        }
        for (n, end) in e.paths.iter().enumerate().skip(hidden) {
            let mark = if n == self.chosen { '>' } else { ' ' };
            let steps = e.path_to(end.0).len();
            let _ =
                writeln!(out, "{mark} path {}: {steps} steps, {} at instruction {}", n + 1, end.1, e.steps[end.0].0);
        }
        if e.cut {
            out.push_str("the recording reached its limit: earlier paths are not there\n");
        }
        out
    }

    fn choose_path(&mut self, text: &str) -> Result<String, String> {
        let n: usize = text.parse().map_err(|_| format!("{text}: expected the number of a path"))?;
        if n == 0 || n > self.exploration.paths.len() {
            return Err(format!("there is no path {n}"));
        }
        self.choose(n - 1);
        Ok(self.position_text())
    }
}
