//! Frames that states share until one of them writes.

use super::FuncState;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

/// Frames without an owner that are kept to be filled again.
const MOST_SPARE: usize = 32;

thread_local! {
    /// A walk takes and drops a frame at nearly every instruction, and allocators are slow with what is as large.
    static SPARE: RefCell<Vec<Rc<FuncState>>> = const { RefCell::new(Vec::new()) };
}

/// A frame that copies share until one of them is written. The memory of those that nobody has any more is used again.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame(Option<Rc<FuncState>>);

impl Frame {
    /// The first of its copies.
    pub fn new(state: FuncState) -> Self {
        Self(Some(Rc::new(state)))
    }

    /// The frame, unshared for writing.
    pub fn make_mut(&mut self) -> &mut FuncState {
        let shared = self.0.as_mut().expect("there until it is dropped");
        if Rc::get_mut(shared).is_none() {
            let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten();
            *shared = match spare {
                Some(mut own) => {
                    Rc::make_mut(&mut own).clone_from(shared);
                    own
                }
                None => Rc::new(FuncState::clone(shared)),
            };
        }
        Rc::make_mut(shared)
    }
}

impl Deref for Frame {
    type Target = FuncState;

    #[inline]
    fn deref(&self) -> &FuncState {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut last) = self.0.take()
            && let Some(state) = Rc::get_mut(&mut last)
        {
            // The slots of its stack may be another's too.
            state.stack = super::Stack::default();
            // Without a place to keep it, the memory is given back.
            let _ = SPARE.try_with(|spare| {
                if let Ok(mut spare) = spare.try_borrow_mut()
                    && spare.len() < MOST_SPARE
                {
                    spare.push(last);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;
    use crate::domain::RegState;
    use crate::state::FuncState;

    #[test]
    fn copies_are_apart_once_one_is_written() {
        let mut first = Frame::new(FuncState::new(-1, 0, 0));
        first.make_mut().stack.grow(16);
        for round in 0..100u64 {
            let mut second = first.clone();
            second.make_mut().regs[1] = RegState::known(round);
            second.make_mut().stack.grow(24);
            second.make_mut().stack.slots[0].spilled = RegState::known(round);
            assert_ne!(first, second);
            assert_eq!((first.stack.allocated(), second.stack.allocated()), (16, 24));
            assert_eq!(first.regs[1], RegState::NOT_INIT);
            // What a dropped frame held is not seen in the next one that takes its memory.
            let mut third = first.clone();
            drop(second);
            third.make_mut().regs[2] = RegState::known(round);
            assert_eq!((third.regs[1], third.stack.allocated()), (RegState::NOT_INIT, 16));
        }
    }
}
