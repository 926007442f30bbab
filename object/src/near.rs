//! Which name was probably meant.

/// The name that is most like `wrong`, if one is like it at all.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let most = (wrong.len() / 3).clamp(1, 3);
    names
        .into_iter()
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
