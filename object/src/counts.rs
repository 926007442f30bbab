//! What runs of programs have executed: the data that whoever runs them gathers, and coverage and profiles are made of.

/// What one program has executed, by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramCounts {
    /// The program's name.
    pub name: String,
    /// How often the instruction was executed.
    pub executed: Vec<u64>,
    /// How often it jumped, of conditional jumps.
    pub jumped: Vec<u64>,
    /// Nanoseconds that it took, what the measuring itself takes included.
    pub time_ns: Vec<u64>,
}

/// A function with those that called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call that this one was made from, by index, which is lower; a program that was entered from outside has none.
    pub caller: Option<usize>,
    /// The program, by index in [`Counts::programs`].
    pub program: usize,
    /// First slot of the function.
    pub function: usize,
    /// Instructions executed in the function itself.
    pub insns: u64,
    /// Nanoseconds spent in the function itself.
    pub time_ns: u64,
}

/// What runs have executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The programs that were entered, in that order.
    pub programs: Vec<ProgramCounts>,
    /// The tree of calls; callers stand before what they call.
    pub calls: Vec<Call>,
}

impl Counts {
    /// What a program has executed; nothing where it never ran.
    pub fn of(&self, name: &str) -> Option<&ProgramCounts> {
        self.programs.iter().find(|p| p.name == name)
    }
}
