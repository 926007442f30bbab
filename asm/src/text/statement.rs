//! What a statement says, before names have been looked up.

use ebpfkit_isa::{Op, Width};
use std::ops::Range;

/// A register as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register {
    pub width: Width,
    /// Up to 255; only 0 to 10 exist.
    pub number: u8,
}

/// Something and where it stands, in bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// A sum of numbers and at most one name that is no constant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum<'t> {
    pub name: Option<At<&'t str>>,
    pub number: i128,
    /// It begins with a sign.
    pub signed: bool,
}

/// Where a jump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'t> {
    /// So many slots behind the next instruction.
    Distance(i128),
    /// A label.
    Label(&'t str),
    /// The nearest label of this number; forward or backward.
    Near(u32, bool),
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Callee<'t> {
    /// A helper by number.
    Helper(i128),
    /// A function of the text, a helper or a function of the kernel.
    Name(&'t str),
    /// A function of the text.
    Local(Target<'t>),
    /// A function of the kernel by BTF id, and the index of its module's descriptor.
    Kernel(i128, i128),
    /// A name and number from the kernel's log.
    Logged(&'t str, u32),
}

/// What stands in brackets behind `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MapKey<'t> {
    /// Name of a map of the text.
    Name(&'t str),
    /// A file descriptor, or inside an object the map's index.
    Descriptor(i128),
    /// An index into the load's array of descriptors.
    Index(i128),
}

/// What a 64-bit load names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wide<'t> {
    /// A variable, map or function of the text, and a number added to it.
    Symbol(&'t str, i128),
    /// A map.
    Map(MapKey<'t>),
    /// An offset in the first value of a map.
    Value(MapKey<'t>, i128),
    /// A function of the text.
    Function(Target<'t>),
    /// A variable of the kernel by BTF id, and the descriptor of its module's BTF.
    Kernel(i128, i128),
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Draft<'t> {
    /// Nothing is left to look up.
    Op(Op),
    /// A jump whose distance is still zero.
    Jump(Op, At<Target<'t>>),
    /// A call.
    Call(At<Callee<'t>>),
    /// A 64-bit load of something named.
    Wide(u8, At<Wide<'t>>),
    /// A slot's eight bytes as they stand in memory, whatever they mean.
    Raw(u64),
    /// It is wrong, which has been said.
    Broken,
}

impl Draft<'_> {
    /// Slots that it takes.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Op(Op::LoadImm64 { .. }) | Self::Wide(..) => 2,
            _ => 1,
        }
    }
}
