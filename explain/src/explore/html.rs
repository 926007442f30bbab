//! One page that shows an exploration without any other file.

use super::Exploration;

const PAGE: &str = include_str!("page.html");

/// The page: source, instructions, state, paths; a value can be followed to its origin.
pub fn page(exploration: &Exploration) -> String {
    let data = serde_json::to_string(exploration).unwrap_or_default();
    // Data must not end the element that it stands in.
    PAGE.replacen("DATA", &data.replace('<', "\\u003c"), 1)
}
