//! Logs of the verifier in comparable form.

/// Replaces digits after `before` by `N`, and with them the spaces that line the state up behind the instruction.
fn hide(line: &str, before: &str, digit: impl Fn(char) -> bool, least: usize) -> Option<String> {
    let from = line.find(before)? + before.len();
    let digits = line[from..].chars().take_while(|&c| digit(c)).count();
    if digits < least {
        return None;
    }
    let rest = &line[from + digits..];
    let state = rest.trim_start();
    let gap = if state.starts_with(';') { " " } else { "" };
    Some(format!("{}N{gap}{}", &line[..from], if gap.is_empty() { rest } else { state }))
}

/// A line without what differs between machines and runs: addresses of maps and numbers of kernel functions.
fn normal(line: &str) -> String {
    let line = line.trim_end();
    let hidden = if line.contains("(18) r") {
        hide(line, " = 0x", |c| c.is_ascii_hexdigit(), 1)
    } else if line.contains(": (85) call ") || line.contains(". (85) call ") {
        // Helpers have small numbers, which are the same everywhere.
        hide(line, "#", |c| c.is_ascii_digit(), 4)
    } else {
        None
    };
    hidden.unwrap_or_else(|| line.to_owned())
}

/// The lines of a log without what differs between machines and runs, and without the time it took.
pub fn lines(text: &str) -> Vec<String> {
    let timed = |l: &&str| !l.starts_with("verification time ");
    let mut lines: Vec<String> = text.lines().filter(timed).map(normal).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn addresses_and_numbers_of_kernel_functions_do_not_count() {
        let lines =
            ["4: (18) r1 = 0xffff8881080       ; R1=map_ptr()", "4: (18) r1 = 0x0                 ; R1=map_ptr()"];
        assert_eq!(normal(lines[0]), normal(lines[1]));
        assert_eq!(normal("3: (85) call bpf_iter_num_new#71234 ; R0=0"), "3: (85) call bpf_iter_num_new#N ; R0=0");
        assert_eq!(normal("3: (85) call bpf_loop#181   ; R0=0"), "3: (85) call bpf_loop#181   ; R0=0");
    }
}
