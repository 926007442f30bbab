//! Ratios to the kernel as a picture: a row for each engine, a dot for each program, a bar for the mean.

use super::Engine;
use super::programs::{PLAIN, SEVEN};
use super::table::{Report, ratio};
use std::fmt::Write;

const ROW: f64 = 26.0;
const LEFT: f64 = 190.0;
const WIDTH: f64 = 560.0;
const TOP: f64 = 52.0;
/// Ends of the axis, as powers of two.
const FIRST: i32 = -3;
const LAST: i32 = 7;

/// Where a ratio stands.
fn x(ratio: f64) -> f64 {
    let at = (ratio.log2() - f64::from(FIRST)) / f64::from(LAST - FIRST);
    LEFT + at.clamp(0.0, 1.0) * WIDTH
}

/// The picture.
pub fn svg(report: &Report) -> String {
    let base = report.base();
    let rows: Vec<_> = Engine::ALL.into_iter().filter_map(|e| Some((e, report.geo7(e)?))).collect();
    let bottom = TOP + rows.len() as f64 * ROW;
    let (width, height) = (LEFT + WIDTH + 60.0, bottom + 44.0);
    let mut out = String::new();
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<rect width="{width}" height="{height}" fill="#fff"/>
<text x="{LEFT}" y="20" font-size="14" fill="#222">Run time as a ratio to the {}; less is faster</text>
<text x="{LEFT}" y="38" fill="#666">bar: geometric mean of {}; dots: the programs</text>"##,
        base.name(),
        SEVEN.join(", "),
    );
    for power in FIRST..=LAST {
        let (at, value) = (x(2f64.powi(power)), 2f64.powi(power));
        let colour = if power == 0 { "#444" } else { "#ddd" };
        let _ = writeln!(out, r#"<line x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{bottom}" stroke="{colour}"/>"#);
        let _ = writeln!(
            out,
            r##"<text x="{at:.1}" y="{:.1}" fill="#666" text-anchor="middle">{value}</text>"##,
            bottom + 18.0
        );
    }
    for (row, (engine, geo7)) in rows.iter().enumerate() {
        let y = TOP + (row as f64 + 0.5) * ROW;
        let colour = if engine.is_ours() { "#2b6cb0" } else { "#8a8a8a" };
        let (from, to) = (x(1.0).min(x(*geo7)), x(1.0).max(x(*geo7)));
        let _ = writeln!(
            out,
            r##"<text x="{:.1}" y="{:.1}" fill="#222" text-anchor="end">{}</text>
<rect x="{from:.1}" y="{:.1}" width="{:.1}" height="12" fill="{colour}" fill-opacity="0.35"/>"##,
            LEFT - 8.0,
            y + 4.0,
            engine.name(),
            y - 6.0,
            (to - from).max(1.0),
        );
        for f in report.figures.iter().filter(|f| PLAIN.contains(&f.program)) {
            let (Some(ns), Some(base)) = (f.ns.get(engine), f.ns.get(&base)) else { continue };
            let r = ns / base;
            let _ = writeln!(
                out,
                r#"<circle cx="{:.1}" cy="{y:.1}" r="3" fill="{colour}"><title>{}: {}</title></circle>"#,
                x(r),
                f.program,
                ratio(r)
            );
        }
        let _ = writeln!(
            out,
            r##"<text x="{:.1}" y="{:.1}" fill="#222">{}</text>"##,
            LEFT + WIDTH + 10.0,
            y + 4.0,
            ratio(*geo7)
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Figures;
    use std::collections::BTreeMap;

    #[test]
    fn the_axis_is_logarithmic_and_has_ends() {
        assert_eq!(x(1.0), LEFT + WIDTH * 0.3);
        assert_eq!(x(1e9), LEFT + WIDTH);
        assert_eq!(x(1e-9), LEFT);
        assert!((x(4.0) - x(2.0) - (x(2.0) - x(1.0))).abs() < 1e-9);
    }

    #[test]
    fn engines_with_a_mean_have_rows() {
        let figures = |program| {
            let ns = BTreeMap::from([(Engine::Kernel, 10.0), (Engine::Jit, 5.0)]);
            Figures { program, ns, ..Figures::default() }
        };
        let report = Report { figures: SEVEN.map(figures).to_vec(), ..Report::default() };
        let svg = svg(&report);
        assert_eq!(svg.matches("<circle").count(), 14, "{svg}");
        assert!(svg.contains(">0.50</text>") && !svg.contains("rbpf"), "{svg}");
    }
}
