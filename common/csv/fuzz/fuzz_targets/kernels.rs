//! Every kernel of the scanner against single steps.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| assert_eq!(hearth_differential::kernels(input), Ok(())));
