//! Memory that pointers of a context lead to, laid out by the run: what the kernel would have there.

use crate::context::CtxMemory;
use ebpfkit_abi::ctx::{FieldKind, Loaded, SOCK, Touch, access};
use ebpfkit_abi::{AttachType, ProgType};

/// Bytes of `struct bpf_flow_keys`.
pub const FLOW_KEYS: usize = 56;

/// One block.
#[derive(Debug)]
struct Object {
    words: Box<[u64]>,
    len: usize,
    what: &'static str,
    writable: bool,
    /// Offset of the pointer in the context, for contexts of plain bytes.
    at: Option<usize>,
}

impl Object {
    fn new(len: usize, what: &'static str, writable: bool, at: Option<usize>) -> Self {
        Self { words: vec![0; len.div_ceil(8).max(1)].into(), len, what, writable, at }
    }

    fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }
}

/// The blocks of a run.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    all: Vec<Object>,
    /// The one that is a flow dissector's keys.
    flow_keys: Option<usize>,
    /// The value of a socket option, and its bytes.
    option: Option<(usize, usize)>,
}

impl Objects {
    /// Lays out what a program's context points to, and sets the pointers of a context that is a struct.
    /// `arguments` are the pointers of a context of plain bytes: offset, and bytes behind the pointer.
    pub(crate) fn lay_out(
        kind: ProgType,
        attach: AttachType,
        arguments: &[(usize, usize)],
        ctx: &mut CtxMemory,
    ) -> Self {
        let mut this = Self::default();
        for field in ctx.layout().layout().map_or(&[][..], |l| l.fields) {
            let touch = Touch { off: field.offset.into(), size: field.size, write: false };
            let object = match (field.kind, access(kind, attach, touch)) {
                (FieldKind::FlowKeys, Some(Loaded::FlowKeys)) => {
                    this.flow_keys = Some(this.all.len());
                    Object::new(FLOW_KEYS, "the flow keys", true, None)
                }
                // One that may be null is null until the run is given a socket.
                (FieldKind::Socket, Some(Loaded::Socket)) => {
                    Object::new(usize::from(SOCK.size), "a socket", false, None)
                }
                _ => continue,
            };
            ctx.set(field.name, object.address());
            this.all.push(object);
        }
        for &(at, len) in arguments {
            let what = match kind {
                ProgType::RawTracepointWritable => "the buffer of the tracepoint",
                _ => "an argument",
            };
            this.all.push(Object::new(len, what, true, Some(at)));
        }
        this
    }

    /// Sets the value of the socket option that the context is about; false when it is about none.
    pub(crate) fn set_option(&mut self, ctx: &mut CtxMemory, value: &[u8]) -> bool {
        let has = |kind| ctx.layout().layout().is_some_and(|l| l.fields.iter().any(|f| f.kind == kind));
        if !has(FieldKind::OptVal) {
            return false;
        }
        let mut object = Object::new(value.len(), "the value of the socket option", true, None);
        for (word, chunk) in object.words.iter_mut().zip(value.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(bytes);
        }
        ctx.set("optval", object.address());
        ctx.set("optval_end", object.address() + value.len() as u64);
        match self.option {
            Some((at, _)) => self.all[at] = object,
            None => self.all.push(object),
        }
        let at = self.option.map_or(self.all.len() - 1, |(at, _)| at);
        self.option = Some((at, value.len()));
        true
    }

    /// The value of the socket option.
    pub(crate) fn option(&self) -> Option<Vec<u8>> {
        let (at, len) = self.option?;
        let bytes = self.all.get(at)?.words.iter().flat_map(|w| w.to_ne_bytes());
        Some(bytes.take(len).collect())
    }

    /// Sets the pointers of a context of plain bytes, which no user has given.
    pub(crate) fn point_from(&self, ctx: &mut CtxMemory) {
        for object in &self.all {
            if let Some(at) = object.at {
                ctx.set_word(at, object.address());
            }
        }
    }

    /// Address, bytes, name and whether programs may write, of each block.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (u64, u64, &'static str, bool)> {
        self.all.iter().map(|o| (o.address(), o.len as u64, o.what, o.writable))
    }

    /// The flow keys.
    pub(crate) fn flow_keys(&self) -> Option<&[u64]> {
        Some(&self.all.get(self.flow_keys?)?.words)
    }

    /// Sets the flow keys as the kernel does before a program runs: where the network header is, and its protocol.
    pub(crate) fn begin_flow(&mut self, network: u16, protocol: u16) {
        let Some(object) = self.flow_keys.and_then(|n| self.all.get_mut(n)) else { return };
        object.words.fill(0);
        let word = |at: usize, fields: &[[u8; 2]]| {
            let mut bytes = [0; 8];
            for (field, target) in fields.iter().zip(bytes[at..].chunks_exact_mut(2)) {
                target.copy_from_slice(field);
            }
            u64::from_ne_bytes(bytes)
        };
        // `nhoff` and `thoff` are the first two fields; `n_proto` stands at 10.
        object.words[0] = word(0, &[network.to_ne_bytes(), network.to_ne_bytes()]);
        object.words[1] = word(2, &[protocol.to_be_bytes()]);
    }
}
