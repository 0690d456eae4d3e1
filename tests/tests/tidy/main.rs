//! The rules of this repository that a compiler does not know: who may depend on whom, sizes, headers and words.
//!
//! It reads `cargo metadata` and the sources, and links nothing of the product.

#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod words;
