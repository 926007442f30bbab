//! Figures as text and as JSON.

use super::programs::SEVEN;
use super::{Absent, Engine, Figures, mean, scale};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything that `bench` has found out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By program.
    pub figures: Vec<Figures>,
    /// Programs that are not installed here.
    pub skipped: Vec<&'static str>,
    /// Microseconds an instruction, by engine, for each of [`scale::SIZES`].
    pub compile: BTreeMap<Engine, [Option<f64>; scale::SIZES.len()]>,
    /// KiB that compiling the middle size takes.
    pub memory: BTreeMap<Engine, u64>,
    /// Runs on a capture.
    pub capture: super::capture::Figures,
}

/// A ratio with as many digits as matter.
pub fn ratio(r: f64) -> String {
    match r {
        r if r < 0.0995 => format!("{r:.3}"),
        r if r < 9.995 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        r => format!("{r:.0}"),
    }
}

impl Report {
    /// What ratios are to: the kernel, or without one our own native code.
    pub fn base(&self) -> Engine {
        let has_kernel = self.figures.iter().any(|f| f.ns.contains_key(&Engine::Kernel));
        if has_kernel { Engine::Kernel } else { Engine::Jit }
    }

    /// The geometric mean over the seven programs; `None` unless all were measured.
    pub fn geo7(&self, engine: Engine) -> Option<f64> {
        mean(&self.figures, engine, self.base(), &SEVEN)
    }

    fn engines(&self) -> impl Iterator<Item = Engine> + '_ {
        Engine::ALL.into_iter().filter(|e| self.figures.iter().any(|f| f.ns.contains_key(e)))
    }

    /// As Markdown tables: ratios, and nanoseconds where `with_ns`.
    pub fn markdown(&self, with_ns: bool) -> String {
        let mut out = String::new();
        if !self.figures.is_empty() {
            self.ratios(&mut out);
        }
        if with_ns && !self.figures.is_empty() {
            self.nanoseconds(&mut out);
        }
        if !self.compile.is_empty() {
            self.compiling(&mut out, with_ns);
        }
        out.push_str(&self.capture.markdown(with_ns));
        for name in &self.skipped {
            let _ = writeln!(out, "\nskipped {name}: not installed");
        }
        out
    }

    fn ratios(&self, out: &mut String) {
        let base = self.base();
        let _ = write!(out, "| ratio to {} | geo7 |", base.name());
        for f in &self.figures {
            let _ = write!(out, " {} |", f.program);
        }
        let _ = writeln!(out, "\n|---|{}", "---|".repeat(self.figures.len() + 1));
        let mut reasons: Vec<Absent> = Vec::new();
        for engine in self.engines() {
            let geo7 = self.geo7(engine).map_or_else(|| "-".into(), ratio);
            let _ = write!(out, "| {} | {geo7} |", engine.name());
            for f in &self.figures {
                match (f.ns.get(&engine), f.ns.get(&base)) {
                    (Some(ns), Some(base)) => _ = write!(out, " {} |", ratio(ns / base)),
                    _ => {
                        let why = f.absent.get(&engine).copied();
                        if let Some(new) = why.filter(|w| !reasons.contains(w)) {
                            reasons.push(new);
                        }
                        let note = why.and_then(|w| reasons.iter().position(|r| *r == w)).map_or(0, |n| n + 1);
                        let _ = write!(out, " - ({note}) |");
                    }
                }
            }
            out.push('\n');
        }
        for (n, why) in reasons.iter().enumerate() {
            let _ = writeln!(out, "\n({}) {}.", n + 1, why.why());
        }
        let all = self.figures.iter().flat_map(|f| &f.absent);
        let mut missing: Vec<_> = all.filter(|(e, _)| self.engines().all(|have| have != **e)).collect();
        missing.sort();
        missing.dedup();
        for (engine, why) in missing {
            let _ = writeln!(out, "\nleft out {}: {}.", engine.name(), why.why());
        }
    }

    fn nanoseconds(&self, out: &mut String) {
        out.push_str("\n| ns a run |");
        for f in &self.figures {
            let _ = write!(out, " {} |", f.program);
        }
        let _ = writeln!(out, "\n|---|{}", "---|".repeat(self.figures.len()));
        for engine in self.engines() {
            let _ = write!(out, "| {} |", engine.name());
            for f in &self.figures {
                let ns = f.ns.get(&engine).map_or_else(|| "-".into(), |ns| format!("{ns:.1}"));
                let _ = write!(out, " {ns} |");
            }
            out.push('\n');
        }
    }

    /// Microseconds, or ratios to our native code at the same size.
    fn compiling(&self, out: &mut String, with_us: bool) {
        let unit = if with_us {
            "compile time, µs an instruction".into()
        } else {
            format!("compile time, as a ratio to `{}`", Engine::Jit.name())
        };
        let _ = write!(out, "\n| {unit} |");
        for size in scale::SIZES {
            let _ = write!(out, " {size} instructions |");
        }
        let memory = if with_us { "memory, KiB" } else { "memory" };
        let _ = writeln!(out, " {memory} |\n|---|{}", "---|".repeat(scale::SIZES.len() + 1));
        let base = self.compile.get(&Engine::Jit);
        let base_memory = self.memory.get(&Engine::Jit);
        for engine in Engine::ALL {
            let Some(times) = self.compile.get(&engine) else { continue };
            let _ = write!(out, "| {} |", engine.name());
            for (n, us) in times.iter().enumerate() {
                let base = base.and_then(|b| b[n]).filter(|_| !with_us);
                let _ = match (us, base) {
                    (Some(us), Some(base)) => write!(out, " {} |", ratio(us / base)),
                    (Some(us), None) => write!(out, " {us:.3} |"),
                    (None, _) => write!(out, " failed |"),
                };
            }
            let kib = match (self.memory.get(&engine), base_memory) {
                (Some(kib), Some(base)) if !with_us => ratio(*kib as f64 / (*base as f64).max(1.0)),
                (Some(kib), _) => kib.to_string(),
                (None, _) => "-".into(),
            };
            let _ = writeln!(out, " {kib} |");
        }
        if self.compile.values().flatten().any(Option::is_none) {
            out.push_str("\nfailed: the engine gives an error, or panics.\n");
        }
    }

    /// For other programs: nanoseconds, ratios, means, microseconds an instruction, KiB, seconds.
    pub fn json(&self) -> Value {
        let base = self.base();
        let mut programs = Map::new();
        for f in &self.figures {
            let engines: Map<_, _> =
                f.ns.iter()
                    .map(|(e, ns)| (e.name().to_owned(), json!({ "ns": ns, "ratio": f.ns.get(&base).map(|b| ns / b) })))
                    .collect();
            let absent: Map<_, _> = f.absent.iter().map(|(e, why)| (e.name().to_owned(), json!(why.why()))).collect();
            programs.insert(f.program.into(), json!({ "result": f.result, "engines": engines, "absent": absent }));
        }
        let geo7: Map<_, _> =
            Engine::ALL.into_iter().filter_map(|e| Some((e.name().to_owned(), json!(self.geo7(e)?)))).collect();
        let compile: Map<_, _> = self.compile.iter().map(|(e, us)| (e.name().to_owned(), json!(us))).collect();
        let memory: Map<_, _> = self.memory.iter().map(|(e, kib)| (e.name().to_owned(), json!(kib))).collect();
        json!({
            "base": base.name(), "programs": programs, "geo7": geo7, "skipped": self.skipped,
            "compile_sizes": scale::SIZES, "compile_us_per_insn": compile, "compile_kib": memory,
            "capture": self.capture.json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(program: &'static str, kernel: f64, jit: f64) -> Figures {
        let ns = BTreeMap::from([(Engine::Kernel, kernel), (Engine::Jit, jit)]);
        Figures { program, ns, absent: BTreeMap::from([(Engine::SbpfJit, Absent::NoMaps)]), result: 1 }
    }

    #[test]
    fn the_mean_is_geometric_and_needs_all_seven() {
        let mut report = Report { figures: SEVEN.map(|p| figures(p, 10.0, 10.0)).to_vec(), ..Report::default() };
        report.figures[0] = figures(SEVEN[0], 10.0, 1280.0);
        assert_eq!(report.base(), Engine::Kernel);
        // The seventh root of 128.
        assert!((report.geo7(Engine::Jit).expect("a mean") - 2.0).abs() < 1e-9);
        assert_eq!(report.geo7(Engine::SbpfJit), None);
        report.figures.pop();
        assert_eq!(report.geo7(Engine::Jit), None);
    }

    #[test]
    fn what_is_missing_is_a_dash_with_its_reason() {
        let mut second = figures("second", 20.0, 5.0);
        second.absent.clear();
        second.ns.insert(Engine::SbpfJit, 2000.0);
        let report = Report { figures: vec![figures("first", 10.0, 12.5), second], ..Report::default() };
        let text = report.markdown(false);
        assert!(text.contains("| JIT, verified | - | 1.25 | 0.25 |"), "{text}");
        assert!(text.contains("| solana-sbpf, JIT | - | - (1) | 100 |"), "{text}");
        assert!(text.contains(&format!("(1) {}.", Absent::NoMaps.why())), "{text}");
        assert!(!text.contains("ns a run"), "{text}");
        let json = report.json();
        assert_eq!(json["programs"]["second"]["engines"]["solana-sbpf, JIT"]["ratio"], 100.0);
    }
}
