//! Small and nasty files of CSV and JSON lines, each with the answer that RFC 4180 or 8259 and `docs/job-file.md` give.
//!
//! The answers were decided by hand. They say what a program must do, whatever one does today: never copy them from its output.

mod adversarial;
mod blanks;
mod case;
mod dialects;
mod encodings;
mod headers;
mod json;
mod line_ends;
mod long;
mod malformed;
mod malformed_headers;
mod nulls;
mod numbers;
mod quoting;
mod times;

pub use case::{Answer, Case, Place};

/// Every case; names are unique.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        quoting::cases(),
        line_ends::cases(),
        headers::cases(),
        numbers::cases(),
        times::cases(),
        nulls::cases(),
        dialects::cases(),
        encodings::cases(),
        blanks::cases(),
        long::cases(),
        adversarial::cases(),
        malformed::cases(),
        malformed_headers::cases(),
        json::cases(),
    ]
    .concat()
}
