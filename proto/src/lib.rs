//! The wire contract: generated messages and services, and `convert`, the only place where they become our types.
//!
//! Nothing outside this crate may read a wire message's fields to decide something: convert first, which validates.

pub mod convert;

/// Generated messages, clients and servers, as they stand in the `.proto` files.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_arguments,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod wire {
    tonic::include_proto!("hearth.v1");
}
