//! What has been found out about types.

use ebpfkit_object::btf::TypeId;
use ebpfkit_object::record::Record;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// What has been found out about types.
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// Special fields of the program's structs; `None` for plain ones.
    pub(crate) records: RefCell<FxHashMap<TypeId, Option<Rc<Record>>>>,
}
