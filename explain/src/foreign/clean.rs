//! From what a tool printed to the lines of the verifier's log in it: without time stamps, names, quotes and indentation
//! that the tool has put before them.

use std::collections::HashMap;

/// Where an instruction of a log begins in a line: `12: (85) call ...`.
fn insn_at(line: &str) -> Option<usize> {
    line.match_indices(": (").find_map(|(at, _)| {
        let start = line[..at].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |b| b + 1);
        let code = line.get(at + 3..at + 7)?;
        let is_code = code.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit) && code.ends_with(") ");
        // The line of a file and its column stand before a bracket too.
        (start < at && is_code && !line[..start].ends_with([':', '.'])).then_some(start)
    })
}

/// Where in a line something stands that only a verifier writes.
fn anchor(line: &str) -> Option<usize> {
    let figures = || {
        let at = line.find("processed ").filter(|_| line.contains(" insns (limit "));
        at.or_else(|| line.find("verification time ").filter(|_| line.ends_with(" usec")))
    };
    insn_at(line).or_else(figures)
}

/// Text with runs of digits as `0` and runs of blanks as one blank.
fn shape(prefix: &str) -> String {
    let mut shape = String::new();
    for c in prefix.chars() {
        let c = match c {
            _ if c.is_ascii_digit() => '0',
            _ if c.is_whitespace() => ' ',
            _ => c,
        };
        if !(matches!(c, '0' | ' ') && shape.ends_with(c)) {
            shape.push(c);
        }
    }
    shape
}

/// A line without a prefix of a shape; as it is where it has none.
fn without<'a>(line: &'a str, shape: &str) -> &'a str {
    let mut rest = line;
    for c in shape.chars() {
        let kept = match c {
            '0' => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
            ' ' => rest.trim_start(),
            _ => rest.strip_prefix(c).unwrap_or(rest),
        };
        if kept.len() == rest.len() && c != ' ' {
            return line;
        }
        rest = kept;
    }
    rest
}

/// Without the sequences that colour text on terminals.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out += &rest[..at];
        let tail = &rest[at + 2..];
        let end = tail.find(|c: char| c.is_ascii_alphabetic()).map_or(tail.len(), |e| e + 1);
        rest = &tail[end..];
    }
    out + rest
}

/// The lines of a line in which others are quoted, with `\n` for their ends.
fn unquoted(line: &str) -> Vec<String> {
    if !line.contains("\\n") {
        return vec![line.to_owned()];
    }
    let text = line.replace("\\t", "\t").replace("\\n", "\n").replace("\\\"", "\u{1}");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    // What follows the closing quote is the tool's again.
    if let Some(last) = lines.last_mut()
        && let Some(end) = last.find('"')
    {
        last.truncate(end);
    }
    lines.iter().map(|l| l.replace('\u{1}', "\"")).collect()
}

/// The lines of the text as the kernel has written them.
pub fn lines(text: &str) -> Vec<String> {
    let text = without_colours(text);
    let lines: Vec<String> = text.lines().flat_map(unquoted).collect();
    let mut shapes: HashMap<String, usize> = HashMap::new();
    for line in &lines {
        if let Some(at) = anchor(line) {
            *shapes.entry(shape(&line[..at])).or_default() += 1;
        }
    }
    let usual = shapes.into_iter().max_by(|a, b| (a.1, &b.0).cmp(&(b.1, &a.0))).map(|(s, _)| s).unwrap_or_default();
    let clean = |line: &String| {
        let line = match anchor(line) {
            Some(at) => &line[at..],
            None => without(line, &usual),
        };
        line.trim_end().to_owned()
    };
    lines.iter().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_left_out() {
        let stamped = "[   12.345678] bpf: 0: (b7) r0 = 0\n[   12.345699] bpf: R1 !read_ok\n[   13.1] other";
        assert_eq!(lines(stamped), ["0: (b7) r0 = 0", "R1 !read_ok", "[   13.1] other"]);
        let indented = "\t0: (b7) r0 = 0\n\t1: (95) exit\n\tR0 !read_ok";
        assert_eq!(lines(indented), ["0: (b7) r0 = 0", "1: (95) exit", "R0 !read_ok"]);
    }

    #[test]
    fn quoted_lines_are_lines() {
        let quoted = r#"level=error msg="load: 0: (b7) r0 = 0\n1: (95) exit\nR0 !read_ok" pid=7"#;
        assert_eq!(lines(quoted), ["0: (b7) r0 = 0", "1: (95) exit", "R0 !read_ok"]);
    }

    #[test]
    fn a_jump_is_one_line() {
        let jump = "7: (15) if r6 == 0x0 goto pc+3 11: R0=0 R6=0";
        assert_eq!(lines(jump), [jump]);
    }
}
