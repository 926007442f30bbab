//! Names of what registers point to.

use ebpfkit_object::btf::BtfRef;
use ebpfkit_object::{Btf, Map, Object};
use ebpfkit_verifier::{KernelModel, RegState};

/// Names of what registers point to.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) kernel: &'a KernelModel,
    pub(crate) object: &'a Object,
    /// Numbers of the maps in the object, by their numbers in the verification.
    pub(crate) maps: &'a [usize],
}

impl<'a> Names<'a> {
    /// The map of a register: by its number in the verification.
    pub(crate) fn map(&self, reg: &RegState) -> Option<&'a Map> {
        let number = *self.maps.get(reg.map()? as usize)?;
        self.object.maps.get(number)
    }

    /// The types that a typed pointer's is one of.
    pub(crate) fn types(&self, origin: BtfRef) -> Option<&'a Btf> {
        match origin {
            BtfRef::Vmlinux => self.kernel.btf().map(|types| &**types),
            BtfRef::Program => self.object.btf.as_deref(),
        }
    }

    /// The name of the struct of a typed pointer.
    pub(crate) fn struct_name(&self, reg: &RegState) -> Option<String> {
        let (origin, id) = reg.btf()?;
        Some(self.types(origin)?.name(id).to_owned()).filter(|n| !n.is_empty())
    }
}
