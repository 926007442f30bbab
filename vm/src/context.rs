//! The context object: where the fields that a program sees are really kept.
//!
//! Each field of a translated struct has one or more 8-byte slots of its own, so that a pointer fits where programs see
//! a `u32`. Numbers are kept in their own size at the slot's start; an array's elements stand side by side as in the
//! struct. An access inside a field therefore keeps its distance from the field's start.

use crate::regions::Window;
use ebpfkit_abi::ProgType;
use ebpfkit_abi::ctx::{Context, Field, Layout, context_of};

/// An access to the struct, as an access to what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translated {
    /// Address, or offset from the start of the kept bytes, depending on who translates.
    pub address: u64,
    /// Bytes: those of the access, eight for a pointer, or fewer where less of a number is kept.
    pub size: u64,
}

/// Bytes that a `syscall` program may access: offsets are numbers of 16 bits, behind which stand eight bytes at most.
const SYSCALL_REACH: usize = u16::MAX as usize + 8;

/// Fields of an `__sk_buff` of which the kernel keeps 16 bits.
const HALVES: [&str; 3] = ["queue_mapping", "tc_index", "tc_classid"];

/// Values from here on are no number of a queue (`NO_QUEUE_MAPPING`): setting them changes nothing.
pub(crate) const NO_QUEUE: u64 = 0xffff;

/// How a context is kept: computed once for each program type.
#[derive(Clone, Debug)]
pub struct CtxLayout {
    context: Option<Context>,
    /// By field: first slot.
    slots: Vec<u16>,
    /// By byte offset in the struct: field number plus one; zero for none.
    fields: Vec<u8>,
    /// By field.
    readable: Vec<bool>,
    writable: Vec<bool>,
    words: usize,
    /// Bytes that some program of the type may access, for plain ones.
    reach: usize,
    skb: Option<SkbFields>,
}

/// Offsets in the kept bytes of the fields of an `__sk_buff` that every packet sets anew; all of 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SkbFields {
    pub len: usize,
    pub wire_len: usize,
    pub pkt_type: usize,
    pub protocol: usize,
    pub ifindex: usize,
    pub hash: usize,
    /// Presence, control information, protocol.
    pub vlan: [usize; 3],
}

impl SkbFields {
    fn of(layout: &CtxLayout) -> Option<Self> {
        if layout.name() != "__sk_buff" {
            return None;
        }
        let at = |name| layout.slot(name).filter(|(_, f)| f.size == 4).map(|(at, _)| at);
        Some(Self {
            len: at("len")?,
            wire_len: at("wire_len")?,
            pkt_type: at("pkt_type")?,
            protocol: at("protocol")?,
            ifindex: at("ifindex")?,
            hash: at("hash")?,
            vlan: [at("vlan_present")?, at("vlan_tci")?, at("vlan_proto")?],
        })
    }
}

impl CtxLayout {
    /// The layout of a program type's context. Types without one get bytes as they are.
    pub fn of(kind: ProgType) -> Self {
        let mut this = Self::new(context_of(kind));
        this.reach = match context_of(kind) {
            // The kernel gives such programs as many bytes as the caller, which the verifier does not know.
            _ if kind == ProgType::Syscall => SYSCALL_REACH,
            Some(Context::Plain { size, .. }) => size.into(),
            _ => 0,
        };
        this
    }

    fn new(context: Option<Context>) -> Self {
        let mut this = Self {
            context,
            slots: vec![],
            fields: vec![],
            readable: vec![],
            writable: vec![],
            words: 0,
            reach: 0,
            skb: None,
        };
        if let Some(Context::Fields { layout, hidden, writable }) = context {
            this.fields = vec![0; usize::from(layout.size)];
            for (number, f) in layout.fields.iter().enumerate() {
                this.slots.push(this.words as u16);
                this.words += usize::from(f.bytes()).div_ceil(8);
                this.readable.push(!hidden.contains(&f.name));
                this.writable.push(writable.contains(&f.name));
                for byte in f.offset..f.offset + f.bytes() {
                    this.fields[usize::from(byte)] = number as u8 + 1;
                }
            }
            // Programs hold the address of the slots as that of the struct, so nothing else may follow too closely.
            this.words = this.words.max(usize::from(layout.size).div_ceil(8));
        }
        this.skb = SkbFields::of(&this);
        this
    }

    /// The struct; `None` for plain bytes.
    pub fn layout(&self) -> Option<&'static Layout> {
        match self.context {
            Some(Context::Fields { layout, .. }) => Some(layout),
            _ => None,
        }
    }

    /// Name of the struct or bytes.
    pub fn name(&self) -> &'static str {
        self.context.map_or("context", |c| c.name())
    }

    /// Translates an access at a byte offset of the struct; `address` of the result counts from the first slot.
    /// `None` when there is no such field, or it may not be accessed in this way. Plain bytes stay as they are.
    pub fn translate(&self, offset: u64, size: u64, write: bool) -> Option<Translated> {
        let Some(layout) = self.layout() else { return Some(Translated { address: offset, size }) };
        let number = usize::from(*self.fields.get(usize::try_from(offset).ok()?)?).checked_sub(1)?;
        let f = &layout.fields[number];
        let inside = offset - u64::from(f.offset);
        let allowed = if write { &self.writable } else { &self.readable };
        if inside + size > u64::from(f.bytes()) || !allowed[number] {
            return None;
        }
        let slot = u64::from(self.slots[number]) * 8;
        let kept = if write && layout.name == "__sk_buff" && HALVES.contains(&f.name) { size.min(2) } else { size };
        match f.kind.is_pointer() {
            true => {
                (inside == 0 && size == u64::from(f.size) && !write).then_some(Translated { address: slot, size: 8 })
            }
            false => Some(Translated { address: slot + inside, size: kept }),
        }
    }

    /// Whether the number at an offset takes values below `NO_QUEUE` only, and keeps what it has where others are stored.
    pub fn is_selective(&self, offset: u64) -> bool {
        let field = self.layout().filter(|l| l.name == "__sk_buff").and_then(|l| l.at(offset as u16));
        field.is_some_and(|f| f.name == "queue_mapping")
    }

    /// Whether there is such a field, and it holds numbers.
    pub fn is_number(&self, name: &str) -> bool {
        self.slot(name).is_some_and(|(_, field)| !field.kind.is_pointer())
    }

    /// Offset of a field's first slot from the start, in bytes, and the field.
    pub fn slot(&self, name: &str) -> Option<(usize, &'static Field)> {
        let layout = self.layout()?;
        let number = layout.fields.iter().position(|f| f.name == name)?;
        Some((usize::from(self.slots[number]) * 8, &layout.fields[number]))
    }
}

/// A context and its memory.
#[derive(Debug)]
pub struct CtxMemory {
    layout: std::sync::Arc<CtxLayout>,
    /// Slots, or plain bytes rounded up.
    words: Box<[u64]>,
    /// Bytes that programs see.
    size: u64,
    writable: bool,
    /// First slots of the packet pointers, behind the last one where the struct has none.
    data: usize,
    data_end: usize,
    data_meta: usize,
}

impl CtxMemory {
    /// An empty context of a layout; plain ones have no bytes yet.
    pub fn new(layout: std::sync::Arc<CtxLayout>) -> Self {
        use ebpfkit_abi::ctx::FieldKind as K;
        let find = |kind: K| {
            let fields = layout.layout()?.fields;
            fields.iter().position(|f| f.kind == kind).map(|n| usize::from(layout.slots[n]))
        };
        let find = |kind| find(kind).unwrap_or(usize::MAX);
        let size = layout.layout().map_or(0, |l| u64::from(l.size));
        let writable = match layout.context {
            Some(Context::Plain { writable, .. }) => writable,
            _ => true,
        };
        Self {
            words: vec![0; layout.words.max(layout.reach.div_ceil(8))].into(),
            size,
            writable,
            data: find(K::PacketData),
            data_end: find(K::PacketEnd),
            data_meta: find(K::PacketMeta),
            layout,
        }
    }

    /// Plain bytes as a context, such as registers or trace records. Programs of the type find zeros behind them as far
    /// as the verifier lets them look.
    pub(crate) fn set_bytes(&mut self, bytes: &[u8]) {
        let words = bytes.len().max(self.layout.reach).div_ceil(8);
        if self.words.len() != words {
            self.words = vec![0; words].into();
        }
        self.words.fill(0);
        for (word, chunk) in self.words.iter_mut().zip(bytes.chunks(8)) {
            let mut b = [0; 8];
            b[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(b);
        }
        self.size = bytes.len() as u64;
    }

    /// Sets a context from the bytes of the struct as user space sees it. Pointer fields are left alone.
    /// Plain contexts take the bytes as they are. Bytes beyond the struct are ignored.
    pub(crate) fn load_struct(&mut self, bytes: &[u8]) {
        let Some(layout) = self.layout.layout() else { return self.set_bytes(bytes) };
        for (number, f) in layout.fields.iter().enumerate() {
            let range = usize::from(f.offset)..usize::from(f.offset + f.bytes());
            let slot = usize::from(self.layout.slots[number]) * 8;
            if let (false, Some(from)) = (f.kind.is_pointer(), bytes.get(range)) {
                self.bytes_mut()[slot..slot + from.len()].copy_from_slice(from);
            }
        }
    }

    /// The struct as user space sees it; pointer fields are zero.
    pub fn to_struct(&self) -> Vec<u8> {
        let Some(layout) = self.layout.layout() else { return self.bytes()[..self.size as usize].to_vec() };
        let mut out = vec![0; usize::from(layout.size)];
        for (number, f) in layout.fields.iter().enumerate() {
            let slot = usize::from(self.layout.slots[number]) * 8;
            let len = usize::from(f.bytes());
            if !f.kind.is_pointer() {
                out[usize::from(f.offset)..][..len].copy_from_slice(&self.bytes()[slot..slot + len]);
            }
        }
        out
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the words are initialised, and any bytes are valid `u8`.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; any bytes are valid `u64`.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8) }
    }

    /// A field's value, or its first element; `None` when the struct has no such field.
    pub fn get(&self, name: &str) -> Option<u64> {
        let (slot, f) = self.layout.slot(name)?;
        let size = if f.kind.is_pointer() { 8 } else { usize::from(f.size) };
        let bytes = &self.bytes()[slot..slot + size];
        Some(match size {
            1 => bytes[0].into(),
            2 => u16::from_ne_bytes([bytes[0], bytes[1]]).into(),
            4 => u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
            _ => self.words[slot / 8],
        })
    }

    /// Sets a field, or its first element; false when the struct has no such field.
    pub(crate) fn set(&mut self, name: &str, value: u64) -> bool {
        self.set_element(name, 0, value)
    }

    /// Sets an element of an array field.
    pub(crate) fn set_element(&mut self, name: &str, index: usize, value: u64) -> bool {
        let Some((slot, f)) = self.layout.slot(name) else { return false };
        if index >= usize::from(f.count) {
            return false;
        }
        let size = if f.kind.is_pointer() { 8 } else { usize::from(f.size) };
        let at = slot + index * size;
        let to = &mut self.bytes_mut()[at..at + size];
        match size {
            1 => to[0] = value as u8,
            2 => to.copy_from_slice(&(value as u16).to_ne_bytes()),
            4 => to.copy_from_slice(&(value as u32).to_ne_bytes()),
            _ => to.copy_from_slice(&value.to_ne_bytes()),
        }
        true
    }

    /// Sets eight bytes of a plain context, if it has them.
    pub(crate) fn set_word(&mut self, at: usize, value: u64) {
        if self.layout.layout().is_none() && (at as u64).saturating_add(8) <= self.size {
            self.bytes_mut()[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
    }

    /// Where an `__sk_buff` keeps what every packet sets; `None` for other contexts.
    #[inline]
    pub(crate) fn skb(&self) -> Option<SkbFields> {
        self.layout.skb
    }

    /// A number of 32 bits at one of the offsets of [`SkbFields`].
    #[inline]
    pub(crate) fn get_u32(&self, at: usize) -> u32 {
        self.bytes()[at..].first_chunk().map_or(0, |b| u32::from_ne_bytes(*b))
    }

    /// Sets a number of 32 bits at one of the offsets of [`SkbFields`].
    #[inline]
    pub(crate) fn set_u32(&mut self, at: usize, value: u32) {
        if let Some(to) = self.bytes_mut()[at..].first_chunk_mut() {
            *to = value.to_ne_bytes();
        }
    }

    /// Sets the packet pointers that the struct has.
    #[inline]
    pub(crate) fn set_packet(&mut self, meta: u64, data: u64, end: u64) {
        for (slot, value) in [(self.data, data), (self.data_end, end), (self.data_meta, meta)] {
            if let Some(word) = self.words.get_mut(slot) {
                *word = value;
            }
        }
    }

    /// The address that programs get.
    #[inline]
    pub fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    /// Bytes that programs see.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Name of the struct or bytes.
    pub fn name(&self) -> &'static str {
        self.layout.name()
    }

    /// How it is kept.
    pub fn layout(&self) -> &CtxLayout {
        &self.layout
    }

    /// Offset of an address in the struct.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        Some(address.wrapping_sub(self.address())).filter(|o| *o < self.size)
    }

    /// Whether a store of a value changes nothing. The kernel compares a constant as it stands in the instruction, with
    /// its sign, and a register as 64 bits without.
    pub(crate) fn ignores(&self, address: u64, value: u64, constant: bool) -> bool {
        let is_none = if constant { value as i64 >= NO_QUEUE as i64 } else { value >= NO_QUEUE };
        is_none && self.offset(address).is_some_and(|offset| self.layout.is_selective(offset))
    }

    pub(crate) fn window(&self) -> Window {
        Window { base: self.address(), len: self.size }
    }

    /// Translates an access by address; the result is inside the context's own memory.
    pub(crate) fn translate(&self, address: u64, size: u64, write: bool) -> Option<Translated> {
        let offset = self.offset(address)?;
        if size > self.size - offset || write && !self.writable {
            return None;
        }
        let inner = self.layout.translate(offset, size, write)?;
        Some(Translated { address: self.address() + inner.address, size: inner.size })
    }
}
