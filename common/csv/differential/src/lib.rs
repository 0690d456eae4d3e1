//! Two ways to read the same bytes that must not differ: what fuzz targets and tests of the workspace have in common.
//!
//! Each function takes bytes of any kind, makes a case of them, and says how the two ways differ, if they do. Nothing here
//! asserts, finds inputs or keeps them.

mod case;
mod kernels;
mod random;
mod records;
#[cfg(feature = "splits")]
mod splits;

use std::fmt;

pub use kernels::kernels;
pub use random::Random;
pub use records::csv_crate;
#[cfg(feature = "splits")]
pub use splits::{Met, SplitsCase, splits};

/// How two ways to read the same bytes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(String);

impl Difference {
    /// None where both are equal.
    fn between<T: PartialEq + fmt::Debug>(found: &T, expected: &T, what: impl FnOnce() -> String) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self(format!("{}\n  found    {found:?}\n  expected {expected:?}", what())))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Difference {}
