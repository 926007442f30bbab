//! Control flow as one picture: programs and their functions below each other, the blocks of a function in rows. Blocks of
//! loops are tinted, deeper ones more; with what runs have executed, edges say how often they were taken.

use super::layout::{Layout, Point, Route, back_edges, layout};
use super::{Block, Kind, Program, blocks};
use crate::xml;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Size of a letter and of a line of text, and the edge around the lines of a box.
const LETTER: f64 = 6.63;
const LINE: f64 = 14.0;
const INSET: f64 = 8.0;
/// Longest line of text, in letters.
const MAX_LETTERS: usize = 90;
/// Functions with more blocks are not drawn: nobody could read them, and it would take long.
const MAX_BLOCKS: usize = 1500;
/// Between functions, and for their titles.
const SPACE: f64 = 30.0;
const TITLE: f64 = 26.0;
/// Deepest loop that has a tint of its own.
const MAX_DEPTH: usize = 4;

const STYLE: &str = "text{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1b1f24;white-space:pre}\
.p{font:bold 15px sans-serif}.f{font:bold 12px sans-serif}.n{font:11px sans-serif;fill:#57606a}\
.s{fill:#0b57a4}.c{fill:#57606a}.b{fill:#fff;stroke:#8c959f}.l1{fill:#fff8e5}.l2{fill:#ffefc4}.l3{fill:#ffe3a0}\
.l4{fill:#ffd67a}.z{fill:#f0f1f3;stroke:#d0d7de}.z+g text{fill:#8c959f}\
path{fill:none;stroke:#57606a}.y{stroke:#1a7f37}.o{stroke:#bc4c00}.k{stroke:#8250df}.w{stroke:#c9cfd6;stroke-dasharray:4 3}\
.e{font:10px sans-serif;paint-order:stroke;stroke:#fff;stroke-width:3px}\
.g{fill:none;stroke:#d0d7de}";

/// The picture of a file's programs.
pub fn svg(name: &str, programs: &[Program<'_>]) -> String {
    let mut body = String::new();
    let (mut y, mut width) = (SPACE, 400.0f64);
    for program in programs {
        text(&mut body, "p", (SPACE, y), &program.title);
        y += SPACE;
        let callbacks = callbacks(program);
        for (function, lines) in &program.functions {
            let start = lines.first().map_or(0, |l| l.0);
            let blocks = blocks(program.insns, lines);
            let mut title = function.clone();
            if callbacks.contains(&start) {
                title += " (callback)";
            }
            if let Some((executed, _)) = &program.executed {
                let _ = write!(title, ": {}", times(executed.get(start).copied().unwrap_or(0)));
            }
            text(&mut body, "f", (SPACE + 10.0, y + 16.0), &title);
            let (x, top) = (SPACE, y + TITLE);
            let size = match Picture::of(program, &blocks, &mut body, (x, top)) {
                Some(size) => size,
                None => {
                    let said =
                        format!("{} blocks: too many to draw; without --svg they are written as DOT", blocks.len());
                    text(&mut body, "n", (x + 10.0, top + 16.0), &said);
                    (letters(&said), 30.0)
                }
            };
            let _ = writeln!(
                body,
                "<rect class=\"g\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"6\"/>",
                size.0.max(letters(&title) + 40.0),
                size.1 + TITLE
            );
            width = width.max(x + size.0.max(letters(&title) + 40.0) + SPACE);
            y += size.1 + TITLE + SPACE;
        }
        width = width.max(SPACE * 2.0 + letters(&program.title) * 1.4);
        y += SPACE / 2.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{y:.0}\" viewBox=\"0 0 {width:.0} {y:.0}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"a\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto-start-reverse\"><path d=\"M0 0L10 5L0 10z\" style=\"fill:context-stroke;stroke:none\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        xml::text(name)
    )
}

/// First slots of functions that are called by somebody else.
fn callbacks(program: &Program<'_>) -> BTreeSet<usize> {
    let all = program.functions.iter().flat_map(|(_, lines)| blocks(program.insns, lines));
    all.flat_map(|b| b.callbacks).collect()
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn letters(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// A line of a box.
struct Row {
    class: &'static str,
    text: String,
}

/// What stands in a block's box.
fn content(program: &Program<'_>, block: &Block<'_>, last_line: &mut Option<(String, String)>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (slot, text) in &block.lines {
        let line = program.lines.range(..=*slot).next_back().map(|(_, line)| line);
        if let Some(line) = line.filter(|line| last_line.as_ref() != Some(*line)) {
            let (place, text) = line;
            let file = place.rsplit('/').next().unwrap_or(place);
            rows.push(Row { class: "s", text: cut(&format!("{file}  {}", text.trim())) });
            *last_line = Some(line.clone());
        }
        rows.push(Row { class: "", text: cut(&format!("{slot:>4}  {text}")) });
    }
    rows
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// How often an edge was taken.
fn taken(program: &Program<'_>, block: &Block<'_>, kind: Kind) -> Option<u64> {
    let (executed, jumped) = program.executed.as_ref()?;
    let count = |of: &[u64]| of.get(block.last()).copied().unwrap_or(0);
    Some(match kind {
        Kind::Only => count(executed),
        Kind::Yes => count(jumped),
        Kind::No => count(executed).saturating_sub(count(jumped)),
    })
}

/// How many loops each block is in: those whose head it can be reached from without leaving them.
fn depths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); count];
    edges.iter().for_each(|(from, to)| into[*to].push(*from));
    // Loops with the same head are one.
    let mut loops: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for ((from, head), _) in edges.iter().zip(back_edges(count, edges)).filter(|(_, back)| *back) {
        let body = loops.entry(*head).or_default();
        body.insert(*head);
        let mut open = vec![*from];
        while let Some(block) = open.pop() {
            if body.insert(block) {
                open.extend(&into[block]);
            }
        }
    }
    let mut depths = vec![0; count];
    loops.values().flatten().for_each(|block| depths[*block] += 1);
    depths
}

struct Picture;

impl Picture {
    /// Draws a function's blocks at a place; the answer is the size, `None` where there are too many.
    fn of(program: &Program<'_>, blocks: &[Block<'_>], out: &mut String, at: Point) -> Option<Point> {
        if blocks.len() > MAX_BLOCKS {
            return None;
        }
        let mut last_line = None;
        let contents: Vec<Vec<Row>> = blocks.iter().map(|b| content(program, b, &mut last_line)).collect();
        let size = |rows: &Vec<Row>| {
            let width = rows.iter().map(|r| letters(&r.text)).fold(40.0, f64::max);
            (width + 2.0 * INSET, rows.len() as f64 * LINE + 2.0 * INSET)
        };
        let sizes: Vec<Point> = contents.iter().map(size).collect();
        let numbers: BTreeMap<usize, usize> = blocks.iter().enumerate().map(|(n, b)| (b.start(), n)).collect();
        let mut edges = Vec::new();
        let mut said = Vec::new();
        for (n, block) in blocks.iter().enumerate() {
            for edge in &block.edges {
                let Some(to) = numbers.get(&edge.to) else { continue };
                edges.push((n, *to));
                said.push((edge.kind, taken(program, block, edge.kind)));
            }
        }
        let laid_out = layout(&sizes, &edges)?;
        let depths = depths(blocks.len(), &edges);
        let _ = writeln!(out, "<g transform=\"translate({:.0} {:.0})\">", at.0, at.1);
        for (route, (kind, count)) in laid_out.routes.iter().zip(&said) {
            draw_route(out, route, *kind, *count);
        }
        for (n, rows) in contents.iter().enumerate() {
            let runs = program.executed.as_ref().map(|(e, _)| e.get(blocks[n].start()).copied().unwrap_or(0));
            draw_box(out, &laid_out, n, sizes[n], rows, depths[n], runs);
        }
        // Above the boxes, so that nothing hides them.
        for (route, (kind, count)) in laid_out.routes.iter().zip(&said) {
            draw_label(out, route, *kind, *count);
        }
        out.push_str("</g>\n");
        Some(laid_out.size)
    }
}

fn draw_box(
    out: &mut String,
    laid_out: &Layout,
    n: usize,
    (width, height): Point,
    rows: &[Row],
    depth: usize,
    runs: Option<u64>,
) {
    let (x, y) = laid_out.boxes[n];
    let class = match (runs, depth) {
        (Some(0), _) => "b z".to_owned(),
        (_, 0) => "b".to_owned(),
        (_, depth) => format!("b l{}", depth.min(MAX_DEPTH)),
    };
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"3\"/>\n<g>"
    );
    for (row, line) in (1..).zip(rows) {
        text(out, line.class, (x + INSET, y + INSET + f64::from(row) * LINE - 3.0), &line.text);
    }
    out.push_str("</g>\n");
    if let Some(runs) = runs {
        let said = times(runs);
        text(out, "e", (x + width - said.len() as f64 * 5.5, y - 4.0), &said);
    }
}

/// The path of an edge: smooth where it leads down, with corners where it closes a loop.
fn draw_route(out: &mut String, route: &Route, kind: Kind, count: Option<u64>) {
    let class = match (count, route.is_back, kind) {
        (Some(0), ..) => "w",
        (_, true, _) => "k",
        (_, _, Kind::Yes) => "y",
        (_, _, Kind::No) => "o",
        _ => "",
    };
    // As thick as it is often taken, by the number of digits.
    let width = count.map_or(1.2, |n| 1.0 + 0.5 * f64::from(n.max(1).ilog10()));
    let mut path = String::new();
    let mut points = route.points.iter();
    let Some(mut before) = points.next().copied() else { return };
    let _ = write!(path, "M{:.1} {:.1}", before.0, before.1);
    for point in points {
        let straight = route.is_back || (before.0 - point.0).abs() < 0.5;
        if straight {
            let _ = write!(path, "L{:.1} {:.1}", point.0, point.1);
        } else {
            let middle = (before.1 + point.1) / 2.0;
            let _ =
                write!(path, "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}", before.0, point.0, point.0, point.1);
        }
        before = *point;
    }
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"{path}\" stroke-width=\"{width:.1}\" stroke-linejoin=\"round\" marker-end=\"url(#a)\"/>"
    );
}

fn draw_label(out: &mut String, route: &Route, kind: Kind, count: Option<u64>) {
    let word = match kind {
        Kind::Only => "",
        Kind::No => "no",
        Kind::Yes => "yes",
    };
    let said = match (word, count) {
        ("", None) => return,
        ("", Some(n)) => n.to_string(),
        (word, None) => word.to_owned(),
        (word, Some(n)) => format!("{word} {n}"),
    };
    if let Some(start) = route.points.first() {
        let (dx, dy) = if route.is_back { (4.0, -3.0) } else { (4.0, 12.0) };
        text(out, "e", (start.0 + dx, start.1 + dy), &said);
    }
}

fn text(out: &mut String, class: &str, (x, y): Point, text: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(
        out,
        "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" xml:space=\"preserve\">{}</text>",
        xml::text(&text.replace('\t', " "))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_in_loops_are_deeper() {
        // 0 -> 1 -> 2 -> 2, 2 -> 1, 1 -> 3
        assert_eq!(depths(4, &[(0, 1), (1, 2), (2, 2), (2, 1), (1, 3)]), [0, 1, 2, 0]);
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(cut(&"x".repeat(200)).len(), MAX_LETTERS + 3);
    }
}
