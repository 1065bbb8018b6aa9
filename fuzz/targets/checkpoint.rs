//! See `checkpoint` of `wattribute::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wattribute::fuzzing::checkpoint(input));
