//! How far an access reaches, and how far it may: from the line that the kernel prints before its last one.

/// An access of fixed place and size, as the kernel's line describes it.
struct Access {
    /// First byte, from the start of the memory.
    off: i64,
    /// Bytes.
    size: i64,
}

/// The number behind a name and `=` in a line.
fn field(line: &str, name: &str) -> Option<i64> {
    let at = line.match_indices(name).map(|(at, _)| at).find(|&at| {
        let starts = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        starts && line[at + name.len()..].starts_with('=')
    })?;
    let rest = &line[at + name.len() + 1..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn access(line: &str) -> Option<Access> {
    line.starts_with("invalid access to ").then_some(())?;
    Some(Access { off: field(line, "off")?, size: field(line, "size")? })
}

/// The message by which to look for the class of a rejection: the kernel says that the smallest offset is outside also
/// where the only possible offset is too large.
pub(crate) fn class_message(lines: &[&str], message: &str) -> String {
    let too_far = lines.iter().find_map(|l| access(l)).is_some_and(|a| a.off >= 0);
    if too_far && message.contains("min value is outside of the allowed memory range") {
        return message.replace("min value", "max value");
    }
    message.to_owned()
}

/// What the numbers say, as a sentence.
pub(crate) fn note(lines: &[&str]) -> Option<String> {
    let (line, access) = lines.iter().find_map(|l| Some((l, access(l)?)))?;
    let end = access.off.checked_add(access.size).filter(|_| access.off >= 0)?;
    if let Some(proved) = field(line, "r").filter(|r| *r > 0 && line.contains("packet")) {
        return Some(format!("{proved} bytes are known to lie before data_end; this access needs {end}"));
    }
    let size = field(line, "value_size").or_else(|| field(line, "mem_size"))?;
    Some(format!("the access ends after byte {end} of {size}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_access() {
        let value = ["invalid access to map value, value_size=8 off=4 size=8", "R0 min value is outside of the x"];
        assert_eq!(note(&value).as_deref(), Some("the access ends after byte 12 of 8"));
        let packet = ["invalid access to packet, off=14 size=1, R2(id=0,off=14,r=14)"];
        assert_eq!(note(&packet).as_deref(), Some("14 bytes are known to lie before data_end; this access needs 15"));
        let unproved = ["invalid access to packet, off=14 size=1, R2(id=0,off=14,r=0)"];
        assert_eq!(note(&unproved), None);
        assert_eq!(note(&["R0 !read_ok"]), None);
    }

    #[test]
    fn too_far_is_not_negative() {
        let message = "R0 min value is outside of the allowed memory range";
        let far = ["invalid access to map value, value_size=8 off=4 size=8"];
        let before = ["invalid access to map value, value_size=8 off=-4 size=8"];
        assert_eq!(class_message(&far, message), "R0 max value is outside of the allowed memory range");
        assert_eq!(class_message(&before, message), message);
    }
}
