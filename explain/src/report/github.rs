//! Annotations for GitHub's workflows: lines that it shows beside the source.

use super::{Finding, Level};

/// Text of a command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text of one of its properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The annotation of a finding, if it has one. `relative` makes the path of a source file relative to the repository.
pub fn annotation(finding: &Finding, relative: &dyn Fn(&str) -> String) -> Option<String> {
    let command = match finding.level()? {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let mut properties = Vec::new();
    match finding.diagnosis.as_ref().map(|d| &d.primary).filter(|s| s.has_source()) {
        Some(span) => {
            properties.push(format!("file={}", property(&relative(&span.file))));
            properties.push(format!("line={}", span.line));
            if span.column > 0 {
                properties.push(format!("col={}", span.column));
                if span.end_column > span.column {
                    properties.push(format!("endColumn={}", span.end_column - 1));
                }
            }
        }
        None => properties.push(format!("file={}", property(&relative(&finding.object)))),
    }
    let of = finding.program.as_ref().map(|p| format!(" in {p}")).unwrap_or_default();
    properties.push(format!("title={}", property(&format!("{}{of}", finding.rule()))));
    Some(format!("::{command} {}::{}", properties.join(","), data(&finding.text())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Diagnosis, Span};
    use crate::judge::Status;

    #[test]
    fn an_annotation_is_one_line() {
        let primary = Span { file: "a,b.c".into(), line: 3, column: 5, end_column: 9, ..Span::default() };
        let messages = vec!["R1 !read_ok".to_owned()];
        let diagnosis = Diagnosis {
            code: "EBPF0101".into(),
            headline: "50% of it".into(),
            messages,
            primary,
            ..Diagnosis::default()
        };
        let finding = Finding {
            object: "p.o".into(),
            program: Some("f".into()),
            status: Some(Status::Rejected),
            message: "R1 !read_ok".into(),
            diagnosis: Some(diagnosis),
        };
        let expected = "::error file=a%2Cb.c,line=3,col=5,endColumn=8,title=EBPF0101 in f::50%25 of it%0Athe verifier says: R1 !read_ok";
        assert_eq!(annotation(&finding, &str::to_owned).as_deref(), Some(expected));
        let fine = Finding { status: Some(Status::Accepted), ..Finding::default() };
        assert_eq!(annotation(&fine, &str::to_owned), None);
    }
}
