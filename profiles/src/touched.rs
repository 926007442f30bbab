//! Which fields of their contexts, and of the sockets that they hold, programs read and write.

use crate::matrix::Column;
use ebpfkit_abi::KernelVersion;
use ebpfkit_abi::ctx::{self, Context, Layout};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::class;
use ebpfkit_verifier::{Event, Observer, Options, RegBase, verify};
use std::collections::BTreeMap;

/// Notes which fields the instructions of a program access while it is verified.
struct Reader<'a> {
    insns: &'a [Insn],
    /// The struct that is the program's context, if it is one whose fields the kernel translates.
    context: Option<&'static Layout>,
    touched: BTreeMap<String, KernelVersion>,
}

impl Reader<'_> {
    /// The struct that a register points to.
    fn layout(&self, base: RegBase) -> Option<&'static Layout> {
        match base {
            RegBase::Ctx => self.context,
            RegBase::Socket | RegBase::SockCommon => Some(&ctx::SOCK),
            RegBase::TcpSock => Some(&ctx::TCP_SOCK),
            RegBase::XdpSock => Some(&ctx::XDP_SOCK),
            _ => None,
        }
    }
}

impl Observer for Reader<'_> {
    fn wants_events(&self) -> bool {
        true
    }

    fn event(&mut self, event: Event<'_>) {
        let Event::Before { insn, state, .. } = event else { return };
        let Some(&insn) = self.insns.get(insn) else { return };
        let base = match insn.class() {
            class::LDX => insn.src,
            class::ST | class::STX => insn.dst,
            _ => return,
        };
        let pointer = state.reg(base);
        let Some(layout) = self.layout(pointer.ty.base) else { return };
        let off = i64::from(insn.off) + i64::from(pointer.off);
        let Some(field) = u16::try_from(off).ok().and_then(|off| layout.at(off)) else { return };
        let name = format!("{}.{}", layout.name, field.name);
        self.touched.entry(name).or_insert_with(|| layout.since_of(field));
    }
}

/// The fields that a program touches, as far as its verification for the newest kernel that can load it comes, with the
/// first version of each.
pub(crate) fn fields(columns: &[Column], program: usize, options: Options) -> BTreeMap<String, KernelVersion> {
    let loads = |column: &&Column| {
        column.prepared.as_ref().is_ok_and(|p| p.unloadable.get(program).is_some_and(Option::is_none))
    };
    let Some(column) = columns.iter().rev().find(loads) else { return BTreeMap::new() };
    let Ok(prepared) = &column.prepared else { return BTreeMap::new() };
    let Some(of) = prepared.object.programs.get(program) else { return BTreeMap::new() };
    let context = match ctx::context_of(of.prog_type) {
        Some(Context::Fields { layout, .. }) => Some(layout),
        _ => None,
    };
    let mut reader = Reader { insns: &of.insns, context, touched: BTreeMap::new() };
    verify(&column.kernel.model(), &prepared.object, program, options, &mut reader);
    reader.touched
}
