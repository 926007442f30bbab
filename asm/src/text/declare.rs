//! Declarations in the manner of C, and the attributes of maps.

use super::cx::Context;
use super::statement::{At, Sum};
use std::ops::Range;

/// A word of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Word(&'t str),
    Struct(&'t str),
    Union(&'t str),
    Enum(&'t str),
    Star,
}

/// Words and array lengths, before it is known which words are a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declarator<'t> {
    pub parts: Vec<At<Part<'t>>>,
    pub dims: Vec<Option<At<Sum<'t>>>>,
}

/// A variable with its initial value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable<'t> {
    pub declarator: Declarator<'t>,
    pub init: Option<At<Init<'t>>>,
}

/// An initial value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Init<'t> {
    Number(At<Sum<'t>>),
    /// With its quotes.
    Text(&'t str),
    List(Vec<At<Init<'t>>>),
}

/// A function with its parameters, if they are declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionDecl<'t> {
    pub declarator: Declarator<'t>,
    pub params: Option<Vec<Declarator<'t>>>,
}

/// A struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members<'t> {
    pub name: At<&'t str>,
    pub members: Vec<Declarator<'t>>,
}

/// One part of an attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attribute<'t> {
    Number(u64),
    /// A type, or a name that is none.
    Type(Declarator<'t>),
    Values(Vec<MapValue<'t>>),
}

/// An entry of a map of maps or of programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapValue<'t> {
    /// Its index; the next one when missing.
    pub index: Option<At<u64>>,
    pub name: At<&'t str>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapDecl<'t> {
    pub name: At<&'t str>,
    pub kind: At<&'t str>,
    pub attributes: Vec<(At<&'t str>, Vec<At<Attribute<'t>>>)>,
}

pub(crate) fn shift(a: u64, b: u64) -> u64 {
    u32::try_from(b).ok().and_then(|b| a.checked_shl(b)).unwrap_or(0)
}

/// What a type's name refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base<'t> {
    /// Words such as `unsigned int`, separated by single spaces.
    Named(String),
    Struct(&'t str),
    Union(&'t str),
    Enum(&'t str),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CType<'t> {
    pub base: Base<'t>,
    pub pointers: usize,
    /// Lengths of nested arrays, the outermost first; `None` for `[]`.
    pub dims: Vec<Option<u32>>,
    pub span: Range<usize>,
}

/// A type with the name that is declared to be of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared<'t> {
    /// Words such as `static`, that say something about the name and not about the type.
    pub storage: Vec<At<&'t str>>,
    /// Missing when nothing but a name was written.
    pub ty: Option<CType<'t>>,
    /// Missing when nothing but a type was written.
    pub name: Option<At<&'t str>>,
}

const STORAGE: [&str; 4] = ["static", "global", "weak", "extern"];
/// Words that several of make one type.
const TYPE_WORDS: [&str; 7] = ["unsigned", "signed", "int", "long", "short", "char", "void"];

impl<'t> Declarator<'t> {
    pub(crate) fn span(&self) -> Range<usize> {
        match (self.parts.first(), self.parts.last()) {
            (Some(a), Some(b)) => a.span.start..b.span.end,
            _ => 0..0,
        }
    }

    /// The single word that it is, if it is no more.
    pub(crate) fn word(&self) -> Option<&'t str> {
        match (self.parts.as_slice(), self.dims.as_slice()) {
            ([At { value: Part::Word(w), .. }], []) => Some(w),
            _ => None,
        }
    }

    /// Tells type and name apart; `named` when there must be a name.
    pub(crate) fn resolve(self, cx: &mut Context<'t>, named: bool) -> Declared<'t> {
        let span = self.span();
        let mut parts = self.parts;
        let mut storage = Vec::new();
        // The last word may be a name that happens to be such a word.
        let last = if named { parts.last().map(|p| p.span.start) } else { None };
        parts.retain(|p| match p.value {
            _ if Some(p.span.start) == last => true,
            Part::Word(w) if STORAGE.contains(&w) => {
                storage.push(At { value: w, span: p.span.clone() });
                false
            }
            Part::Word("const" | "volatile") => false,
            _ => true,
        });
        let name = match parts.last() {
            Some(At { value: Part::Word(w), span }) if !TYPE_WORDS.contains(w) && (named || parts.len() > 1) => {
                Some(At { value: *w, span: span.clone() })
            }
            Some(last) if named => {
                cx.problem(last.span.end..last.span.end, "expected a name");
                None
            }
            _ => None,
        };
        if name.is_some() {
            parts.pop();
        } else if named && parts.is_empty() {
            cx.problem(span.clone(), "expected a name");
        }
        let dims = self.dims.into_iter().map(|d| {
            let d = d?;
            let (number, span) = (cx.value(d.value), d.span);
            Some(u32::try_from(number).unwrap_or_else(|_| {
                cx.problem(span, format!("{number} is no length of an array"));
                1
            }))
        });
        let dims: Vec<Option<u32>> = dims.collect();
        let ty = (!parts.is_empty()).then(|| ctype(cx, &parts, dims, span));
        Declared { storage, ty, name }
    }
}

fn ctype<'t>(cx: &mut Context<'t>, parts: &[At<Part<'t>>], dims: Vec<Option<u32>>, span: Range<usize>) -> CType<'t> {
    let mut base = None;
    let mut words: Vec<&str> = Vec::new();
    let mut pointers = 0;
    for part in parts {
        match part.value {
            Part::Star => pointers += 1,
            _ if pointers > 0 || base.is_some() || (!words.is_empty() && !matches!(part.value, Part::Word(_))) => {
                cx.problem(part.span.clone(), "this is one word too many for a type");
            }
            Part::Word(w) => words.push(w),
            Part::Struct(n) => base = Some(Base::Struct(n)),
            Part::Union(n) => base = Some(Base::Union(n)),
            Part::Enum(n) => base = Some(Base::Enum(n)),
        }
    }
    let base = base.unwrap_or_else(|| Base::Named(words.join(" ")));
    CType { base, pointers, dims, span }
}
