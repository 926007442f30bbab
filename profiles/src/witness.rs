//! Witnesses: programs that kernels with a feature treat in one way and kernels without it in another.
//!
//! The file `witnesses/FEATURE.s` is assembly text; its first program is the witness. Comments say what is expected:
//!
//! ```text
//! # with: accepted
//! # without: rejected
//! # without message: the last line of what the kernel says
//! ```
//!
//! `message` may be repeated: any of them will do. Further lines, all of which must hold: `log: TEXT` and `no log: TEXT`
//! (the log of all paths has such a text or not), `processed: N` (instructions processed).

use ebpfkit_abi::Feature;
use ebpfkit_asm::assemble_object;
use ebpfkit_kernel::{Answer, Kernel, LogLevel, Session};
use ebpfkit_object::{Object, Prepared, Target};
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
use std::sync::OnceLock;

/// Name and text of each file.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/witnesses.rs"));

/// What a kernel shows of a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Whether it takes the program.
    pub accepted: bool,
    /// The last line of what it says, where it does not.
    pub message: String,
    /// The log of all paths, where the witness asks for it.
    pub log: String,
    /// Instructions processed.
    pub processed: Option<u64>,
}

/// What is expected of the kernels of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Whether they take the program.
    pub accepted: bool,
    /// What they may say; empty where that does not matter.
    pub messages: Vec<&'static str>,
    /// Texts that their log has.
    pub log: Vec<&'static str>,
    /// Texts that their log has not.
    pub no_log: Vec<&'static str>,
    /// Instructions that they process, where that matters.
    pub processed: Option<u64>,
}

impl Expectation {
    /// Whether a kernel showed this.
    pub fn is_met(&self, shown: &Shown) -> bool {
        self.accepted == shown.accepted
            && (self.messages.is_empty() || self.messages.contains(&shown.message.as_str()))
            && self.log.iter().all(|text| shown.log.contains(text))
            && !self.no_log.iter().any(|text| shown.log.contains(text))
            && self.processed.is_none_or(|n| shown.processed == Some(n))
    }
}

/// A program that tells kernels with a feature from kernels without it.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The feature.
    pub feature: Feature,
    /// The program as assembly text.
    pub text: &'static str,
    /// What kernels with it do.
    pub with: Expectation,
    /// What kernels without it do.
    pub without: Expectation,
}

/// A witness file that says something else than what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessError(pub String);

impl std::fmt::Display for WitnessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WitnessError {}

/// The witnesses, in the order of the features.
pub fn witnesses() -> &'static [Witness] {
    static ALL: OnceLock<Vec<Witness>> = OnceLock::new();
    ALL.get_or_init(|| {
        // A test reads every file, so that none is left out for an error here.
        let mut all: Vec<Witness> = FILES.iter().filter_map(|(name, text)| Witness::read(name, text).ok()).collect();
        all.sort_by_key(|w| w.feature);
        all
    })
}

/// The witness of a feature, if it has one.
pub fn witness(feature: Feature) -> Option<&'static Witness> {
    witnesses().iter().find(|w| w.feature == feature)
}

impl Witness {
    /// Reads a file.
    fn read(name: &str, text: &'static str) -> Result<Self, WitnessError> {
        let error = |what: &str| WitnessError(format!("{name}.s: {what}"));
        let feature = Feature::by_name(name).ok_or_else(|| error("no feature has this name"))?;
        let (mut with, mut without) = (None, None);
        for line in text.lines().filter_map(|l| l.strip_prefix("# with")) {
            let (side, line) = match line.strip_prefix("out") {
                Some(rest) => (&mut without, rest),
                None => (&mut with, line),
            };
            let Some((key, value)) = line.split_once(": ") else { continue };
            let (key, value) = (key.trim(), value.trim());
            if key.is_empty() {
                let accepted = match value {
                    "accepted" => true,
                    "rejected" => false,
                    other => return Err(error(&format!("`{other}`: expected `accepted` or `rejected`"))),
                };
                *side = Some(Expectation { accepted, ..Expectation::default() });
                continue;
            }
            let Some(expected) = side else { return Err(error(&format!("`{key}` comes before a verdict"))) };
            match key {
                "message" => expected.messages.push(value),
                "log" => expected.log.push(value),
                "no log" => expected.no_log.push(value),
                "processed" => {
                    expected.processed =
                        Some(value.parse().map_err(|_| error(&format!("`{value}`: expected a number")))?);
                }
                other => return Err(error(&format!("`{other}`: expected message, log, no log or processed"))),
            }
        }
        let side = |side: Option<Expectation>, what: &str| side.ok_or_else(|| error(&format!("no line `# {what}:`")));
        let (with, without) = (side(with, "with")?, side(without, "without")?);
        Ok(Self { feature, text, with, without })
    }

    /// Reads every file; the errors of those that are wrong.
    pub fn check_all() -> Vec<WitnessError> {
        FILES.iter().filter_map(|(name, text)| Self::read(name, text).err()).collect()
    }

    /// The program, not yet resolved for a kernel.
    pub fn object(&self) -> Result<Object, WitnessError> {
        let name = format!("{}.s", self.feature.name());
        assemble_object(&name, self.text).map_err(|e| WitnessError(e.to_string()))
    }

    /// The program resolved for a kernel.
    pub fn prepare(&self, target: impl FnOnce(&Object) -> Target) -> Result<Prepared, WitnessError> {
        let object = self.object()?;
        let target = target(&object);
        object.prepare(&target).map_err(|e| WitnessError(e.to_string()))
    }

    /// Whether the log of all paths matters.
    fn needs_log(&self) -> bool {
        [&self.with, &self.without].iter().any(|e| !e.log.is_empty() || !e.no_log.is_empty())
    }

    /// What the modelled kernel shows; `None` where the program does not reach its verifier or needs what is not
    /// modelled.
    pub fn judge(&self, model: &KernelModel, prepared: &Prepared) -> Option<Shown> {
        if prepared.unloadable.first()?.is_some() {
            return None;
        }
        let mut log = KernelLog { level: if self.needs_log() { 2 } else { 0 }, ..KernelLog::default() };
        let report = verify(model, &prepared.object, 0, Options::default(), &mut log);
        let processed = Some(report.insns_processed);
        let message = match report.verdict {
            Verdict::Accepted(_) => None,
            Verdict::Rejected(r) => Some(r.text.clone()),
            Verdict::Unsupported { .. } => return None,
        };
        Some(Shown {
            accepted: message.is_none(),
            message: message.as_deref().and_then(|m| m.trim_end().lines().last()).unwrap_or_default().to_owned(),
            log: log.text,
            processed,
        })
    }

    /// What the running kernel shows; `None` where the program does not reach its verifier.
    pub fn ask(&self, kernel: Kernel, prepared: &Prepared) -> Option<Shown> {
        let session = Session::new(kernel, prepared).ok()?;
        let level = if self.needs_log() { LogLevel::ALL_PATHS } else { LogLevel::FAILING_PATH };
        let result = session.load(0, level).ok()?;
        let message = match result.answer() {
            Answer::Accepted => None,
            Answer::Rejected(message) => Some(message),
            Answer::Refused { .. } | Answer::Unloadable(_) => return None,
        };
        let processed = result.summary().insns_processed;
        Some(Shown { accepted: message.is_none(), message: message.unwrap_or_default(), log: result.log, processed })
    }

    /// Whether what a kernel showed is what kernels with the feature do; `None` where it is neither that nor what
    /// kernels without it do.
    pub fn read_off(&self, shown: &Shown) -> Option<bool> {
        match (self.with.is_met(shown), self.without.is_met(shown)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }
}
