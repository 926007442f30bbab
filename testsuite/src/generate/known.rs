//! What the generator knows of registers and stack while it writes a program.

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing that may be read.
    Uninit,
    /// A number of which nothing is known.
    Scalar,
    /// A number from 0 to this.
    UpTo(u32),
    /// The context.
    Ctx,
    /// Memory that may be read and written: what it is, and how many bytes are left.
    Memory { of: Memory, size: u16 },
    /// A packet pointer behind which so many bytes have been proved.
    Packet { proved: u16 },
}

impl Value {
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Scalar | Self::UpTo(_))
    }

    /// What is known when either may be true.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::UpTo(a), Self::UpTo(b)) => Self::UpTo(a.max(b)),
            (a, b) if a.is_number() && b.is_number() => Self::Scalar,
            (Self::Packet { proved: a }, Self::Packet { proved: b }) => Self::Packet { proved: a.min(b) },
            _ => Self::Uninit,
        }
    }
}

/// What a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// A value of a map, by number.
    Value(usize),
    /// The caller's stack.
    Frame,
    /// A record of a ring buffer that was reserved.
    Record,
    /// Part of a dynamic pointer's memory.
    Slice,
}

/// What eight bytes of stack hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing yet.
    Empty,
    /// Bytes.
    Data,
    /// A whole register.
    Spill(Value),
}

/// Slots that a generated frame uses.
pub(super) const SLOTS: usize = 12;

/// Chance in 1000 that a number is carried on in a loop that has to converge.
const CARRIED: u32 = 150;

/// Registers and stack of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) regs: [Value; 10],
    pub(super) slots: [Slot; SLOTS],
    /// Registers that must keep their value for now, as a bit mask.
    pub(super) reserved: u16,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { regs: [Value::Uninit; 10], slots: [Slot::Empty; SLOTS], reserved: 0 }
    }

    /// Registers that fit.
    pub(super) fn regs_where(&self, fits: impl Fn(Value) -> bool) -> Vec<u8> {
        (0..10u8).filter(|&r| fits(self.regs[r as usize])).collect()
    }

    /// Registers that may be written.
    pub(super) fn free(&self) -> Vec<u8> {
        (0..10u8).filter(|r| self.reserved >> r & 1 == 0).collect()
    }

    /// What remains true whichever of two ways led here.
    pub(super) fn merge(&mut self, other: &Self) {
        for (a, b) in self.regs.iter_mut().zip(other.regs) {
            *a = a.or(b);
        }
        for (a, &b) in self.slots.iter_mut().zip(&other.slots) {
            *a = match (*a, b) {
                (x, y) if x == y => x,
                (Slot::Spill(x), Slot::Spill(y)) if x.is_number() && y.is_number() => Slot::Spill(x.or(y)),
                (Slot::Data, Slot::Spill(x)) | (Slot::Spill(x), Slot::Data) if x.is_number() => Slot::Data,
                _ => Slot::Empty,
            };
        }
    }

    /// Forgets most registers and slots that may change: a loop that carries little on from round to round is one
    /// whose states converge.
    pub(super) fn carry_little(&mut self, source: &mut impl super::Source) {
        for (r, v) in self.regs.iter_mut().enumerate() {
            if self.reserved >> r & 1 == 0 && !source.chance(CARRIED) {
                *v = Value::Uninit;
            }
        }
        for s in self.slots.iter_mut().filter(|_| !source.chance(CARRIED)) {
            *s = Slot::Empty;
        }
    }

    /// What is true at the head of a loop whose body may change everything that is not reserved: numbers stay
    /// numbers, everything else is forgotten.
    pub(super) fn at_loop_head(&mut self) {
        for (r, v) in self.regs.iter_mut().enumerate() {
            if self.reserved >> r & 1 == 0 {
                *v = if v.is_number() { Value::Scalar } else { Value::Uninit };
            }
        }
        for s in &mut self.slots {
            *s = match *s {
                Slot::Spill(v) if v.is_number() => Slot::Data,
                Slot::Data => Slot::Data,
                _ => Slot::Empty,
            };
        }
    }

    /// Nothing points into this memory any more.
    pub(super) fn forget(&mut self, memory: Memory) {
        let is_gone = |v: &Value| matches!(v, Value::Memory { of, .. } if *of == memory);
        for v in self.regs.iter_mut().filter(|v| is_gone(v)) {
            *v = Value::Uninit;
        }
        for s in &mut self.slots {
            if matches!(s, Slot::Spill(v) if is_gone(v)) {
                *s = Slot::Empty;
            }
        }
    }

    /// The packet has moved or has another length.
    pub(super) fn forget_packet(&mut self) {
        let is_gone = |v: &Value| matches!(v, Value::Packet { .. });
        for v in self.regs.iter_mut().filter(|v| is_gone(v)) {
            *v = Value::Uninit;
        }
        for s in &mut self.slots {
            if matches!(s, Slot::Spill(v) if is_gone(v)) {
                *s = Slot::Empty;
            }
        }
    }

    /// A call leaves r0 with a result and nothing in r1 to r5.
    pub(super) fn after_call(&mut self, result: Value) {
        self.regs[..6].fill(Value::Uninit);
        self.regs[0] = result;
    }
}
