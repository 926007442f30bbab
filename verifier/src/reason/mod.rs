//! Every rejection, one variant each, in families by module.
//!
//! The kernel's message, the code, the page in the catalogue and the diagnosis all start from the variant.
//! Codes: `EBPF01xx` scalars, `EBPF02xx` memory, `EBPF03xx` calls, `EBPF04xx` resources, `EBPF05xx` exploration,
//! `EBPF06xx` the program as a whole, `EBPF07xx` objects on the stack, `EBPF08xx` typed pointers and
//! special fields, `EBPF09xx` arguments of global functions, `EBPF10xx` kernel
//! functions, `EBPF11xx` attach points. Rejections for the same mistake share a code, so that one page explains them.

mod rows;

pub mod attach;
pub mod call;
pub mod explore;
pub mod global;
pub mod kfunc;
pub mod memory;
pub mod object;
pub mod program;
pub mod recognise;
pub mod resource;
pub mod scalar;
pub mod types;

pub use attach::AttachReason;
pub use call::CallReason;
pub use explore::ExploreReason;
pub use global::GlobalReason;
pub use kfunc::KfuncReason;
pub use memory::{MemoryReason, Outside};
pub use object::ObjectReason;
pub use program::ProgramReason;
pub use recognise::{Message, Recognised, Wording, recognise};
pub use resource::ResourceReason;
pub use scalar::ScalarReason;
pub use types::TypeReason;

/// Why a program is rejected.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Reason {
    Scalar(ScalarReason),
    Memory(MemoryReason),
    Call(CallReason),
    Resource(ResourceReason),
    Object(ObjectReason),
    Type(TypeReason),
    Global(GlobalReason),
    Kfunc(KfuncReason),
    Attach(AttachReason),
    Explore(ExploreReason),
    Program(ProgramReason),
}

macro_rules! each {
    ($self:expr, $r:ident => $e:expr) => {
        match $self {
            Reason::Scalar($r) => $e,
            Reason::Memory($r) => $e,
            Reason::Call($r) => $e,
            Reason::Resource($r) => $e,
            Reason::Object($r) => $e,
            Reason::Type($r) => $e,
            Reason::Global($r) => $e,
            Reason::Kfunc($r) => $e,
            Reason::Attach($r) => $e,
            Reason::Explore($r) => $e,
            Reason::Program($r) => $e,
        }
    };
}

impl Reason {
    /// Stable code, `EBPF` and four digits.
    pub fn code(&self) -> &'static str {
        each!(self, r => r.code())
    }

    /// Error number that `bpf(2)` would return, positive.
    pub fn errno(&self) -> i32 {
        each!(self, r => r.errno())
    }

    /// Whether the kernel refuses this without a word, so that the text is our own.
    pub fn is_silent(&self) -> bool {
        use ProgramReason as F;
        matches!(
            self,
            Self::Program(F::TypeNeedsCapability { .. } | F::MapNeedsCapability { .. } | F::TooManyInsns { .. })
                | Self::Program(F::OtherOwner { .. })
                | Self::Attach(AttachReason::UnknownHook { .. })
        )
    }

    /// The message of a kernel that has the features that `has` says it has. [`Display`](std::fmt::Display) gives that
    /// of the kernel that is modelled where nothing says which.
    pub fn text(&self, has: &dyn Fn(ebpfkit_abi::Feature) -> bool) -> String {
        let text = each!(self, r => r.text(has));
        // Nodes are named by their argument still.
        let of_node = matches!(self, Self::Kfunc(KfuncReason::OtherElement { .. } | KfuncReason::OtherNode { .. }));
        let of_calls = matches!(self, Self::Kfunc(_) | Self::Object(_) | Self::Resource(_)) && !of_node;
        if of_calls && has(ebpfkit_abi::Feature::ArgumentsAsRegisters) { arguments_as_registers(&text) } else { text }
    }

    /// Name of the variant, such as `UninitRegister`.
    pub fn name(&self) -> &'static str {
        each!(self, r => r.name())
    }
}

macro_rules! every_family {
    ($($variant:ident $family:ident),* $(,)?) => {
        /// Every message of every rejection, those of other kernels than the usual one behind the others.
        pub fn messages() -> impl Iterator<Item = Message> {
            let rows = [$($family::ROWS),*];
            let others = [$($family::OTHERS),*];
            let usual = rows.into_iter().flatten().map(|&(code, variant, template)| {
                Message { code, variant, template, by: Wording::Usual }
            });
            usual.chain(others.into_iter().flatten().copied())
        }

        impl Reason {
            /// The rejection of a code and a name, with the facts of a message.
            fn from_fields(code: &str, variant: &str, fields: &recognise::Fields<'_>) -> Option<Self> {
                $(if $family::ROWS.iter().any(|r| r.0 == code && r.1 == variant) {
                    return $family::from_fields(variant, fields).map(Self::$variant);
                })*
                None
            }
        }
    };
}

every_family! {
    Scalar ScalarReason, Memory MemoryReason, Call CallReason, Resource ResourceReason, Object ObjectReason,
    Type TypeReason, Global GlobalReason, Kfunc KfuncReason, Attach AttachReason, Explore ExploreReason,
    Program ProgramReason,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        each!(self, r => r.fmt(f))
    }
}

/// Names arguments by the registers that they are in: `R2` for `arg#1`, `arg #1` or `args#1`.
fn arguments_as_registers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("arg") {
        let word = rest[at..].trim_start_matches("arg").trim_start_matches('s').trim_start_matches(' ');
        let number = word.trim_start_matches('#');
        let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match number[..digits].parse::<u32>() {
            Ok(index) if !rest[at..].starts_with("args are") => {
                out.push_str(&rest[..at]);
                out.push_str(&format!("R{}", index.saturating_add(1)));
                rest = &number[digits..];
            }
            _ => {
                out.push_str(&rest[..at + 3]);
                rest = &rest[at + 3..];
            }
        }
    }
    out + rest
}

/// A rejection with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// Slot being verified.
    pub insn: usize,
    /// What the modelled kernel says of it, all lines.
    pub text: String,
}

/// Why a step did not go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The program is rejected.
    Reject(Box<Reason>),
    /// Something is not modelled.
    Unsupported(String),
}

impl Stop {
    /// Something is not modelled.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}

impl<T: Into<Reason>> From<T> for Stop {
    fn from(reason: T) -> Self {
        Self::Reject(Box::new(reason.into()))
    }
}

/// Ends a step with a rejection.
pub fn reject<T>(reason: impl Into<Reason>) -> crate::Step<T> {
    Err(Stop::Reject(Box::new(reason.into())))
}
