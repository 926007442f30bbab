//! A text as one run of instructions.

use super::Unit;
use super::layout::Layout;
use super::resolve::{Outside, Resolved, encode_message, resolve};
use crate::error::Errors;
use ebpfkit_isa::{Endian, Insn, encode};

impl Unit<'_> {
    /// Every instruction of the text, in its order.
    pub(crate) fn insns(self, name: &str) -> Result<Vec<Insn>, Errors> {
        let (text, mut out) = (self.text, Vec::new());
        let mut layout = Layout::new(self);
        for insn in std::mem::take(&mut layout.insns) {
            let span = insn.span.clone();
            match resolve(&mut layout, &Outside::Nothing, insn) {
                Some((Resolved::Op(op), _)) => match encode(op) {
                    Ok((first, second)) => out.extend([Some(first), second].into_iter().flatten()),
                    Err(e) => layout.problem(span, encode_message(e), None),
                },
                Some((Resolved::Raw(slot), _)) => out.push(Insn::from_bytes(slot.to_le_bytes(), Endian::Little)),
                None => {}
            }
        }
        if layout.problems.is_empty() { Ok(out) } else { Err(Errors::new(name, text, layout.problems)) }
    }
}
