//! Lists and trees of objects.
//!
//! The links stand in the objects' own nodes, so that lists and trees in map values are shared by all runs. A tree is
//! ordered by the program's comparison and kept in balance by a number that follows from each node's address.
//!
//! A program that nobody has verified can write anything into its nodes. With checks a word is therefore used only where
//! it lies in the head, which the program may write, or in a living object of a program; and each step along the links
//! takes from the budget, so that a walk ends where they lead in a circle.

use crate::helpers::Row;
use crate::helpers::cx::{self, Ret};
use crate::helpers::heap;
use crate::{Errno, Fault, Run};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const ROWS: &[Row] = &[
    int!("bpf_list_push_front_impl", push_front),
    int!("bpf_list_push_back_impl", push_back),
    ("bpf_list_pop_front", pop_front),
    ("bpf_list_pop_back", pop_back),
    ("bpf_list_front", front),
    ("bpf_list_back", back),
    int!("bpf_rbtree_add_impl", tree_add),
    ("bpf_rbtree_remove", tree_remove),
    ("bpf_rbtree_first", tree_first),
    ("bpf_rbtree_root", tree_root),
    ("bpf_rbtree_left", tree_left),
    ("bpf_rbtree_right", tree_right),
];

/// Offsets in `struct bpf_list_node`; the head has the first two.
const NEXT: u64 = 0;
const PREV: u64 = 8;
const LIST_OWNER: u64 = 16;
/// Offsets in `struct bpf_rb_node`; the root has one word, the topmost node.
const PARENT: u64 = 0;
const RIGHT: u64 = 8;
const LEFT: u64 = 16;
const TREE_OWNER: u64 = 24;
/// Bytes of a head and of a root that are used.
const HEAD: u64 = 16;
const ROOT: u64 = 8;

/// What one step along the links takes from the budget; it costs as much as so many instructions.
const STEP: u64 = 32;

/// A list or a tree.
struct Graph<'r> {
    run: &'r mut Run,
    /// Address of the head or root.
    head: u64,
    /// Its bytes.
    len: u64,
}

impl<'r> Graph<'r> {
    fn new(run: &'r mut Run, head: u64, len: u64) -> Result<Self, Fault> {
        run.allow(head, len, true)?;
        Ok(Self { run, head, len })
    }

    /// A word of a node or of the head.
    fn word(&self, address: u64) -> Result<&'static AtomicU64, Fault> {
        let in_head = || address.wrapping_sub(self.head) < self.len;
        let known = || in_head() || heap::is_inside(heap::Kind::Own, address, 8);
        if !address.is_multiple_of(8) || self.run.is_checked() && !known() {
            return Err(cx::bad("a node of a list or tree that is no memory of an object"));
        }
        // SAFETY: the word is aligned. With checks it lies in the head, which is the run's to write as long as this
        // helper runs, or in an object, whose memory is never given back; without, the verifier has proved it.
        Ok(unsafe { AtomicU64::from_ptr(address as usize as *mut u64) })
    }

    fn get(&self, node: u64, at: u64) -> Result<u64, Fault> {
        Ok(self.word(node.wrapping_add(at))?.load(Ordering::Acquire))
    }

    fn set(&self, node: u64, at: u64, value: u64) -> Result<(), Fault> {
        self.word(node.wrapping_add(at))?.store(value, Ordering::Release);
        Ok(())
    }

    /// Pays for a step along the links.
    fn step(&mut self) -> Result<(), Fault> {
        self.run.spend(STEP)
    }

    /// Makes a node part of this; a node that already is part of something is dropped.
    fn own(&mut self, node: u64, owner_at: u64) -> Result<bool, Fault> {
        let owner = self.word(node.wrapping_add(owner_at))?;
        let free = owner.compare_exchange(0, self.head, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !free {
            cx::release_object(self.run, heap::Kind::Own, node);
        }
        Ok(free)
    }

    /// The object around a node, for the program to use.
    fn give(&mut self, node: u64) -> u64 {
        if let Some(object) = heap::object_at(node).filter(|o| o.kind == heap::Kind::Own) {
            cx::add_object_region(self.run, object);
        }
        node
    }

    /// What a word leads to, for the program to use.
    fn give_at(&mut self, node: u64, at: u64) -> Ret {
        let node = self.get(node, at)?;
        Ok(if node == 0 { 0 } else { self.give(node) })
    }
}

fn push(run: &mut Run, head: u64, node: u64, back: bool) -> Ret {
    let mut list = Graph::new(run, head, HEAD)?;
    if !list.own(node, LIST_OWNER)? {
        return cx::fail(Errno::EINVAL);
    }
    if list.get(head, NEXT)? == 0 {
        list.set(head, NEXT, head)?;
        list.set(head, PREV, head)?;
    }
    let (before, after) = if back { (list.get(head, PREV)?, head) } else { (head, list.get(head, NEXT)?) };
    list.set(node, PREV, before)?;
    list.set(node, NEXT, after)?;
    list.set(before, NEXT, node)?;
    list.set(after, PREV, node)?;
    Ok(0)
}

fn push_front(run: &mut Run, [head, node, ..]: [u64; 5]) -> Ret {
    push(run, head, node, false)
}

fn push_back(run: &mut Run, [head, node, ..]: [u64; 5]) -> Ret {
    push(run, head, node, true)
}

/// The node at an end of the list.
fn end(list: &Graph<'_>, side: u64) -> Result<Option<u64>, Fault> {
    let node = list.get(list.head, side)?;
    Ok((node != 0 && node != list.head).then_some(node))
}

fn pop(run: &mut Run, head: u64, side: u64) -> Ret {
    let mut list = Graph::new(run, head, HEAD)?;
    let Some(node) = end(&list, side)? else { return Ok(0) };
    let (before, after) = (list.get(node, PREV)?, list.get(node, NEXT)?);
    list.set(before, NEXT, after)?;
    list.set(after, PREV, before)?;
    for at in [NEXT, PREV, LIST_OWNER] {
        list.set(node, at, 0)?;
    }
    Ok(list.give(node))
}

fn pop_front(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    pop(run, head, NEXT)
}

fn pop_back(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    pop(run, head, PREV)
}

fn peek(run: &mut Run, head: u64, side: u64) -> Ret {
    let mut list = Graph::new(run, head, HEAD)?;
    let node = end(&list, side)?;
    Ok(node.map_or(0, |n| list.give(n)))
}

fn front(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    peek(run, head, NEXT)
}

fn back(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    peek(run, head, PREV)
}

/// Height that a node strives for: larger ones are nearer to the root.
fn rank(node: u64) -> u64 {
    let mixed = node.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

impl Graph<'_> {
    /// The address of the word that leads to a node of the tree: its parent's, or the root.
    fn link(&self, node: u64) -> Result<u64, Fault> {
        let parent = self.get(node, PARENT)?;
        Ok(match parent {
            0 => self.head,
            parent if self.get(parent, LEFT)? == node => parent.wrapping_add(LEFT),
            parent => parent.wrapping_add(RIGHT),
        })
    }

    /// Puts a child above its parent.
    fn rotate(&mut self, parent: u64, child: u64) -> Result<(), Fault> {
        self.step()?;
        let (near, far) = if self.get(parent, LEFT)? == child { (LEFT, RIGHT) } else { (RIGHT, LEFT) };
        let up = self.link(parent)?;
        let inner = self.get(child, far)?;
        self.set(parent, near, inner)?;
        if inner != 0 {
            self.set(inner, PARENT, parent)?;
        }
        self.set(child, far, parent)?;
        self.set(child, PARENT, self.get(parent, PARENT)?)?;
        self.set(parent, PARENT, child)?;
        self.set(up, 0, child)
    }
}

fn tree_add(run: &mut Run, [root, node, less, ..]: [u64; 5]) -> Ret {
    let mut tree = Graph::new(run, root, ROOT)?;
    if !tree.own(node, TREE_OWNER)? {
        return cx::fail(Errno::EINVAL);
    }
    tree.give(node);
    let (mut parent, mut slot) = (0, root);
    loop {
        let at = tree.get(slot, 0)?;
        if at == 0 {
            break;
        }
        tree.step()?;
        tree.give(at);
        let before = tree.run.call(less, [node, at, 0, 0, 0])? != 0;
        // The callback may have moved the memory that the root lies in.
        tree.run.allow(root, ROOT, true)?;
        (parent, slot) = (at, at.wrapping_add(if before { LEFT } else { RIGHT }));
    }
    for at in [LEFT, RIGHT] {
        tree.set(node, at, 0)?;
    }
    tree.set(node, PARENT, parent)?;
    tree.set(slot, 0, node)?;
    while parent != 0 && rank(node) > rank(parent) {
        tree.rotate(parent, node)?;
        parent = tree.get(node, PARENT)?;
    }
    Ok(0)
}

fn tree_remove(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    let mut tree = Graph::new(run, root, ROOT)?;
    if tree.get(node, TREE_OWNER)? != root {
        return Ok(0);
    }
    // Down until it has at most one child.
    loop {
        let (left, right) = (tree.get(node, LEFT)?, tree.get(node, RIGHT)?);
        if left == 0 || right == 0 {
            let only = left | right;
            let up = tree.link(node)?;
            tree.set(up, 0, only)?;
            if only != 0 {
                tree.set(only, PARENT, tree.get(node, PARENT)?)?;
            }
            break;
        }
        let child = if rank(left) > rank(right) { left } else { right };
        tree.rotate(node, child)?;
    }
    for at in [PARENT, LEFT, RIGHT, TREE_OWNER] {
        tree.set(node, at, 0)?;
    }
    Ok(tree.give(node))
}

fn tree_first(run: &mut Run, [root, ..]: [u64; 5]) -> Ret {
    let mut tree = Graph::new(run, root, ROOT)?;
    let mut at = tree.get(root, 0)?;
    if at == 0 {
        return Ok(0);
    }
    loop {
        tree.step()?;
        match tree.get(at, LEFT)? {
            0 => return Ok(tree.give(at)),
            left => at = left,
        }
    }
}

fn tree_root(run: &mut Run, [root, ..]: [u64; 5]) -> Ret {
    Graph::new(run, root, ROOT)?.give_at(root, 0)
}

fn side(run: &mut Run, root: u64, node: u64, at: u64) -> Ret {
    let mut tree = Graph::new(run, root, ROOT)?;
    if tree.get(node, TREE_OWNER)? != root {
        return Ok(0);
    }
    tree.give_at(node, at)
}

fn tree_left(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    side(run, root, node, LEFT)
}

fn tree_right(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    side(run, root, node, RIGHT)
}

/// The words of a node that a list or tree owns, which are zero afterwards; `None` where there is no living object.
fn take_node<const WORDS: usize>(node: u64) -> Option<[u64; WORDS]> {
    if !node.is_multiple_of(8) || !heap::is_inside(heap::Kind::Own, node, 8 * WORDS as u64) {
        return None;
    }
    // SAFETY: the words are aligned and lie in an object, whose memory is never given back.
    let word = |n: usize| unsafe { AtomicU64::from_ptr((node as usize + 8 * n) as *mut u64) };
    Some(std::array::from_fn(|n| word(n).swap(0, Ordering::AcqRel)))
}

/// Takes the nodes of a list, whose head was just emptied, out of it: each object loses an owner.
pub(crate) fn release_list(head: u64, first: u64) {
    let mut node = first;
    while node != head
        && let Some([next, _, _]) = take_node(node)
    {
        heap::release(heap::Kind::Own, node);
        node = next;
    }
}

/// Takes the nodes of a tree, whose root was just emptied, out of it.
pub(crate) fn release_tree(root: u64) {
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        if let Some([_, right, left, _]) = take_node(node) {
            heap::release(heap::Kind::Own, node);
            nodes.extend([right, left]);
        }
    }
}
