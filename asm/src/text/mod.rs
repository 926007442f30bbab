//! From text to statements: words ([`token`]), cut into statements ([`cut`]), grammar, and what each statement means.

pub(crate) mod cut;
mod cx;
pub(crate) mod declare;
mod expect;
mod listed;
mod mnemonic;
mod pseudo_c;
pub(crate) mod statement;
pub(crate) mod token;

pub(crate) use cx::Context;
pub(crate) use listed::gaps;
pub(crate) use mnemonic::{ATOMICS, is_mnemonic, names as mnemonics};
pub(crate) use pseudo_c::{COMPARISONS, UPDATES, view};

use lalrpop_util::lalrpop_mod;
use statement::Draft;
use token::Spanned;

lalrpop_mod!(
    #[allow(clippy::all, clippy::pedantic, missing_docs, unused)]
    grammar,
    "/text/grammar.rs"
);

/// A way of writing instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Syntax {
    /// Whichever the text is written in: `.syntax` says so, or most statements look like it.
    #[default]
    Auto,
    /// `r0 = *(u32 *)(r1 + 4)`, as LLVM and the kernel write.
    PseudoC,
    /// `ldxw r0, [r1+4]`, as ubpf, rbpf and the conformance suite write.
    Mnemonic,
}

impl Syntax {
    /// Looks up the name that directives and the command line use.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "pseudo-c" => Some(Self::PseudoC),
            "mnemonic" => Some(Self::Mnemonic),
            _ => None,
        }
    }
}

/// Reads one instruction. What is wrong is said in `cx`.
pub(crate) fn instruction<'t>(cx: &mut Context<'t>, syntax: Syntax, words: &[Spanned<'t>], end: usize) -> Draft<'t> {
    let tokens = words.iter().copied().map(Ok);
    let result = match syntax {
        Syntax::Mnemonic => grammar::MnemonicParser::new().parse(cx, tokens),
        _ => grammar::PseudoCParser::new().parse(cx, tokens),
    };
    result.unwrap_or_else(|e| {
        expect::explain(cx, e, end);
        Draft::Broken
    })
}

/// Reads what follows a directive's name, with one of the grammar's parsers.
macro_rules! reader {
    ($name:ident, $parser:ident, $result:ty) => {
        pub(crate) fn $name<'t>(cx: &mut Context<'t>, words: &[Spanned<'t>], end: usize) -> Option<$result> {
            let result = grammar::$parser::new().parse(cx, words.iter().copied().map(Ok));
            result.map_err(|e| expect::explain(cx, e, end)).ok()
        }
    };
}

reader!(variable, VariableDeclParser, declare::Variable<'t>);
reader!(function, FunctionOfParser, declare::FunctionDecl<'t>);
reader!(members, MembersOfParser, declare::Members<'t>);
reader!(map, MapOfParser, declare::MapDecl<'t>);
reader!(constant, ConstantParser, (statement::At<&'t str>, statement::At<statement::Sum<'t>>));
reader!(numbers, NumbersParser, Vec<statement::At<statement::Sum<'t>>>);
