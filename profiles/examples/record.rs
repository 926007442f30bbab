//! Records the running kernel, as `ebpfkit kernel record` does, where the whole command is too much: in a guest whose
//! init it is started by. `record OUT`; tells on standard output how each feature was found out, and in what the kernel
//! differs from the bundled one of its series.

use ebpfkit_abi::kernel::Bundled;
use ebpfkit_profiles::record::record;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("usage: record OUT")?;
    let recording = record()?;
    for finding in &recording.findings {
        let sign = if finding.has { "+" } else { "-" };
        println!("{sign} {} {:?}", finding.feature.name(), finding.found);
    }
    let profile = &recording.profile;
    match Bundled::ALL.iter().find(|k| k.version.same_series(profile.version)) {
        Some(bundled) => {
            let expected = bundled.features();
            for feature in profile.features.differences(&expected) {
                println!("differs {}: bundled {}", feature.name(), expected.has(feature));
            }
        }
        None => println!("no bundled kernel of its series"),
    }
    std::fs::write(out, profile.to_file().ok_or("no file")?)?;
    println!("recorded {}, types: {}", profile.release, recording.has_types);
    Ok(())
}
