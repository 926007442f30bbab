//! What libbpf mends in the types of an object before the kernel sees them: clang does not know the layout of data
//! sections, and hidden functions are static for the verifier.

use super::{Btf, Kind};
use ebpfkit_isa::Endian;
use std::sync::Arc;

/// Bytes of a section and offsets of its variables, as the symbol table has them.
pub struct SectionLayout<'a> {
    /// Bytes of a section by name; `None` for sections that the file does not have.
    pub size: &'a dyn Fn(&str) -> Option<u32>,
    /// Offset in its section of a variable by name.
    pub offset: &'a dyn Fn(&str) -> Option<u32>,
}

impl Btf {
    fn put(&self, data: &mut [u8], at: usize, value: u32) {
        data[at..at + 4].copy_from_slice(&match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        });
    }

    fn changed(&self, data: Vec<u8>) -> Self {
        Self { data: data.into(), names: Arc::default(), tags: Arc::default(), ..self.clone() }
    }

    /// A copy whose data sections have the sizes and offsets of the symbol table; variables are sorted by offset.
    pub fn with_layout(&self, layout: &SectionLayout<'_>) -> Self {
        let mut data = self.data.to_vec();
        for id in 1..self.len() {
            let (Some(Kind::Datasec), Some(at)) = (self.kind(id), self.start(id)) else { continue };
            let Some(size) = (layout.size)(self.name(id)) else { continue };
            self.put(&mut data, at + 8, size);
            let mut vars: Vec<_> = self.sec_vars(id).collect();
            for var in &mut vars {
                var.offset = (layout.offset)(self.name(var.ty)).unwrap_or(var.offset);
            }
            vars.sort_by_key(|v| v.offset);
            for (i, var) in vars.iter().enumerate() {
                let entry = at + 12 + 12 * i;
                self.put(&mut data, entry, var.ty);
                self.put(&mut data, entry + 4, var.offset);
                self.put(&mut data, entry + 8, var.size);
            }
        }
        self.changed(data)
    }

    /// A copy in which the functions of these names have static linkage.
    pub fn with_static_functions(&self, names: &[&str]) -> Self {
        let mut data = self.data.to_vec();
        for id in 1..self.len() {
            if let (Some(Kind::Func), Some(at)) = (self.kind(id), self.start(id))
                && names.contains(&self.name(id))
            {
                // The linkage is the low half of the info word; static is zero.
                let low = if self.endian == Endian::Little { at + 4 } else { at + 6 };
                data[low..low + 2].fill(0);
            }
        }
        self.changed(data)
    }
}
