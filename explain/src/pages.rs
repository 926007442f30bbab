//! The pages of `docs/rejections`, one for each code: what a rejection means, with programs that show it.

use flate2::read::DeflateDecoder;
use std::io::Read;
use std::sync::LazyLock;

/// The code of every page, and where its text ends.
static ENDS: &[(&str, usize)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The texts of all pages, one behind the other.
static TEXTS: LazyLock<String> = LazyLock::new(|| {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/pages.deflate"));
    let mut texts = String::new();
    // What the build has packed can be unpacked; a page that is missing is an empty one.
    let _ = DeflateDecoder::new(&packed[..]).read_to_string(&mut texts);
    texts
});

/// The page at a position.
fn page(at: usize) -> Page {
    let (code, end) = ENDS[at];
    let start = at.checked_sub(1).map_or(0, |before| ENDS[before].1);
    Page { code, text: TEXTS.get(start..end).unwrap_or_default() }
}

/// The page of one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The code, such as `EBPF0201`.
    pub code: &'static str,
    /// The whole text, as Markdown.
    pub text: &'static str,
}

/// Every page, in the order of the codes.
pub fn all() -> impl Iterator<Item = Page> {
    (0..ENDS.len()).map(page)
}

/// The page of a code: `EBPF0201`, in any case, or the number alone.
pub fn find(code: &str) -> Option<Page> {
    let digits = code.get(..4).filter(|p| p.eq_ignore_ascii_case("ebpf")).map_or(code, |_| &code[4..]);
    if digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let code = format!("EBPF{digits:0>4}");
    ENDS.binary_search_by(|(c, _)| (*c).cmp(code.as_str())).ok().map(page)
}

/// A program on a page, in a fence such as `asm rejected user=none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// `asm` or `c`.
    pub language: &'a str,
    /// Whether the program is rejected, with the page's code.
    pub is_rejected: bool,
    /// Name and value of what else is said of the program: `user=none` for a user without capabilities, `program=NAME`
    /// for the program that counts, where the text has several.
    pub options: Vec<(&'a str, &'a str)>,
    /// The program.
    pub text: &'a str,
}

impl Example<'_> {
    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }
}

/// A fence of Markdown.
const FENCE: &str = "```";

impl Page {
    /// What the page is about.
    pub fn title(&self) -> &'static str {
        let line = self.text.lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }

    /// The programs on the page, in their order.
    pub fn examples(&self) -> Vec<Example<'static>> {
        examples(self.text)
    }

    /// The page for a terminal: paragraphs of at most `width` columns, programs indented, and `heading` applied to titles.
    pub fn render(&self, width: usize, heading: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(info) = line.strip_prefix(FENCE) {
                out += &format!("{}\n\n", caption(info));
                for code in lines.by_ref().take_while(|l| !l.starts_with(FENCE)) {
                    out += format!("    {code}").trim_end();
                    out.push('\n');
                }
            } else if let Some(title) = line.strip_prefix('#') {
                out += &heading(title.trim_start_matches('#').trim());
                out.push('\n');
            } else if line.is_empty() {
                out.push('\n');
            } else {
                // A paragraph, or one point of a list.
                let mut text = line.to_owned();
                while let Some(next) = lines.next_if(|l| !l.is_empty() && !l.starts_with("- ") && !l.starts_with(FENCE))
                {
                    text.push(' ');
                    text += next.trim_start();
                }
                let indent = if text.starts_with("- ") { "  " } else { "" };
                wrap(&without_links(&text), width, indent, &mut out);
            }
        }
        out
    }
}

/// The programs in a page's text.
pub fn examples(text: &str) -> Vec<Example<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\n```") {
        rest = &rest[at + 1 + FENCE.len()..];
        let Some((info, body)) = rest.split_once('\n') else { break };
        let Some(end) = body.find(FENCE) else { break };
        rest = &body[end + FENCE.len()..];
        let mut words = info.split_whitespace();
        let (Some(language), Some(what)) = (words.next(), words.next()) else { continue };
        let options = words.filter_map(|w| w.split_once('=')).collect();
        found.push(Example { language, is_rejected: what == "rejected", options, text: &body[..end] });
    }
    found
}

/// What is said above a program.
fn caption(info: &str) -> String {
    let words: Vec<&str> = info.split_whitespace().collect();
    let language = match words.first() {
        Some(&"asm") => "assembly",
        Some(&"c") => "C",
        other => other.copied().unwrap_or_default(),
    };
    let user = match words.iter().find_map(|w| w.strip_prefix("user=")) {
        Some("none") => ", loaded by a user without capabilities",
        Some("bpf") => ", loaded with CAP_BPF alone",
        _ => "",
    };
    format!("  {}, in {language}{user}:", words.get(1).unwrap_or(&"program"))
}

/// Text in which `[name](address)` is the name alone.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let Some(start) = rest[..at].rfind('[') else { break };
        let Some(end) = rest[at..].find(')') else { break };
        out += &rest[..start];
        out += &rest[start + 1..at];
        rest = &rest[at + end + 1..];
    }
    out + rest
}

/// Writes a paragraph in lines of at most `width` columns, all but the first one indented.
fn wrap(text: &str, width: usize, indent: &str, out: &mut String) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if column > indent.len() && column + 1 + len > width {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_as_people_write_them() {
        let page = find("EBPF0201").expect("a page");
        assert_eq!(find("ebpf0201"), Some(page));
        assert_eq!(find("0201"), Some(page));
        assert_eq!(find("201"), Some(page));
        assert_eq!(find("EBPF9999"), None);
        assert_eq!(find("prog.o"), None);
        assert_eq!(find("ébpf0201"), None);
        assert_eq!(find("20100"), None);
    }

    #[test]
    fn examples_have_options() {
        let text = "# EBPF0001: x\n\n```asm rejected user=none\nexit\n```\n\n```c accepted\nint x;\n```\n";
        let found = examples(text);
        assert_eq!(found.len(), 2);
        assert!(found[0].is_rejected && found[0].option("user") == Some("none") && found[0].text == "exit\n");
        assert!(!found[1].is_rejected && found[1].language == "c");
    }

    #[test]
    fn pages_are_rendered_for_terminals() {
        let text = "# EBPF0001: short\n\nSee [EBPF0002](EBPF0002.md), which\nis long.\n\n- a\n  b\n- c\n\n```asm rejected\nexit\n```\n";
        let page = Page { code: "EBPF0001", text };
        assert_eq!(page.title(), "short");
        let expected =
            "EBPF0001: short\n\nSee EBPF0002, which\nis long.\n\n- a b\n- c\n\n  rejected, in assembly:\n\n    exit\n";
        assert_eq!(page.render(20, str::to_owned), expected);
    }
}
