//! Lists and trees of allocated objects: heads under a lock, nodes that move between owners.

use super::meta::KfuncMeta;
use crate::domain::BtfRef;
use crate::reason::{KfuncReason, ResourceReason, reject};
use crate::{Env, RegState, Step, Stop};
use ebpfkit_abi::TypeFlags;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::record::{Field, FieldKind};

impl Env<'_> {
    /// The register must point to a list head (or tree root) whose lock is held.
    pub(super) fn check_graph_root(&mut self, reg: u8, list: bool, meta: &mut KfuncMeta) -> Step {
        let kind = if list { FieldKind::ListHead } else { FieldKind::RbRoot };
        let (r, root) = (*self.reg(reg), kind.name());
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg, field: root.to_owned() });
        }
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64) as u32;
        let record = self.record_of(&r);
        let field = record.as_ref().and_then(|rec| rec.fields.iter().find(|f| f.offset == off && f.kind == kind));
        let Some(field) = field.copied() else { return reject(KfuncReason::FieldNotFound { field: root, off }) };
        if !self.allocation_locked(&r) {
            if self.path.state.res.active_locks != 0 {
                self.detail(format_args!("held lock and object are not in the same allocation"));
            }
            let lock = record.and_then(|rec| rec.find(FieldKind::SpinLock).map(|f| f.offset as i32)).unwrap_or(-22);
            return reject(KfuncReason::LockNotHeld { lock, root });
        }
        *(if list { &mut meta.list } else { &mut meta.tree }) = Some(field);
        Ok(())
    }

    /// The register must point to the node through which elements of the list or tree hang together.
    pub(super) fn check_graph_node(&mut self, reg: u8, list: bool, meta: &mut KfuncMeta) -> Step {
        let (root_kind, kind) =
            if list { (FieldKind::ListHead, FieldKind::ListNode) } else { (FieldKind::RbRoot, FieldKind::RbNode) };
        let (r, node) = (*self.reg(reg), kind.name());
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg, field: node.to_owned() });
        }
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64) as u32;
        let here = self.record_of(&r).is_some_and(|rec| rec.fields.iter().any(|f| f.offset == off && f.kind == kind));
        if !here {
            return reject(KfuncReason::FieldNotFound { field: node, off });
        }
        let Some(root) = (if list { meta.list } else { meta.tree }) else {
            return Err(Stop::unsupported("a node without the list or tree it belongs to"));
        };
        let Some((btf, id)) = r.btf() else { return Err(Stop::unsupported("a node without its type")) };
        if (btf, id) != (root.btf, root.type_id) {
            return reject(KfuncReason::OtherElement {
                root: root_kind.name(),
                node,
                at: root.node_offset,
                element: self.type_name(root.btf, root.type_id),
                off,
                has: self.type_name(btf, id),
            });
        }
        meta.object = Some((btf, id));
        if off != root.node_offset {
            let element = self.type_name(BtfRef::Program, root.type_id);
            return reject(KfuncReason::OtherNode { off, node, at: root.node_offset, element });
        }
        Ok(())
    }

    /// The owner of an object gives it to a list or tree; its pointers now only borrow it, until the lock is let go.
    pub(super) fn give_to_graph(&mut self, id: u32) -> Step {
        if !self.holds_reference(id) {
            return Err(Stop::unsupported("a node that is no longer owned"));
        }
        let counted: Vec<u32> = self.counted_types(id);
        self.path.state.for_each_reg(
            |r| r.ref_obj_id == id,
            |r| {
                r.ref_obj_id = 0;
                r.ty.flags |= TypeFlags::NON_OWN_REF;
                if r.btf().is_some_and(|(_, t)| counted.contains(&t)) {
                    r.ty.flags |= TypeFlags::RCU;
                }
            },
        );
        self.release_reference(id);
        Ok(())
    }

    /// Types with a reference count among the objects behind a reference.
    fn counted_types(&mut self, id: u32) -> Vec<u32> {
        let mut types = Vec::new();
        self.path.state.for_each_reg(|r| r.ref_obj_id == id, |r| types.extend(r.btf().map(|(_, t)| t)));
        types.retain(|&t| self.struct_record(t).is_some_and(|rec| rec.has(FieldKind::Refcount)));
        types
    }

    /// A borrowed pointer to an element of a list or tree.
    pub(super) fn borrowed_node(&self, root: &Field) -> RegState {
        let mut r = self.graph_node_reg(root);
        r.ty.flags |= TypeFlags::NON_OWN_REF;
        if self.struct_record(root.type_id).is_some_and(|rec| rec.has(FieldKind::Refcount)) {
            r.ty.flags |= TypeFlags::RCU;
        }
        r
    }

    /// Whether the comparison function of a tree is being verified, or a function that it calls.
    pub(crate) fn in_tree_callback(&self) -> bool {
        self.path.state.frames.iter().skip(1).any(|f| {
            let call = usize::try_from(f.callsite).ok().and_then(|at| self.insns().get(at));
            f.in_callback
                && call
                    .is_some_and(|&i| i.src == pseudo::KFUNC_CALL && self.kfunc_of(i).is_some_and(|d| d.is_tree_api()))
        })
    }
}
