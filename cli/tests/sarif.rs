//! `verify --format sarif` has what SARIF 2.1.0 demands, and what services that read it want.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What the standard says a location must have; line numbers count from one.
fn location(location: &Value) {
    let physical = &location["physicalLocation"];
    let uri = physical["artifactLocation"]["uri"].as_str().expect("a URI");
    assert!(uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains(' '), "{uri}");
    if let Some(region) = physical.get("region") {
        assert!(region["startLine"].as_u64().expect("a line") >= 1);
        if let Some(column) = region.get("startColumn") {
            assert!(column.as_u64().expect("a column") >= 1);
            assert!(region["endColumn"].as_u64() > column.as_u64());
        }
    }
}

#[test]
fn documents_have_what_the_standard_demands() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebpfkit"));
    command.args(["verify", "--format", "sarif"]).current_dir(&inputs);
    command.args(["pass.s", "null.s", "mine.s", "not there.o"]);
    let output = command.output().expect("it runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["version"], "2.1.0");
    assert!(document["$schema"].as_str().expect("a schema").ends_with("sarif-2.1.0.json"));
    let run = &document["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "ebpfkit");
    let rules = driver["rules"].as_array().expect("rules");
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 2, "what is accepted has none");
    for result in results {
        assert!(result["message"]["text"].is_string());
        assert!(["error", "warning", "note", "none"].contains(&result["level"].as_str().expect("a level")));
        let rule = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        result["locations"].as_array().expect("locations").iter().for_each(location);
        result.get("relatedLocations").and_then(Value::as_array).into_iter().flatten().for_each(location);
        for fingerprint in result["partialFingerprints"].as_object().expect("fingerprints").values() {
            assert!(fingerprint.is_string());
        }
    }
    assert_eq!(results[0]["ruleId"], "EBPF0201");
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "null.s");
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notification = &invocation["toolExecutionNotifications"][0];
    assert!(notification["message"]["text"].as_str().expect("text").contains("not there.o"));
    location(&notification["locations"][0]);
}
