//! The scanner against the csv crate.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| assert_eq!(hearth_differential::csv_crate(input), Ok(())));
