//! Source files: read once, and found again by line and by what they define.

use crate::source;
use ebpfkit_object::{Btf, Program};
use memchr::memmem;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

/// Source files that are at hand, each of which is read once.
pub struct Sources<'a> {
    read: Box<Read<'a>>,
    known: RefCell<HashMap<String, Option<Rc<Lines>>>>,
}

/// Gives the text of a file by its name.
type Read<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl<'a> Sources<'a> {
    /// `read` gives the text of a source file by the name that the compiler recorded, where it is at hand.
    pub fn new(read: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { read: Box::new(read), known: RefCell::default() }
    }

    /// No source files are at hand.
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    fn lines(&self, file: &str) -> Option<Rc<Lines>> {
        if let Some(known) = self.known.borrow().get(file) {
            return known.clone();
        }
        let lines = (self.read)(file).map(|text| Rc::new(Lines::new(text)));
        self.known.borrow_mut().insert(file.to_owned(), lines.clone());
        lines
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The files that a program was made from, as far as they are still the same.
pub(crate) struct Texts<'a> {
    sources: &'a Sources<'a>,
    program: &'a Program,
    btf: Option<&'a Btf>,
    /// What is known of files so far.
    same: RefCell<Vec<(String, Option<Rc<Lines>>)>>,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(sources: &'a Sources<'a>, program: &'a Program, btf: Option<&'a Btf>) -> Self {
        Self { sources, program, btf, same: RefCell::default() }
    }

    /// A file, if it has the texts that the program has of its lines.
    pub(crate) fn file(&self, file: &str) -> Option<Rc<Lines>> {
        let btf = self.btf?;
        if let Some((_, known)) = self.same.borrow().iter().find(|(name, _)| name == file) {
            return known.clone();
        }
        let lines = self.sources.lines(file).filter(|lines| {
            // Names are looked at where they change.
            let mut last = (u32::MAX, false);
            let mut records = self.program.line_info.iter().filter(|l| {
                if l.file_name != last.0 {
                    last = (l.file_name, btf.str_at(l.file_name) == file);
                }
                last.1
            });
            // Compilers record a line once for each of its columns.
            let mut same = (0, 0);
            records.all(|l| {
                let here = (l.line, l.line_text);
                here == same || {
                    same = here;
                    let known = btf.str_at(l.line_text);
                    known.is_empty() || lines.numbered(l.line).is_some_and(|t| t.trim_end() == known.trim_end())
                }
            })
        });
        self.same.borrow_mut().push((file.to_owned(), lines.clone()));
        lines
    }
}

/// A text by its lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    /// Where each line begins.
    starts: Vec<u32>,
    /// Lines that may begin a definition, by each word in them that a parenthesis or a comma follows.
    heads: OnceCell<HashMap<String, Vec<usize>>>,
}

/// A line of a text that is kept with it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    lines: Rc<Lines>,
    index: usize,
}

impl Line {
    /// A line of a text by its index, with its number.
    pub(crate) fn of(lines: &Rc<Lines>, index: usize) -> (u32, Self) {
        (index as u32 + 1, Self { lines: Rc::clone(lines), index })
    }
}

impl Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        self.lines.get(self.index).unwrap_or_default()
    }
}

impl Lines {
    fn new(text: String) -> Self {
        // What is larger than that is no source, and reads as nothing.
        let text = if u32::try_from(text.len()).is_ok() { text } else { String::new() };
        let behind = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32 + 1);
        let starts = std::iter::once(0).chain(behind).filter(|s| (*s as usize) < text.len()).collect();
        Self { text, starts, heads: OnceCell::new() }
    }

    /// Number of lines.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// A line by its index, from 0.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let start = *self.starts.get(index)? as usize;
        let end = self.starts.get(index + 1).map_or(self.text.len(), |s| *s as usize);
        let line = self.text.get(start..end)?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// A line by its number, from 1.
    pub(crate) fn numbered(&self, number: u32) -> Option<&str> {
        self.get((number as usize).checked_sub(1)?)
    }

    /// All lines.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Indices of the lines that have a word on its own, in order.
    pub(crate) fn with_word<'l>(&'l self, word: &'l str) -> impl Iterator<Item = usize> + 'l {
        let mut last = None;
        memmem::find_iter(self.text.as_bytes(), word.as_bytes()).filter_map(move |at| {
            let line = self.starts.partition_point(|s| *s as usize <= at).checked_sub(1)?;
            let is_new = last.replace(line) != Some(line);
            (is_new && source::find_word(self.get(line)?, word).is_some()).then_some(line)
        })
    }

    /// Indices of the lines that may begin the definition of a function: they stand at the margin, do not end a statement,
    /// and have the name with a parenthesis or a comma behind it.
    pub(crate) fn heads(&self, name: &str) -> &[usize] {
        let heads = self.heads.get_or_init(|| {
            let mut heads: HashMap<String, Vec<usize>> = HashMap::new();
            for (index, line) in self.iter().enumerate() {
                if line.starts_with([' ', '\t', '#', '/', '*', '}']) || line.trim_end().ends_with(';') {
                    continue;
                }
                for (at, _) in line.match_indices(['(', ',']) {
                    let before = line[..at].trim_end();
                    let start = before
                        .rfind(|c| !source::is_word(c))
                        .map_or(0, |s| s + before[s..].chars().next().map_or(1, char::len_utf8));
                    let word = &before[start..];
                    if !word.is_empty() {
                        let lines = heads.entry(word.to_owned()).or_default();
                        if lines.last() != Some(&index) {
                            lines.push(index);
                        }
                    }
                }
            }
            heads
        });
        heads.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text() {
        for text in ["", "a", "a\n", "a\nb", "\n\na\r\n b", "ä\n\n"] {
            let lines = Lines::new(text.to_owned());
            assert_eq!(lines.iter().collect::<Vec<_>>(), text.lines().collect::<Vec<_>>(), "{text:?}");
            assert_eq!(lines.len(), text.lines().count());
        }
    }

    #[test]
    fn definitions_and_words_are_found() {
        let text =
            "int f(int a, int b);\nstatic int f (int a)\n{\n\treturn f(a);\n}\nint BPF_PROG(g, int f)\n}, g(x)\n";
        let lines = Lines::new(text.to_owned());
        assert_eq!(lines.heads("f"), [1]);
        assert_eq!(lines.heads("g"), [5]);
        assert!(lines.heads("h").is_empty());
        assert_eq!(lines.with_word("f").collect::<Vec<_>>(), [0, 1, 3, 5]);
        assert_eq!(lines.with_word("B").count(), 0);
    }

    #[test]
    fn a_file_is_read_once() {
        let times = std::cell::Cell::new(0);
        let sources = Sources::new(|name| {
            times.set(times.get() + 1);
            (name == "a.c").then(|| "int a;".to_owned())
        });
        for _ in 0..2 {
            assert!(sources.lines("a.c").is_some() && sources.lines("b.c").is_none());
        }
        assert_eq!(times.get(), 2);
    }
}
