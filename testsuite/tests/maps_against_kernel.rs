//! The same operations on maps of the kernel and on ours give the same answers. Skipped without bpf(2).

use ebpfkit_abi::MapType;
use ebpfkit_testsuite::map_ops::{Comparison, Counts, made_types};
use ebpfkit_testsuite::running;

/// Compares a few maps of some types; the numbers of the maps that were made.
fn compare(test: &str, types: impl IntoIterator<Item = MapType>, cases: u32) {
    let Some(kernel) = running::or_skip(test) else { return };
    let comparison = Comparison::new(kernel).expect("what maps share");
    for map_type in types {
        let mut counts = Counts::default();
        if let Err(difference) = comparison.compare(1, cases, Some(map_type), &mut counts) {
            panic!("{map_type}: {difference}");
        }
        assert!(counts.maps.contains_key(map_type.name().expect("a name")), "{map_type}: none was made");
    }
}

#[test]
fn same_operations_same_answers() {
    // The kernel waits for all readers whenever a map of maps changes, so that these have a test with fewer maps.
    let types = made_types().filter(|t| !matches!(*t, MapType::ArrayOfMaps | MapType::HashOfMaps));
    compare("same_operations_same_answers", types, 40);
}

#[test]
fn maps_of_maps() {
    compare("maps_of_maps", [MapType::ArrayOfMaps, MapType::HashOfMaps], 4);
}
