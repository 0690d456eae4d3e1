//! Reading in two splits against reading in one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| assert_eq!(hearth_differential::splits(input), Ok(())));
