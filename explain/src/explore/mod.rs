//! A recorded walk or run to look at step by step, forwards and backwards: what the debugger and the page show.

mod html;
mod origin;
mod record;
mod run;
mod session;

pub use html::page;
pub use record::Walk;
pub use run::RunSteps;
pub use session::{Answer, Session};

use crate::functions;
use crate::source::line_of;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{alu, class, mode, pseudo};
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::log::plain_insn_text;
use serde::Serialize;
use std::collections::HashMap;

/// A register (`0` to `10`), or eight bytes of the frame at a negative offset from its top.
pub type Location = i32;

/// `r3` or `fp-8`.
pub fn location_name(location: Location) -> String {
    if location >= 0 { format!("r{location}") } else { format!("fp{location}") }
}

/// The location that a name means: `r3`, `R3`, `fp-8`.
pub fn location_of(name: &str) -> Option<Location> {
    let name = name.to_ascii_lowercase();
    if let Some(offset) = name.strip_prefix("fp") {
        return offset.parse().ok().filter(|o: &i32| *o < 0);
    }
    name.strip_prefix('r')?.parse().ok().filter(|r| (0..=10).contains(r))
}

/// An instruction of the program.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InsnRow {
    /// Its text; empty for the second half of a wide one.
    #[serde(rename = "t")]
    pub text: String,
    /// Its line, by index.
    #[serde(rename = "l")]
    pub line: Option<usize>,
    /// Its function, by index.
    #[serde(rename = "p")]
    pub function: usize,
    /// What it writes.
    #[serde(rename = "w")]
    pub writes: Vec<Location>,
    /// The location that what it writes is a copy of.
    #[serde(rename = "f")]
    pub copies: Option<Location>,
}

/// A line of source that has instructions: file by index, number from 1, text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineRow(pub usize, pub u32, pub String);

/// A value that a location has: text by index in [`Exploration::values`], or -1 for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change(pub Location, pub i64);

/// One step: slot, step before (-1 at the start), calls that are open, what differs from the step before, and whether all
/// of the frame is listed instead. Values are those before the instruction.
#[derive(Clone, Debug, Serialize)]
pub struct Step(pub usize, pub i64, pub usize, pub Vec<Change>, pub bool);

/// A path: its last step, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathEnd(pub usize, pub String);

/// A recorded walk or run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Exploration {
    /// The program.
    pub program: String,
    /// What came of it.
    pub verdict: String,
    /// Slot of the instruction that was refused.
    pub rejected: Option<usize>,
    /// The recording reached its limit: not everything is there.
    pub cut: bool,
    /// Names of files.
    pub files: Vec<String>,
    /// Lines with instructions, in the order of files and numbers.
    pub lines: Vec<LineRow>,
    /// Names of functions.
    pub functions: Vec<String>,
    /// The instructions by slot.
    pub insns: Vec<InsnRow>,
    /// Texts of values.
    pub values: Vec<String>,
    /// Steps; the step before another has a lower index.
    pub steps: Vec<Step>,
    /// Paths, in the order in which they ended.
    pub paths: Vec<PathEnd>,
}

impl Exploration {
    /// The program's texts, with no step yet.
    pub fn of(object: &Object, program: &Program) -> Self {
        let names = functions::functions(object, program);
        let mut this = Self { program: program.name.clone(), ..Self::default() };
        let mut places: Vec<Option<(String, u32)>> = Vec::with_capacity(program.insns.len());
        let mut texts: HashMap<(String, u32), String> = HashMap::new();
        for slot in 0..program.insns.len() {
            let line = object.btf.as_deref().and_then(|btf| line_of(program, btf, slot));
            places.push(line.map(|l| {
                let key = (l.file, l.line);
                texts.entry(key.clone()).or_insert(l.text);
                key
            }));
        }
        let mut keys: Vec<&(String, u32)> = texts.keys().collect();
        keys.sort();
        let index: HashMap<&(String, u32), usize> = keys.iter().enumerate().map(|(n, key)| (*key, n)).collect();
        for key in &keys {
            if this.files.last() != Some(&key.0) {
                this.files.push(key.0.clone());
            }
            this.lines.push(LineRow(this.files.len() - 1, key.1, texts[*key].trim_end().to_owned()));
        }
        let mut wide = false;
        for (slot, insn) in program.insns.iter().enumerate() {
            let function = names.partition_point(|f| f.0 <= slot).saturating_sub(1);
            let line = places[slot].as_ref().and_then(|key| index.get(key).copied());
            let second = wide;
            wide = !second && insn.slots() == 2;
            let text = match second {
                true => String::new(),
                false => text_of(*insn, program.insns.get(slot + 1).copied(), slot, &names),
            };
            let (writes, copies) = if second { (Vec::new(), None) } else { flow(*insn) };
            this.insns.push(InsnRow { text, line, function, writes, copies });
        }
        this.functions = names.into_iter().map(|f| f.1).collect();
        this
    }

    /// The steps from the start to one of them.
    pub fn path_to(&self, step: usize) -> Vec<usize> {
        let mut path = vec![step];
        while let Ok(before) = usize::try_from(self.steps[path[path.len() - 1]].1) {
            path.push(before);
        }
        path.reverse();
        path
    }

    /// What the frame of a step of a path holds before it, by location.
    pub fn state(&self, path: &[usize], at: usize) -> std::collections::BTreeMap<Location, &str> {
        let whole = (0..=at).rev().find(|i| self.steps[path[*i]].4).unwrap_or(0);
        let mut state = std::collections::BTreeMap::new();
        for step in &path[whole..=at] {
            for Change(location, value) in &self.steps[*step].3 {
                match usize::try_from(*value).ok().and_then(|v| self.values.get(v)) {
                    Some(text) => state.insert(*location, text.as_str()),
                    None => state.remove(location),
                };
            }
        }
        state
    }
}

/// An instruction without its opcode, with the name of what it calls.
fn text_of(insn: Insn, next: Option<Insn>, slot: usize, names: &[(usize, String)]) -> String {
    let callee = |i: Insn| match i.src {
        0 => ebpfkit_abi::helper_name(u32::try_from(i.imm).ok()?).map(str::to_owned),
        pseudo::CALL => Some(functions::at(names, usize::try_from(i.function(slot)?).ok()?).to_owned()),
        _ => None,
    };
    plain_insn_text(insn, next, &callee)
}

/// The frame's top is r10, and eight bytes of it are a location.
fn stack_slot(offset: i16) -> Location {
    i32::from(offset).div_euclid(8) * 8
}

/// What an instruction writes, and what that is a copy of.
fn flow(insn: Insn) -> (Vec<Location>, Option<Location>) {
    let is_move = matches!(insn.class(), class::ALU | class::ALU64) && insn.op() == alu::MOV && insn.is_src_reg();
    match insn.class() {
        class::ST | class::STX if insn.dst == 10 && insn.mode() == mode::MEM => {
            let copies = (insn.class() == class::STX).then_some(i32::from(insn.src));
            return (vec![stack_slot(insn.off)], copies);
        }
        class::LDX if insn.src == 10 => return (vec![insn.dst.into()], Some(stack_slot(insn.off))),
        _ => {}
    }
    let writes = insn.writes();
    let writes = (0..=10u8).filter(|r| writes.contains(*r)).map(i32::from).collect();
    (writes, is_move.then_some(insn.src.into()))
}
