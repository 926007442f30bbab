//! Source lines of instructions, from the object's line records, and what their text says.

use ebpfkit_object::{Btf, LineInfo, Program};

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// File as the compiler named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; zero when unknown.
    pub column: u32,
    /// The line's text.
    pub text: String,
}

/// The source line of an instruction: the last record at or before it that belongs to the same function.
pub fn line_of(program: &Program, btf: &Btf, insn: usize) -> Option<SourceLine> {
    let record = record_of(program, btf, insn)?;
    Some(SourceLine {
        file: btf.str_at(record.file_name).to_owned(),
        line: record.line,
        column: record.column,
        text: btf.str_at(record.line_text).to_owned(),
    })
}

/// The record of that line.
pub(crate) fn record_of<'p>(program: &'p Program, btf: &Btf, insn: usize) -> Option<&'p LineInfo> {
    let after = program.line_info.partition_point(|l| l.insn as usize <= insn);
    let record = program.line_info.get(after.checked_sub(1)?)?;
    (record.line != 0 || !btf.str_at(record.line_text).is_empty()).then_some(record)
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a file has instructions as its lines.
pub(crate) fn is_assembly(file: &str) -> bool {
    file.rsplit('.').next().is_some_and(|e| e.eq_ignore_ascii_case("s") || e == "asm")
}

/// Whether a file is in Rust.
pub(crate) fn is_rust(file: &str) -> bool {
    file.ends_with(".rs")
}

/// First column of what a record means, and the column behind it: a word with the call or index that follows it. Zeros
/// where the column is unknown or not inside of the text.
pub(crate) fn extent(line: &SourceLine) -> (u32, u32) {
    // A line of assembly is one instruction.
    if is_assembly(&line.file) {
        return (0, 0);
    }
    let Some(start) = (line.column as usize).checked_sub(1) else { return (0, 0) };
    let Some((at, _)) = line.text.char_indices().nth(start) else { return (0, 0) };
    let mut rest = line.text[at..].chars();
    let word = rest.clone().take_while(|c| is_word(*c)).count().max(1);
    let mut end = start + word;
    // The arguments of a call, or an index.
    if let Some(open @ ('(' | '[')) = rest.nth(word) {
        let close = if open == '(' { ')' } else { ']' };
        let mut depth = 1;
        for (n, c) in rest.enumerate() {
            depth += i32::from(c == open) - i32::from(c == close);
            if depth == 0 {
                end += n + 2;
                break;
            }
        }
    }
    (start as u32 + 1, end as u32 + 1)
}

/// Where a word stands in a text on its own.
pub(crate) fn find_word(text: &str, word: &str) -> Option<usize> {
    words_at(text, word).next()
}

/// Whether a line has a word outside of comments. Of those over several lines the usual form is known, with a star before
/// each line.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let start = text.trim_start();
    if start.starts_with("* ") || start.starts_with("*/") {
        return false;
    }
    let code = text.split("//").next().unwrap_or(text);
    let code = match (code.find("/*"), code.find("*/")) {
        (Some(open), Some(close)) if close > open => format!("{} {}", &code[..open], &code[close + 2..]),
        (Some(open), _) => code[..open].to_owned(),
        _ => code.to_owned(),
    };
    find_word(&code, word).is_some()
}

/// Where a word stands in a text on its own, each time.
fn words_at<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    // Lines are short: looking for their first letter is faster than preparing a search.
    let (bytes, first) = (text.as_bytes(), word.as_bytes().first().copied());
    let starts = first.into_iter().flat_map(move |first| memchr::memchr_iter(first, bytes));
    starts.filter(move |&at| bytes[at..].starts_with(word.as_bytes())).filter(move |&at| {
        let before = text[..at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

/// The variable that a line assigns what `made_by` (a call, a member) gives; none where the line says no such thing.
pub(crate) fn assigned(text: &str, made_by: &str) -> Option<String> {
    let made_by = made_by.rsplit('.').next().unwrap_or(made_by);
    let made_at = words_at(text, made_by).last()?;
    // What is read through it is another thing.
    if is_access(&text[made_at + made_by.len()..]) {
        return None;
    }
    let sign = assignment(&text[..made_at])?;
    // What it points to is another thing, and so is what it is added to.
    let before = &text[sign + 1..made_at];
    if before.trim_end().ends_with('*') || [" + ", " - ", " * ", " & ", " | "].iter().any(|o| before.contains(o)) {
        return None;
    }
    let target = text[..sign].trim_end();
    let Some(open) = target.strip_suffix(']').and_then(|t| t.rfind('[')) else { return last_word(target) };
    // An element of an array, by a plain index.
    let index = target[open + 1..target.len() - 1].trim();
    let plain = !index.is_empty() && index.chars().all(is_word);
    last_word(&target[..open]).filter(|_| plain).map(|array| format!("{array}[{index}]"))
}

/// What follows after the arguments of a call, where a text begins with them.
fn follows_call(text: &str) -> &str {
    let rest = text.trim_start();
    if !rest.starts_with('(') {
        return rest;
    }
    let mut depth = 0;
    let close = rest.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    });
    close.map_or("", |(at, _)| rest[at + 1..].trim_start())
}

/// Whether what is called or named before a text is accessed through: `f(x)->y`, `p[i]`.
fn is_access(text: &str) -> bool {
    let rest = follows_call(text);
    rest.starts_with("->") || rest.starts_with('[')
}

/// Where the last plain assignment of a text stands.
fn assignment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len()).rev().find(|&at| {
        bytes[at] == b'='
            && bytes.get(at + 1) != Some(&b'=')
            && !matches!(
                bytes[at - 1],
                b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'&' | b'|' | b'^' | b'%'
            )
    })
}

/// The word at the end of a text, with the members before it.
pub(crate) fn last_word(text: &str) -> Option<String> {
    let text = text.trim_end();
    let start =
        text.rfind(|c: char| !is_word(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let word = &text[start..];
    if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    for sign in ["->", "."] {
        if let Some(before) = text[..start].strip_suffix(sign)
            && let Some(base) = last_word(before)
        {
            return Some(format!("{base}{sign}{word}"));
        }
    }
    Some(word.to_owned())
}

/// The pointer expression through which a line accesses memory at its column: `p` of `p->member`, `*p` and `p[i]`.
pub(crate) fn base_at(line: &SourceLine) -> Option<String> {
    let text = expression_at(line)?;
    // A cast changes nothing of what is pointed to.
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return Some(text) };
    if inner.starts_with('*') && inner[1..].chars().all(is_word) {
        return Some(inner.to_owned());
    }
    inner.starts_with('(').then(|| last_word(inner)).flatten()
}

/// The same as it stands there, with its casts.
pub(crate) fn expression_at(line: &SourceLine) -> Option<String> {
    let at = (line.column as usize).checked_sub(1)?;
    let text: String = line.text.chars().take(at).collect();
    let rest: String = line.text.chars().skip(at).collect();
    if let Some(before) = text.strip_suffix("->").or_else(|| text.strip_suffix('.')) {
        if before.ends_with(')') {
            return parenthesis(before);
        }
        let word = last_word(before)?;
        // A struct inside of another is reached through the pointer to that.
        return match (text.ends_with('.'), word.rsplit_once("->")) {
            (true, Some((base, _))) => Some(base.to_owned()),
            _ => Some(word),
        };
    }
    // A parenthesis that is followed by an access.
    if rest.starts_with('(') {
        let mut depth = 0;
        let close = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        let (group, follows) = rest.split_at(close?.0 + 1);
        return (follows.starts_with("->") || follows.starts_with('[')).then(|| group.to_owned());
    }
    if let Some(stored) = stored_to(&text, &rest) {
        return Some(stored);
    }
    let word_end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    if let Some(rest) = rest.strip_prefix('*') {
        let mut end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        // A pointer that is an element of an array.
        if let Some(index) = rest[end..].strip_prefix('[')
            && let Some(close) = index.find(']')
            && index[..close].chars().all(is_word)
        {
            end += close + 2;
        }
        return Some(rest[..end].to_owned()).filter(|w| !w.is_empty() && !rest[end..].starts_with('('));
    }
    let word = &rest[..word_end];
    let follows = rest[word_end..].trim_start();
    (!word.is_empty() && (follows.starts_with("->") || follows.starts_with('['))).then(|| word.to_owned())
}

/// The pointer through which an assignment or an increment stores, from the texts before and behind its sign.
fn stored_to(before: &str, sign: &str) -> Option<String> {
    let is_sign = sign.starts_with("++")
        || sign.starts_with("--")
        || sign.starts_with('=') && !sign.starts_with("==")
        || sign.get(1..2) == Some("=") && !sign.starts_with(['=', '!', '<', '>'])
        || sign.starts_with("<<=")
        || sign.starts_with(">>=");
    if !is_sign {
        return None;
    }
    let target = before.trim_end();
    if let Some(indexed) = target.strip_suffix(']') {
        let mut depth = 1;
        let open = indexed.char_indices().rev().find(|(_, c)| {
            depth += i32::from(*c == ']') - i32::from(*c == '[');
            depth == 0
        });
        return last_word(&indexed[..open?.0]);
    }
    let whole = last_word(target)?;
    let start = target.len() - whole.len();
    if let Some((base, _)) = whole.rsplit_once("->") {
        return Some(base.to_owned());
    }
    (target[..start].ends_with('*') && !whole.contains('.')).then_some(whole)
}

/// The parenthesis that a text ends with; none where it belongs to a call.
fn parenthesis(text: &str) -> Option<String> {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        depth += i32::from(c == ')') - i32::from(c == '(');
        if depth == 0 {
            let is_call = text[..at].chars().next_back().is_some_and(is_word);
            return (!is_call).then(|| text[at..].to_owned());
        }
    }
    None
}

/// The chain of members that begins at a line's column: `a->b.c`.
pub(crate) fn chain_at(line: &SourceLine) -> Option<String> {
    let at = (line.column as usize).checked_sub(1)?;
    let rest: String = line.text.chars().skip(at).collect();
    let mut end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    while let Some(next) = rest[end..].strip_prefix("->").or_else(|| rest[end..].strip_prefix('.')) {
        let len = next.find(|c: char| !is_word(c)).unwrap_or(next.len());
        if len == 0 {
            break;
        }
        end = rest.len() - next.len() + len;
    }
    Some(rest[..end].to_owned()).filter(|t| !t.is_empty())
}

/// The variable that a line compares with a constant, where it compares only one.
pub(crate) fn compared(line: &SourceLine, constant: i32) -> Option<String> {
    let signs = ["<=", ">=", "<", ">", "==", "!="];
    let is_arrow = |at: usize| line.text[..at].ends_with('-');
    let all = signs.iter().flat_map(|s| line.text.match_indices(s).map(|(at, _)| (at, s.len())));
    let mut found = all.filter(|(at, _)| !is_arrow(*at));
    let (at, len) = found.next()?;
    // Another one that is not a part of this one.
    let others = found.any(|(other, _)| other != at && other != at + 1);
    let before = &line.text[..at];
    if others || before.ends_with(['<', '>', '-']) || line.text[at + len..].starts_with(['<', '>']) {
        return None;
    }
    let name = last_word(before)?;
    let start = before.trim_end().len() - name.len();
    let alone = before[..start].trim_end().ends_with('(') || before[..start].trim_end().ends_with("&&");
    let rest = line.text[at + len..].trim_start();
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    // The compiler compares with the number itself or with its neighbour; names of constants are taken for it.
    let near = number.is_empty() || number.parse::<i64>().is_ok_and(|n| (n - i64::from(constant)).abs() <= 1);
    (alone && near).then_some(name)
}

/// Whether a text declares a variable or parameter as an unsigned number.
pub(crate) fn declares_unsigned(text: &str, name: &str) -> bool {
    declared_unsigned(text, name) == Some(true)
}

/// Whether a text declares a number as an unsigned or a signed one; nothing where it does not declare it.
pub(crate) fn declared_unsigned(text: &str, name: &str) -> Option<bool> {
    declared_number(text, name).map(|n| n.0)
}

/// Whether a text declares a number of 32 bits rather than another; nothing where it does not declare it.
pub(crate) fn declares_half(text: &str, name: &str) -> Option<bool> {
    declared_number(text, name).map(|n| n.1 == 32)
}

/// The number that a text declares: whether it is unsigned, and its bits.
fn declared_number(text: &str, name: &str) -> Option<(bool, u32)> {
    const KINDS: [(bool, u32, &[&str]); 8] = [
        (true, 8, &["__u8", "u8", "uint8_t", "bool"]),
        (true, 16, &["__u16", "u16", "uint16_t", "__be16"]),
        (true, 32, &["unsigned", "__u32", "u32", "uint32_t", "__be32"]),
        (true, 64, &["__u64", "u64", "uint64_t", "size_t"]),
        (false, 8, &["char", "__s8", "s8"]),
        (false, 16, &["short", "__s16", "s16"]),
        (false, 32, &["int", "signed", "__s32", "s32", "int32_t"]),
        (false, 64, &["long", "__s64", "s64", "int64_t", "ssize_t"]),
    ];
    words_at(text, name).find_map(|at| {
        // From the start of the declaration: of the statement, or of the parameter.
        let before = &text[..at];
        let in_list = before.rfind('(').filter(|&o| !before[o..].contains(')'));
        let start = match in_list {
            Some(open) => open + 1 + before[open + 1..].rfind(',').map_or(0, |c| c + 1),
            None => before.rfind([';', '{', '}']).map_or(0, |c| c + 1),
        };
        let mut words = before[start..].split_whitespace();
        let kind = words.find(|w| !matches!(*w, "const" | "volatile" | "static" | "register"))?;
        if before[start..].trim_end().ends_with(['*', '>', '.', '&']) {
            return None;
        }
        let found = KINDS.iter().find(|k| k.2.contains(&kind))?;
        // `unsigned long`, `unsigned char`
        let second = words.next().filter(|_| kind == "unsigned");
        let bits = second.and_then(|s| KINDS.iter().find(|k| k.2.contains(&s))).map_or(found.1, |k| k.1);
        Some((found.0, bits))
    })
}

/// The word at a line's column.
pub(crate) fn word_at(line: &SourceLine) -> Option<String> {
    let at = (line.column as usize).checked_sub(1)?;
    let word: String = line.text.chars().skip(at).take_while(|c| is_word(*c)).collect();
    Some(word).filter(|w| !w.is_empty())
}

/// The address that a line reads or writes through at its column, as it is written: `p + i` of `*(char *)(p + i)`.
pub(crate) fn address_at(line: &SourceLine) -> Option<String> {
    let at = (line.column as usize).checked_sub(1)?;
    let rest: String = line.text.chars().skip(at).collect();
    let mut rest = rest.strip_prefix('*')?.trim_start();
    // The cast.
    if let Some(inner) = rest.strip_prefix('(')
        && let Some(close) = inner.find(')')
        && inner[..close].trim_end().ends_with('*')
    {
        rest = inner[close + 1..].trim_start();
    }
    let group = rest.strip_prefix('(')?;
    let mut depth = 1;
    let close = group.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    })?;
    let text = group[..close.0].trim();
    let computed = text.contains([' ', '+']) && !text.contains([',', '?', '=']);
    computed.then(|| text.to_owned())
}

/// What is added at a line's column: `*n` of `p + *n`, where that is a variable or is read through one.
pub(crate) fn addend_at(line: &SourceLine) -> Option<String> {
    let at = (line.column as usize).checked_sub(1)?;
    let rest: String = line.text.chars().skip(at).collect();
    let rest = rest.strip_prefix('+')?.trim_start();
    let stars = rest.len() - rest.trim_start_matches('*').len();
    let mut end = stars;
    while let Some(c) = rest[end..].chars().next() {
        let arrow = rest[end..].starts_with("->");
        if !is_word(c) && c != '.' && !arrow {
            break;
        }
        end += if arrow { 2 } else { c.len_utf8() };
    }
    let (name, behind) = rest.split_at(end);
    let named = name[stars..].starts_with(|c: char| c.is_alphabetic() || c == '_');
    (named && !behind.trim_start().starts_with(['(', '['])).then(|| name.to_owned())
}

/// The one place in a line where memory is read through a pointer that is cast, as a line whose column is there.
pub(crate) fn cast_access(line: &SourceLine) -> Option<SourceLine> {
    let text = &line.text;
    let casts = text.match_indices("*(").filter(|(at, _)| {
        let rest = &text[at + 2..];
        let is_cast = rest.split_once(')').is_some_and(|(kind, _)| kind.trim_end().ends_with('*'));
        // No multiplication, and no declaration.
        is_cast && !text[..*at].trim_end().ends_with(|c: char| is_word(c) || c == ')')
    });
    let all: Vec<usize> = casts.map(|(at, _)| at).collect();
    let [at] = all.as_slice() else { return None };
    let column = text[..*at].chars().count() as u32 + 1;
    Some(SourceLine { column, ..line.clone() })
}

/// The index expression of the access at a line's column: `i` of `p[i]`.
pub(crate) fn index_at(line: &SourceLine) -> Option<String> {
    let text = &line.text;
    let open = match (line.column as usize).checked_sub(1) {
        Some(at) => text.char_indices().nth(at).and_then(|(b, _)| text[b..].find('[').map(|o| b + o)),
        None => None,
    };
    let open = open.or_else(|| text.find('['))?;
    let mut depth = 0;
    for (at, c) in text[open..].char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            let inner = text[open + 1..open + at].trim();
            return Some(inner.to_owned()).filter(|i| !i.is_empty());
        }
    }
    None
}

/// The indices of the access at a line's column: `i` and `j` of `p[i][j]`.
pub(crate) fn indices_at(line: &SourceLine) -> Vec<String> {
    let mut out = Vec::new();
    let Some(first) = index_at(line) else { return out };
    let mut rest = match line.text.find(&format!("[{first}]")) {
        Some(at) => &line.text[at..],
        None => return vec![first],
    };
    while rest.starts_with('[') {
        let mut depth = 0;
        let close = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '[') - i32::from(*c == ']');
            depth == 0
        });
        let Some((close, _)) = close else { break };
        out.push(rest[1..close].trim().to_owned());
        rest = &rest[close + 1..];
    }
    out
}

/// The text of an argument of a call that a line contains, from 0.
pub(crate) fn argument(text: &str, callee: &str, index: usize) -> Option<String> {
    let at = find_word(text, callee)? + callee.len();
    let rest = text[at..].trim_start().strip_prefix('(')?;
    let (mut depth, mut start, mut number) = (0i32, 0, 0);
    for (at, c) in rest.char_indices() {
        let ends = depth == 0 && matches!(c, ',' | ')');
        if ends {
            if number == index {
                return Some(rest[start..at].trim().to_owned()).filter(|t| !t.is_empty());
            }
            (number, start) = (number + 1, at + 1);
            if c == ')' {
                return None;
            }
        }
        depth += i32::from(matches!(c, '(' | '[' | '{')) - i32::from(matches!(c, ')' | ']' | '}'));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_a_line_assigns() {
        let task = "\tstruct task_struct *task = (void *)bpf_get_current_task();";
        assert_eq!(assigned(task, "bpf_get_current_task").as_deref(), Some("task"));
        assert_eq!(assigned("s->v = bpf_ktime_get_ns();", "bpf_ktime_get_ns").as_deref(), Some("s->v"));
        assert_eq!(assigned("if (x == bpf_ktime_get_ns())", "bpf_ktime_get_ns"), None);
        assert_eq!(assigned("x = f();", "g"), None);
        assert_eq!(assigned("x = *f();", "f"), None);
        assert_eq!(assigned("x = f(a, g(b))->c;", "f"), None);
        assert_eq!(assigned("x = ctx->sk->mark;", "sk"), None);
        assert_eq!(assigned("p = data + b->len;", "len"), None);
        assert_eq!(assigned("x = f(a) >> 32;", "f").as_deref(), Some("x"));
    }

    #[test]
    fn declarations_of_unsigned_numbers() {
        assert!(declares_unsigned("\t__u32 a = b, i = c;", "i"));
        assert!(declares_unsigned("static int f(void *p, const unsigned int i)", "i"));
        assert!(!declares_unsigned("\tint i = (__u32)x;", "i"));
        assert!(!declares_unsigned("\t__u32 *i = x;", "i"));
        assert!(!declares_unsigned("\treturn i;", "i"));
    }

    #[test]
    fn pointers_and_indices_at_columns() {
        let line = |text: &str, column| SourceLine { file: "a.c".into(), line: 1, column, text: text.into() };
        assert_eq!(base_at(&line("parent = task->tgid;", 16)).as_deref(), Some("task"));
        assert_eq!(base_at(&line("x = *p;", 5)).as_deref(), Some("p"));
        assert_eq!(base_at(&line("x = sk->common.port;", 16)).as_deref(), Some("sk"));
        assert_eq!(base_at(&line("x = names[i];", 5)).as_deref(), Some("names"));
        assert_eq!(base_at(&line("x = ((struct a *)p)->b;", 22)).as_deref(), Some("p"));
        assert_eq!(base_at(&line("x = (*p)->b;", 11)).as_deref(), Some("*p"));
        assert_eq!(base_at(&line("x = f(p)->b;", 11)), None);
        assert_eq!(base_at(&line("x = ((char *)p)[4];", 5)).as_deref(), Some("p"));
        assert_eq!(base_at(&line("p->a = 7;", 6)).as_deref(), Some("p"));
        assert_eq!(base_at(&line("p->a[i]++;", 8)).as_deref(), Some("p->a"));
        assert_eq!(base_at(&line("buf[n - 1] = 0;", 12)).as_deref(), Some("buf"));
        assert_eq!(base_at(&line("*p += 2;", 4)).as_deref(), Some("p"));
        assert_eq!(base_at(&line("x = y;", 3)), None);
        assert_eq!(base_at(&line("x += *p[i];", 6)).as_deref(), Some("p[i]"));
        assert_eq!(assigned("p[i] = f(a, &k);", "f").as_deref(), Some("p[i]"));
        assert_eq!(address_at(&line("c = *(char *)(p + i);", 5)).as_deref(), Some("p + i"));
        assert_eq!(address_at(&line("c = *(p + (i & 7));", 5)).as_deref(), Some("p + (i & 7)"));
        assert_eq!(address_at(&line("c = *p;", 5)), None);
        assert!(has_word("return XDP_PASS; // XDP_DROP", "XDP_PASS"));
        assert!(!has_word("return XDP_PASS; // XDP_DROP", "XDP_DROP"));
        assert!(!has_word(" * XDP_DROP", "XDP_DROP") && !has_word("f(/* XDP_DROP */ 1);", "XDP_DROP"));
        assert_eq!(addend_at(&line("p = data + *o;", 10)).as_deref(), Some("*o"));
        assert_eq!(addend_at(&line("p = data + h->len;", 10)).as_deref(), Some("h->len"));
        assert_eq!(addend_at(&line("p = data + f(x);", 10)), None);
        assert_eq!(cast_access(&line("f(\"x\", g(*(u16 *)(p + 2)));", 1)).map(|l| l.column), Some(10));
        assert_eq!(cast_access(&line("x = *(u16 *)p + *(u8 *)q;", 1)), None);
        assert_eq!(compared(&line("if (err < 134)", 9), 133).as_deref(), Some("err"));
        assert_eq!(compared(&line("if (a->n >= MOST)", 9), 16).as_deref(), Some("a->n"));
        assert_eq!(compared(&line("if (i < 4 && n > 3)", 7), 4), None);
        assert_eq!(compared(&line("if (x + y > 4)", 7), 4), None);
        assert_eq!(compared(&line("x = y >> 4;", 7), 4), None);
        assert_eq!(chain_at(&line("return a->b.c[0];", 8)).as_deref(), Some("a->b.c"));
        assert_eq!(index_at(&line("x = names[i + 1];", 5)).as_deref(), Some("i + 1"));
        assert_eq!(indices_at(&line("x = names[i[2]][j] + k[0];", 5)), ["i[2]", "j"]);
        assert_eq!(argument("r = f(a, g(b, c), d);", "f", 1).as_deref(), Some("g(b, c)"));
        assert_eq!(extent(&line("x = f(a, b) + 1;", 5)), (5, 12));
    }
}
