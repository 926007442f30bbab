//! What is known of a value: known bits, bounds, kinds, and how operations change them. Nothing here knows of programs
//! or paths.

pub(crate) mod bounds;
pub(crate) mod compare;
pub mod numbers;
mod older;
mod ops;
pub mod reg;
pub mod tnum;
mod value;

pub use numbers::Numbers;
pub use reg::{BtfRef, DynptrKind, IterState, RegBase, RegExtra, RegState, RegType};
pub use tnum::Tnum;
pub use value::reg_type_str;
