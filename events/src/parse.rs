//! From a file to items with their lines: JSON, one object a line, or YAML.

use serde_json::{Map, Number, Value};
use std::io::BufRead;

/// Deepest nesting of a value.
const MAX_DEPTH: usize = 64;
/// Longest line of JSON, and longest YAML file, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// What is wrong with a file of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ReadError {
    /// Line, from 1.
    pub line: usize,
    /// Where in the item: fields, outermost first; empty for the item itself.
    pub path: String,
    /// What is there and what is expected.
    pub problem: String,
}

impl ReadError {
    /// A problem of an item.
    pub fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, path: String::new(), problem: problem.into() }
    }
}

/// A value that knows its line, and those of the values inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: usize,
    /// The value.
    pub value: Tree,
}

/// The value of a [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// All of it stands in one line.
    Plain(Value),
    /// A list of YAML.
    List(Vec<Node>),
    /// A mapping of YAML.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The value alone.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Tree::Plain(value) => value.clone(),
            Tree::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Tree::Object(members) => {
                Value::Object(members.iter().map(|(name, n)| (name.clone(), n.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The line of the value at a path such as `args.dfd` or `args[0]`, as far as it is known.
    pub fn line_at(&self, path: &str) -> usize {
        let mut node = self;
        for part in path.split(['.', '[', ']']).filter(|p| !p.is_empty()) {
            let next = match &node.value {
                Tree::Plain(_) => None,
                Tree::List(items) => part.parse().ok().and_then(|n: usize| items.get(n)),
                Tree::Object(members) => members.iter().find(|(name, _)| name == part).map(|(_, n)| n),
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.line
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line. Empty lines, and lines that begin with `#` or `//`, say nothing.
    JsonLines,
    /// A list of mappings, or several documents.
    Yaml,
}

/// Reads the items of a file one after the other; JSON lines are read as they are asked for.
pub struct Items<R> {
    source: Source<R>,
}

enum Source<R> {
    Lines { from: R, line: usize },
    Read(std::vec::IntoIter<Node>),
}

impl<R: BufRead> Items<R> {
    /// The items of a file.
    pub fn new(mut from: R, format: Format) -> Result<Self, ReadError> {
        let source = match format {
            Format::JsonLines => Source::Lines { from, line: 0 },
            Format::Yaml => {
                let mut text = String::new();
                let mut limited = std::io::Read::take(&mut from, MAX_BYTES as u64 + 1);
                std::io::Read::read_to_string(&mut limited, &mut text).map_err(|e| ReadError::new(1, e.to_string()))?;
                if text.len() > MAX_BYTES {
                    return Err(ReadError::new(1, "more than 64 MiB of YAML; JSON lines are read one by one"));
                }
                Source::Read(yaml(&text)?.into_iter())
            }
        };
        Ok(Self { source })
    }
}

impl<R: BufRead> Iterator for Items<R> {
    type Item = Result<Node, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Read(items) => items.next().map(Ok),
            Source::Lines { from, line } => loop {
                let mut bytes = Vec::new();
                *line += 1;
                let mut limited = std::io::Read::take(&mut *from, MAX_BYTES as u64);
                match limited.read_until(b'\n', &mut bytes) {
                    Err(e) => return Some(Err(ReadError::new(*line, e.to_string()))),
                    Ok(0) => return None,
                    Ok(MAX_BYTES) => return Some(Err(ReadError::new(*line, "longer than 64 MiB"))),
                    Ok(_) => {}
                }
                let text = bytes.trim_ascii();
                if text.is_empty() || text.starts_with(b"#") || text.starts_with(b"//") {
                    continue;
                }
                return Some(json(text, *line));
            },
        }
    }
}

fn json(text: &[u8], line: usize) -> Result<Node, ReadError> {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => Ok(Node { line, value: Tree::Plain(value) }),
        Err(e) => {
            let message = e.to_string();
            let what = message.split(" at line ").next().unwrap_or_default();
            Err(ReadError::new(line, format!("column {}: {what}; expected one JSON object", e.column())))
        }
    }
}

fn yaml(text: &str) -> Result<Vec<Node>, ReadError> {
    use saphyr_parser::{Event, Parser};
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| ReadError::new(e.marker().line(), e.info().to_owned()))?;
        events.push((event, span.start.line()));
    }
    let mut events = events.into_iter().peekable();
    let mut items = Vec::new();
    while let Some((event, line)) = events.next() {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::Nothing | Event::DocumentStart(_) | Event::DocumentEnd => {}
            first => {
                let node = node(first, line, &mut events, MAX_DEPTH)?;
                match node.value {
                    Tree::List(list) => items.extend(list),
                    Tree::Plain(Value::Null) => {}
                    _ => items.push(node),
                }
            }
        }
    }
    Ok(items)
}

type Events<'t> = std::iter::Peekable<std::vec::IntoIter<(saphyr_parser::Event<'t>, usize)>>;

fn node<'t>(
    event: saphyr_parser::Event<'t>,
    line: usize,
    rest: &mut Events<'t>,
    depth: usize,
) -> Result<Node, ReadError> {
    use saphyr_parser::{Event, ScalarStyle};
    let depth = depth.checked_sub(1).ok_or_else(|| ReadError::new(line, "nested too deeply"))?;
    let value = match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => Tree::Plain(plain(&text)),
        Event::Scalar(text, ..) => Tree::Plain(Value::String(text.into_owned())),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match rest.next() {
                    Some((Event::SequenceEnd, _)) | None => break,
                    Some((event, line)) => items.push(node(event, line, rest, depth)?),
                }
            }
            Tree::List(items)
        }
        Event::MappingStart(..) => {
            let mut members: Vec<(String, Node)> = Vec::new();
            loop {
                let (key, line) = match rest.next() {
                    Some((Event::MappingEnd, _)) | None => break,
                    Some((Event::Scalar(text, ..), line)) => (text.into_owned(), line),
                    Some((_, line)) => return Err(ReadError::new(line, "a key that is no text")),
                };
                if members.iter().any(|(name, _)| *name == key) {
                    return Err(ReadError::new(line, format!("`{key}` stands here twice")));
                }
                let Some((event, line)) = rest.next() else { break };
                members.push((key, node(event, line, rest, depth)?));
            }
            Tree::Object(members)
        }
        // A few lines of aliases can stand for any amount of memory.
        Event::Alias(_) => return Err(ReadError::new(line, "aliases are not read; write the value out")),
        _ => return Err(ReadError::new(line, "expected a value")),
    };
    Ok(Node { line, value })
}

/// A scalar without quotes, by the rules of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    if let Ok(n) = signed.parse::<i64>() {
        return n.into();
    }
    if let Ok(n) = signed.parse::<u64>() {
        return n.into();
    }
    if let Some(n) = text.strip_prefix("0x").and_then(|t| u64::from_str_radix(t, 16).ok()) {
        return n.into();
    }
    let is_number = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    match text.parse::<f64>().ok().filter(|_| is_number).and_then(Number::from_f64) {
        Some(n) => Value::Number(n),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, format: Format) -> Vec<Result<Node, ReadError>> {
        match Items::new(text.as_bytes(), format) {
            Ok(items) => items.collect(),
            Err(e) => vec![Err(e)],
        }
    }

    #[test]
    fn both_formats_give_the_same() {
        let lines = "# first\n{\"kprobe\": \"f\", \"args\": [1, {\"name\": \"/x\"}]}\n\n{\"time\": \"+5ms\"}\n";
        let text = "- kprobe: f\n  args:\n  - 1\n  - name: /x\n- time: +5ms\n";
        let plain = |format, text| -> Vec<Value> {
            read(text, format).into_iter().map(|n| n.expect("read").to_json()).collect()
        };
        assert_eq!(plain(Format::JsonLines, lines), plain(Format::Yaml, text));
        assert_eq!(
            plain(Format::Yaml, "a: 0x10\n---\nb: [null, -1, 1.5, yes]\n"),
            [json!({"a": 16}), json!({"b": [null, -1, 1.5, "yes"]})]
        );
    }

    #[test]
    fn lines_are_known() {
        let node = read("- kprobe: f\n  args:\n  - 1\n  - name: /x\n", Format::Yaml).remove(0).expect("read");
        assert_eq!((node.line, node.line_at("args[1].name"), node.line_at("args[7]")), (1, 4, 3));
        let e = read("{}\n{\"a\": }\n", Format::JsonLines).remove(1).expect_err("bad");
        assert_eq!(e.to_string(), "line 2: column 7: expected value; expected one JSON object");
        assert!(read("a: &x 1\nb: *x\n", Format::Yaml)[0].is_err());
        assert!(read("a: 1\na: 2\n", Format::Yaml)[0].is_err());
        assert!(read(&"[".repeat(100), Format::Yaml)[0].is_err());
    }
}
