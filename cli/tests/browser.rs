//! The page of `verify --html` in a browser: it is stepped through, and a value is followed to its origin.

use std::io::Write;
use std::path::Path;
use std::process::Command;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Steps back and on, follows r0, and leaves what the page then shows in an attribute.
const DRIVER: &str = r##"<script>
const seen = [];
$("back").click(); seen.push($("where").textContent);
$("last").click(); seen.push($("where").textContent);
[...document.querySelectorAll("#state button")].find((b) => b.textContent === "r0").click();
seen.push([...document.querySelectorAll("#source .origin")].map((r) => r.textContent.trim()).join(" + "));
seen.push([...document.querySelectorAll("#source .bad")].map((r) => r.textContent.trim()).join(" + "));
document.body.dataset.seen = seen.join(" | ");
</script></body>"##;

#[test]
fn the_page_follows_a_value_to_its_origin() {
    let found = BROWSERS.iter().find(|b| Command::new(b).arg("--version").output().is_ok_and(|o| o.status.success()));
    let Some(browser) = found else {
        // Not by a macro, whose text the test harness would keep to itself.
        drop(writeln!(std::io::stderr(), "skipped 1: the page of verify --html: there is no Chromium"));
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let verified = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
        .args(["verify", "examples/xdp-firewall/broken.o", "--html"])
        .arg(&page)
        .current_dir(root)
        .output()
        .expect("the command runs");
    assert_eq!(verified.status.code(), Some(1), "{}", String::from_utf8_lossy(&verified.stderr));
    let text = std::fs::read_to_string(&page).expect("a page");
    std::fs::write(&page, text.replace("</body>", DRIVER)).expect("written");
    let dump = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8_lossy(&dump.stdout);
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let expected = "step 12 of 13, instruction 13 | step 13 of 13, instruction 14 | \
                    27\tcount = bpf_map_lookup_elem(&amp;blocked, &amp;source); | 28\t__sync_fetch_and_add(count, 1);";
    assert_eq!(seen.replace("&amp;", "&"), expected.replace("&amp;", "&"), "{}", String::from_utf8_lossy(&dump.stderr));
}
