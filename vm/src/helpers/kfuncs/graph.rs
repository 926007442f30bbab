//! Lists and trees of objects.
//!
//! The links stand in the objects' own nodes, so that lists and trees in map values are shared by all runs. A tree is
//! ordered by the program's comparison and kept in balance by a number that follows from each node's address.

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

/// A word of a node or head.
fn word<'a>(run: &Run, address: u64) -> Result<&'a AtomicU64, Fault> {
    if !address.is_multiple_of(8) || run.is_checked() && !cx::is_known(run, address, 8) {
        return Err(cx::bad("a node of a list or tree that is no memory of the program"));
    }
    // SAFETY: the word is aligned and lies in a map or in an object, which are not given back while the run goes on;
    // for verified programs the verifier has proved it.
    Ok(unsafe { AtomicU64::from_ptr(address as usize as *mut u64) })
}

fn get(run: &Run, address: u64) -> Result<u64, Fault> {
    Ok(word(run, address)?.load(Ordering::Acquire))
}

fn set(run: &Run, address: u64, value: u64) -> Result<(), Fault> {
    word(run, address)?.store(value, Ordering::Release);
    Ok(())
}

/// Makes a node part of something; a node that already is part of something is dropped.
fn own(run: &Run, node: u64, owner_at: u64, owner: u64) -> Result<bool, Fault> {
    let free = word(run, node + owner_at)?.compare_exchange(0, owner, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if !free {
        heap::release(node);
    }
    Ok(free)
}

/// The object around a node, for the program to use.
fn give(run: &mut Run, node: u64) -> u64 {
    if let Some((base, len)) = heap::object_at(node) {
        cx::lend(run, base, len as u64, "an allocated object", true);
    }
    node
}

fn push(run: &mut Run, head: u64, node: u64, back: bool) -> Ret {
    if !own(run, node, LIST_OWNER, head)? {
        return cx::fail(Errno::EINVAL);
    }
    if get(run, head + NEXT)? == 0 {
        set(run, head + NEXT, head)?;
        set(run, head + PREV, head)?;
    }
    let (before, after) = if back { (get(run, head + PREV)?, head) } else { (head, get(run, head + NEXT)?) };
    set(run, node + PREV, before)?;
    set(run, node + NEXT, after)?;
    set(run, before + NEXT, node)?;
    set(run, after + PREV, node)?;
    Ok(0)
}

fn push_front(run: &mut Run, [head, node, ..]: [u64; 5]) -> Ret {
    push(run, head, node, false)
}

fn push_back(run: &mut Run, [head, node, ..]: [u64; 5]) -> Ret {
    push(run, head, node, true)
}

fn end(run: &Run, head: u64, side: u64) -> Result<Option<u64>, Fault> {
    let node = get(run, head + side)?;
    Ok((node != 0 && node != head).then_some(node))
}

fn pop(run: &mut Run, head: u64, side: u64) -> Ret {
    let Some(node) = end(run, head, side)? else { return Ok(0) };
    let (before, after) = (get(run, node + PREV)?, get(run, node + NEXT)?);
    set(run, before + NEXT, after)?;
    set(run, after + PREV, before)?;
    for at in [NEXT, PREV, LIST_OWNER] {
        set(run, node + at, 0)?;
    }
    Ok(give(run, node))
}

fn pop_front(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    pop(run, head, NEXT)
}

fn pop_back(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    pop(run, head, PREV)
}

fn front(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    let node = end(run, head, NEXT)?;
    Ok(node.map_or(0, |n| give(run, n)))
}

fn back(run: &mut Run, [head, ..]: [u64; 5]) -> Ret {
    let node = end(run, head, PREV)?;
    Ok(node.map_or(0, |n| give(run, n)))
}

/// Height that a node strives for: larger ones are nearer to the root.
fn rank(node: u64) -> u64 {
    let mixed = node.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// The word that leads to a node: of its parent, or of the root.
fn link(run: &Run, root: u64, node: u64) -> Result<u64, Fault> {
    let parent = get(run, node + PARENT)?;
    Ok(match parent {
        0 => root,
        parent if get(run, parent + LEFT)? == node => parent + LEFT,
        parent => parent + RIGHT,
    })
}

/// Lets a child take the place of its parent.
fn rotate(run: &Run, root: u64, parent: u64, child: u64) -> Result<(), Fault> {
    let (near, far) = if get(run, parent + LEFT)? == child { (LEFT, RIGHT) } else { (RIGHT, LEFT) };
    let up = link(run, root, parent)?;
    let inner = get(run, child + far)?;
    set(run, parent + near, inner)?;
    if inner != 0 {
        set(run, inner + PARENT, parent)?;
    }
    set(run, child + far, parent)?;
    set(run, child + PARENT, get(run, parent + PARENT)?)?;
    set(run, parent + PARENT, child)?;
    set(run, up, child)
}

fn tree_add(run: &mut Run, [root, node, less, ..]: [u64; 5]) -> Ret {
    if !own(run, node, TREE_OWNER, root)? {
        return cx::fail(Errno::EINVAL);
    }
    give(run, node);
    let (mut parent, mut place) = (0, root);
    loop {
        let at = get(run, place)?;
        if at == 0 {
            break;
        }
        give(run, at);
        let before = run.call(less, [node, at, 0, 0, 0])? != 0;
        (parent, place) = (at, at + if before { LEFT } else { RIGHT });
    }
    for at in [LEFT, RIGHT] {
        set(run, node + at, 0)?;
    }
    set(run, node + PARENT, parent)?;
    set(run, place, node)?;
    while parent != 0 && rank(node) > rank(parent) {
        rotate(run, root, parent, node)?;
        parent = get(run, node + PARENT)?;
    }
    Ok(0)
}

fn tree_remove(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    if get(run, node + TREE_OWNER)? != root {
        return Ok(0);
    }
    // Down until it has at most one child.
    loop {
        let (left, right) = (get(run, node + LEFT)?, get(run, node + RIGHT)?);
        if left == 0 || right == 0 {
            let only = left | right;
            let up = link(run, root, node)?;
            set(run, up, only)?;
            if only != 0 {
                set(run, only + PARENT, get(run, node + PARENT)?)?;
            }
            break;
        }
        let child = if rank(left) > rank(right) { left } else { right };
        rotate(run, root, node, child)?;
    }
    for at in [PARENT, LEFT, RIGHT, TREE_OWNER] {
        set(run, node + at, 0)?;
    }
    Ok(give(run, node))
}

fn tree_first(run: &mut Run, [root, ..]: [u64; 5]) -> Ret {
    let mut at = get(run, root)?;
    if at == 0 {
        return Ok(0);
    }
    loop {
        match get(run, at + LEFT)? {
            0 => return Ok(give(run, at)),
            left => at = left,
        }
    }
}

fn neighbour(run: &mut Run, at: u64) -> Ret {
    let node = get(run, at)?;
    Ok(if node == 0 { 0 } else { give(run, node) })
}

fn tree_root(run: &mut Run, [root, ..]: [u64; 5]) -> Ret {
    neighbour(run, root)
}

fn side(run: &mut Run, root: u64, node: u64, at: u64) -> Ret {
    if get(run, node + TREE_OWNER)? != root {
        return Ok(0);
    }
    neighbour(run, node + at)
}

fn tree_left(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    side(run, root, node, LEFT)
}

fn tree_right(run: &mut Run, [root, node, ..]: [u64; 5]) -> Ret {
    side(run, root, node, RIGHT)
}
