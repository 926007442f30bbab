#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ebpfkit_testsuite::fuzzing::helpers(data));
