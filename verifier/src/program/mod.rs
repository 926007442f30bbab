//! What is known of the program being verified besides its text: by instruction, by function, by map.

mod attach;
mod ctx_use;
mod insn_aux;
mod maps;
mod subprog;

pub use attach::AttachInfo;
pub use ctx_use::CtxUse;
pub use insn_aux::InsnAux;
pub use maps::UsedMap;
pub(crate) use maps::{CGROUP_STORAGES, JUMP_SIZE, SEVERAL_MAPS};
pub use subprog::{GlobalArg, SubprogInfo};
