//! Text inside of XML.

/// The text with what XML gives a meaning escaped, and without characters that it cannot hold.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_text() {
        assert_eq!(super::text("a<b & \"c\"\t\u{1}"), "a&lt;b &amp; &quot;c&quot;\t\u{fffd}");
    }
}
