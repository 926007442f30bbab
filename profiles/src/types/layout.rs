//! How types are laid out in BTF: what the words of each kind stand for.

/// What a word of a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The number of another type.
    Ref,
    /// The offset of a string.
    Name,
    /// Anything else.
    Plain,
}

use Word::{Name, Plain, Ref};

/// The words of a kind: the third one of its header, those that follow it once, and those of each entry.
pub(super) struct Layout {
    pub size: Word,
    pub once: &'static [Word],
    pub entry: &'static [Word],
}

const fn layout(size: Word, once: &'static [Word], entry: &'static [Word]) -> Option<Layout> {
    Some(Layout { size, once, entry })
}

/// By kind's number.
const LAYOUTS: [Option<Layout>; 20] = [
    None,
    layout(Plain, &[Plain], &[]),
    layout(Ref, &[], &[]),
    layout(Plain, &[Ref, Ref, Plain], &[]),
    layout(Plain, &[], &[Name, Ref, Plain]),
    layout(Plain, &[], &[Name, Ref, Plain]),
    layout(Plain, &[], &[Name, Plain]),
    layout(Plain, &[], &[]),
    layout(Ref, &[], &[]),
    layout(Ref, &[], &[]),
    layout(Ref, &[], &[]),
    layout(Ref, &[], &[]),
    layout(Ref, &[], &[]),
    layout(Ref, &[], &[Name, Ref]),
    layout(Ref, &[Plain], &[]),
    layout(Plain, &[], &[Ref, Plain, Plain]),
    layout(Plain, &[], &[]),
    layout(Ref, &[Plain], &[]),
    layout(Ref, &[], &[]),
    layout(Plain, &[], &[Name, Plain, Plain]),
];

const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;

/// Kind of a header's second word.
pub(super) const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// Layout of a header's second word.
pub(super) fn of(info: u32) -> Option<&'static Layout> {
    LAYOUTS.get(kind(info) as usize)?.as_ref()
}

/// Entries that follow a header with this second word; for kinds without entries its low half says something else.
pub(super) fn entries(info: u32) -> usize {
    match of(info) {
        Some(layout) if !layout.entry.is_empty() => (info & 0xffff) as usize,
        _ => 0,
    }
}

/// The words after a header, in order.
pub(super) fn words(layout: &Layout, info: u32) -> impl Iterator<Item = Word> {
    let rows = (0..entries(info)).flat_map(|_| layout.entry.iter().copied());
    layout.once.iter().copied().chain(rows)
}

/// Whether types of this kind are known by their names: the same name is the same type in another kernel, even where
/// its contents differ.
pub(super) fn is_known_by_name(info: u32) -> bool {
    !matches!(kind(info), KIND_DECL_TAG | KIND_TYPE_TAG)
}
