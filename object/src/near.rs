//! Which name was probably meant.

/// Names that are compared; of very many, those behind are left out.
const MOST_NAMES: usize = 10_000;
/// Longer names are taken for what nobody has mistyped.
const LONGEST: usize = 64;

/// The name that is most like `wrong`, if one is like it at all.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let most = (wrong.len() / 3).clamp(1, 3);
    names
        .into_iter()
        .take(MOST_NAMES)
        .filter(|name| name.len().abs_diff(wrong.len()) <= most)
        .map(|name| (strsim::osa_distance(wrong, name), name))
        .filter(|&(distance, name)| distance <= most && distance < name.len().max(2))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn likeness() {
        assert_eq!(
            nearest("bpf_map_lokup_elem", ["bpf_map_lookup_elem", "bpf_map_update_elem"]),
            Some("bpf_map_lookup_elem")
        );
        assert_eq!(nearest("ldxv", ["ldxw", "stxw"]), Some("ldxw"));
        assert_eq!(nearest("x", ["y"]), Some("y"));
        assert_eq!(nearest("something", ["else", "other"]), None);
    }
}
