//! Where records and fields of separated values begin and end: the structure of a file, without its values.
//!
//! One definition, [`State::step`], says what a byte means. The scanner gives the same answer 64 bytes at a time, with AVX2
//! where the processor has it and with plain 64-bit words elsewhere; what is unusual in a block (a quote inside an unquoted
//! field, text after a closing quote) is left to the definition. Nothing here allocates per record, reads a file or knows a type.

mod block;
mod index;
mod masks;
mod scanner;
mod simd;
mod state;

pub use index::{Index, Problem, ProblemKind};
pub use scanner::{Kernel, Scanner};
pub use state::{Dialect, State, Step};
