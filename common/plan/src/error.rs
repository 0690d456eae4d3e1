//! Errors of this crate, and the one place that turns DataFusion's errors into failure causes.

use std::error::Error;
use std::io;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::object_store;
use datafusion::parquet::errors::ParquetError;
use hearth_common::{FailureCause, Place};
use hearth_storage::typed_cause;

/// Why a stage's program could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The plan holds something that cannot be sent to a worker.
    #[error("cannot encode the stage: {0}")]
    Encode(#[source] DataFusionError),
    /// The bytes are no program, or one of another engine version.
    #[error("cannot decode the stage: {0}")]
    Decode(#[source] DataFusionError),
    /// A part of the program is missing or out of its limits.
    #[error("cannot decode the stage: {0}")]
    Malformed(String),
}

impl From<PlanError> for FailureCause {
    fn from(error: PlanError) -> Self {
        match &error {
            PlanError::Encode(inner) if is_unsupported(inner) => cause_of(inner),
            PlanError::Encode(_) | PlanError::Decode(_) | PlanError::Malformed(_) => Self::internal(error.to_string()),
        }
    }
}

/// The query asks for something that stages do not have.
fn is_unsupported(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::NotImplemented(_))
}

/// The failure cause behind an error of DataFusion, as the scheduler understands it.
///
/// A [`FailureCause`] that travelled inside the error, at any depth, comes out as it went in.
#[must_use]
pub fn cause_of(error: &DataFusionError) -> FailureCause {
    match error {
        DataFusionError::ArrowError(inner, _) => cause_of_arrow(inner, error),
        DataFusionError::ParquetError(inner) => cause_of_parquet(inner, error),
        DataFusionError::ObjectStore(inner) => find_typed(inner.as_ref()).unwrap_or_else(|| cause_of_store(inner)),
        DataFusionError::IoError(inner) => cause_of_io(inner),
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => FailureCause::Cancelled,
        DataFusionError::ExecutionJoin(inner) => FailureCause::internal(inner.to_string()),
        DataFusionError::Internal(_) => FailureCause::internal(text_of(error)),
        DataFusionError::External(inner) => find_cause(inner.as_ref()).unwrap_or_else(|| task(error)),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => cause_of(inner),
        DataFusionError::Shared(inner) => cause_of(inner),
        DataFusionError::Collection(inner) => inner.first().map_or_else(|| task(error), cause_of),
        DataFusionError::SQL(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Plan(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Execution(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_) => task(error),
    }
}

/// Puts a file's name to a task's own error that does not name it yet.
pub(crate) fn name_file(mut cause: FailureCause, url: &str) -> FailureCause {
    if let FailureCause::Task { message, place } = &mut cause
        && !message.contains(url)
    {
        place.get_or_insert_with(|| Place { file: url.to_owned(), ..Place::default() });
    }
    cause
}

fn task(error: &DataFusionError) -> FailureCause {
    FailureCause::task(text_of(error))
}

/// DataFusion's text without what is no use to the people who read it.
fn text_of(error: &DataFusionError) -> String {
    let message = error.message();
    let message = message.split("\nThis issue was likely caused by a bug").next().unwrap_or_default();
    let message = message.split("\n\nbacktrace:").next().unwrap_or_default();
    let mut text = message.trim();
    while let Some(rest) = NOISE.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.trim_end_matches(['.', ' ']).to_owned()
}

const NOISE: [&str; 9] = [
    "External error: ",
    "Execution error: ",
    "Arrow error: ",
    "Error during planning: ",
    "Internal error: ",
    "External: ",
    "Parquet error: ",
    "Parser error: ",
    "Csv error: ",
];

fn exhausted(message: &str) -> FailureCause {
    if message.contains("disk space") || message.contains("No space left") {
        return FailureCause::DiskFull { directory: "the work directory".into(), message: message.to_owned() };
    }
    FailureCause::OutOfMemory { message: message.to_owned() }
}

fn cause_of_arrow(inner: &ArrowError, error: &DataFusionError) -> FailureCause {
    match inner {
        ArrowError::ExternalError(source) => find_cause(source.as_ref()).unwrap_or_else(|| task(error)),
        ArrowError::IoError(_, source) => cause_of_io(source),
        ArrowError::MemoryError(message) => FailureCause::OutOfMemory { message: message.clone() },
        ArrowError::NotYetImplemented(_)
        | ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::SchemaError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::AvroError(_)
        | ArrowError::IpcError(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::ParquetError(_)
        | ArrowError::CDataInterface(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError
        | ArrowError::OffsetOverflowError(_) => task(error),
    }
}

fn cause_of_parquet(inner: &ParquetError, error: &DataFusionError) -> FailureCause {
    inner.source().and_then(find_cause).unwrap_or_else(|| task(error))
}

fn cause_of_store(error: &object_store::Error) -> FailureCause {
    let missing = matches!(
        error,
        object_store::Error::NotFound { .. }
            | object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
            | object_store::Error::InvalidPath { .. }
    );
    if missing { FailureCause::task(error.to_string()) } else { FailureCause::Storage { message: error.to_string() } }
}

/// Plain I/O errors come from spill files: inputs and outputs have typed ones.
fn cause_of_io(error: &io::Error) -> FailureCause {
    if let Some(cause) = error.get_ref().and_then(|inner| find_cause(inner)) {
        return cause;
    }
    let kind = error.kind();
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        return FailureCause::DiskFull { directory: "the work directory".into(), message: error.to_string() };
    }
    FailureCause::Storage { message: error.to_string() }
}

/// What `error` or anything behind it says about itself in a type we know.
fn find_cause(error: &(dyn Error + 'static)) -> Option<FailureCause> {
    if let Some(cause) = find_typed(error) {
        return Some(cause);
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return Some(cause_of(inner));
    }
    if let Some(inner) = error.downcast_ref::<object_store::Error>() {
        return Some(cause_of_store(inner));
    }
    if let Some(inner) = error.downcast_ref::<io::Error>() {
        return Some(cause_of_io(inner));
    }
    match error.downcast_ref::<ArrowError>() {
        Some(ArrowError::ExternalError(inner)) => find_cause(inner.as_ref()),
        Some(ArrowError::IoError(_, inner)) => Some(cause_of_io(inner)),
        _ => error.source().and_then(find_cause),
    }
}

/// A failure cause, or an error of storage, at any depth.
fn find_typed(error: &(dyn Error + 'static)) -> Option<FailureCause> {
    if let Some(cause) = error.downcast_ref::<FailureCause>() {
        return Some(cause.clone());
    }
    typed_cause(error).or_else(|| error.source().and_then(find_typed))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn check(error: DataFusionError, name: &str, text: &str) {
        let cause = cause_of(&error);
        assert_eq!((cause.name(), cause.to_string().as_str()), (name, text));
    }

    fn external(error: impl Error + Send + Sync + 'static) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }

    #[test]
    fn a_typed_cause_survives_any_wrapping() {
        let lost = FailureCause::LostShuffleOutput {
            stage: hearth_common::StageId(1),
            partition: 2,
            attempt: 3,
            worker: hearth_common::WorkerId::from_u128(4),
            loss: hearth_common::OutputLoss::Gone,
            message: "gone".into(),
        };
        let wrapped = [
            external(lost.clone()),
            external(lost.clone()).context("while sorting"),
            DataFusionError::Shared(Arc::new(external(lost.clone()))),
            external(external(lost.clone())),
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(external(lost.clone())))), None),
            DataFusionError::IoError(io::Error::other(lost.clone())),
            external(io::Error::other(ArrowError::ExternalError(Box::new(lost.clone())))),
            DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(lost.clone())))),
        ];
        for error in wrapped {
            assert_eq!(cause_of(&error), lost, "{error:?}");
        }
    }

    #[test]
    fn sorts_what_is_not_typed() {
        check(DataFusionError::ResourcesExhausted("no".into()), "out_of_memory", "ran out of memory: no");
        check(
            DataFusionError::IoError(io::Error::from(io::ErrorKind::StorageFull)),
            "disk_full",
            "disk is full in the work directory: no storage space",
        );
        check(DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None), "task", "Divide by zero error");
        check(DataFusionError::Execution("bad value.".into()), "task", "bad value");
        check(external(io::Error::from(io::ErrorKind::TimedOut)), "storage", "storage is in trouble: timed out");
        check(DataFusionError::Internal("oops".into()), "internal", "internal error: oops");
    }
}
