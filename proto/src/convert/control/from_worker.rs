//! Worker to master: conversions in both ways.

use hearth_common::{AttemptId, AttemptMetrics, Epoch, FailureCause, JobSpec, LogLine, OutputFile};

use super::links::scans;
use super::operators::operators;
use super::records::records;
use super::{
    AttemptProgress, Heartbeat, Hello, LOG_LINES_MAX, NAMES_MAX, Report, ReportOutcome, SLOTS_MAX, WAITING_BYTES_MAX,
    WorkerMessage, check_length,
};
use crate::convert::ConvertError;
use crate::convert::error::{parsed, required};
use crate::wire;

/// Longest path component that file systems take, in bytes.
const COMPONENT_BYTES_MAX: usize = 255;

impl TryFrom<wire::FromWorker> for WorkerMessage {
    type Error = ConvertError;

    fn try_from(message: wire::FromWorker) -> Result<Self, ConvertError> {
        use wire::from_worker::Message;
        Ok(match required("message", message.message)? {
            Message::Hello(hello) => Self::Hello(hello.try_into()?),
            Message::Heartbeat(heartbeat) => Self::Heartbeat(heartbeat.try_into()?),
            Message::Report(report) => Self::Report(report.try_into()?),
            Message::Draining(wire::Draining {}) => Self::Draining,
            Message::Goodbye(wire::Goodbye {}) => Self::Goodbye,
            Message::LogLines(wire::LogLines { lines }) => {
                check_length("lines", lines.len(), LOG_LINES_MAX)?;
                Self::LogLines(lines.into_iter().map(LogLine::try_from).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<WorkerMessage> for wire::FromWorker {
    fn from(message: WorkerMessage) -> Self {
        use wire::from_worker::Message;
        let message = match message {
            WorkerMessage::Hello(hello) => Message::Hello(hello.into()),
            WorkerMessage::Heartbeat(heartbeat) => Message::Heartbeat(heartbeat.into()),
            WorkerMessage::Report(report) => Message::Report(report.into()),
            WorkerMessage::Draining => Message::Draining(wire::Draining {}),
            WorkerMessage::Goodbye => Message::Goodbye(wire::Goodbye {}),
            WorkerMessage::LogLines(lines) => {
                Message::LogLines(wire::LogLines { lines: lines.into_iter().map(Into::into).collect() })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = ConvertError;

    fn try_from(hello: wire::Hello) -> Result<Self, ConvertError> {
        check_length("engine_version", hello.engine_version.len(), 128)?;
        check_length("host", hello.host.len(), 255)?;
        check_length("token", hello.token.len(), 4096)?;
        check_length("names", hello.names.len(), NAMES_MAX)?;
        hello.names.iter().try_for_each(|name| check_length("names", name.len(), 255))?;
        check_address("shuffle_address", &hello.shuffle_address)?;
        if !(1..=SLOTS_MAX).contains(&hello.slots) {
            return Err(ConvertError::new("slots", format!("must be 1 to {SLOTS_MAX}, found {}", hello.slots)));
        }
        Ok(Self {
            protocol: hello.protocol,
            engine_version: hello.engine_version,
            worker: parsed("worker_id", &hello.worker_id)?,
            host: hello.host,
            shuffle_address: hello.shuffle_address,
            slots: hello.slots,
            memory_bytes_max: hello.memory_bytes_max,
            attempts: attempts(hello.attempts)?,
            shuffle_outputs: attempts(hello.shuffle_outputs)?,
            token: hello.token,
            names: hello.names,
            epoch: hello.epoch.map(Epoch::try_from).transpose()?,
        })
    }
}

fn attempts(ids: Vec<wire::AttemptId>) -> Result<Vec<AttemptId>, ConvertError> {
    ids.into_iter().map(AttemptId::try_from).collect()
}

/// `host:port`, where the host may be an IPv6 address in brackets.
pub(in crate::convert) fn check_address(field: &'static str, address: &str) -> Result<(), ConvertError> {
    check_length(field, address.len(), 300)?;
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    let host_fits = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._[]:%".contains(c));
    if host_fits && port.parse::<u16>().is_ok_and(|port| port > 0) {
        Ok(())
    } else {
        Err(ConvertError::new(field, format!("`{address}` is not host:port")))
    }
}

impl From<Hello> for wire::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            protocol: hello.protocol,
            engine_version: hello.engine_version,
            worker_id: hello.worker.to_string(),
            host: hello.host,
            shuffle_address: hello.shuffle_address,
            slots: hello.slots,
            memory_bytes_max: hello.memory_bytes_max,
            attempts: hello.attempts.into_iter().map(Into::into).collect(),
            shuffle_outputs: hello.shuffle_outputs.into_iter().map(Into::into).collect(),
            token: hello.token,
            names: hello.names,
            epoch: hello.epoch.map(Into::into),
        }
    }
}

impl TryFrom<wire::Heartbeat> for Heartbeat {
    type Error = ConvertError;

    fn try_from(heartbeat: wire::Heartbeat) -> Result<Self, ConvertError> {
        Ok(Self {
            progress: heartbeat.progress.into_iter().map(AttemptProgress::try_from).collect::<Result<_, _>>()?,
            memory_bytes_used: heartbeat.memory_bytes_used,
            disk_bytes_free: heartbeat.disk_bytes_free,
        })
    }
}

impl From<Heartbeat> for wire::Heartbeat {
    fn from(heartbeat: Heartbeat) -> Self {
        Self {
            progress: heartbeat.progress.into_iter().map(Into::into).collect(),
            memory_bytes_used: heartbeat.memory_bytes_used,
            disk_bytes_free: heartbeat.disk_bytes_free,
        }
    }
}

impl TryFrom<wire::AttemptProgress> for AttemptProgress {
    type Error = ConvertError;

    fn try_from(progress: wire::AttemptProgress) -> Result<Self, ConvertError> {
        let waiting_bytes = progress.waiting_for.as_ref().map_or(0, String::len);
        check_length("waiting_for", waiting_bytes, WAITING_BYTES_MAX)?;
        Ok(Self {
            attempt: required("attempt", progress.attempt)?.try_into()?,
            metrics: AttemptMetrics::from(required("metrics", progress.metrics)?),
            waiting_for: progress.waiting_for,
        })
    }
}

impl From<AttemptProgress> for wire::AttemptProgress {
    fn from(progress: AttemptProgress) -> Self {
        let (attempt, metrics) = (Some(progress.attempt.into()), Some(progress.metrics.into()));
        Self { attempt, metrics, waiting_for: progress.waiting_for }
    }
}

impl TryFrom<wire::Report> for Report {
    type Error = ConvertError;

    fn try_from(mut report: wire::Report) -> Result<Self, ConvertError> {
        let records = records(&mut report)?;
        Ok(Self {
            attempt: required("attempt", report.attempt)?.try_into()?,
            metrics: AttemptMetrics::from(required("metrics", report.metrics)?),
            outcome: required("outcome", report.outcome)?.try_into()?,
            scans: scans(report.scans)?,
            records,
            operators: operators(report.operators)?,
        })
    }
}

impl From<Report> for wire::Report {
    fn from(report: Report) -> Self {
        Self {
            attempt: Some(report.attempt.into()),
            metrics: Some(report.metrics.into()),
            outcome: Some(report.outcome.into()),
            scans: report.scans.into_iter().map(Into::into).collect(),
            inputs: report.records.inputs.into_iter().map(Into::into).collect(),
            first_rejects: report.records.first.into_iter().map(Into::into).collect(),
            rejects_file: report.records.file.map(Into::into),
            operators: report.operators.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::report::Outcome> for ReportOutcome {
    type Error = ConvertError;

    fn try_from(outcome: wire::report::Outcome) -> Result<Self, ConvertError> {
        use wire::report::Outcome;
        Ok(match outcome {
            Outcome::Shuffle(wire::ShuffleWritten { partition_bytes }) => {
                check_length("partition_bytes", partition_bytes.len(), JobSpec::SHUFFLE_PARTITIONS_MAX as usize)?;
                Self::Shuffle { partition_bytes }
            }
            Outcome::Output(wire::OutputWritten { files }) => {
                Self::Output { files: files.into_iter().map(OutputFile::try_from).collect::<Result<_, _>>()? }
            }
            Outcome::Failed(cause) => Self::Failed(FailureCause::try_from(cause)?),
        })
    }
}

impl From<ReportOutcome> for wire::report::Outcome {
    fn from(outcome: ReportOutcome) -> Self {
        match outcome {
            ReportOutcome::Shuffle { partition_bytes } => Self::Shuffle(wire::ShuffleWritten { partition_bytes }),
            ReportOutcome::Output { files } => {
                Self::Output(wire::OutputWritten { files: files.into_iter().map(Into::into).collect() })
            }
            ReportOutcome::Failed(cause) => Self::Failed(cause.into()),
        }
    }
}

/// The commit renames these names: a name that left its directory would move somebody else's file.
impl TryFrom<wire::OutputFile> for OutputFile {
    type Error = ConvertError;

    fn try_from(file: wire::OutputFile) -> Result<Self, ConvertError> {
        check_component("staged", &file.staged)?;
        check_directory(&file.directory)?;
        let extension_fits = (1..=16).contains(&file.extension.len())
            && file.extension.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
            && !file.extension.starts_with('.');
        if !extension_fits {
            return Err(ConvertError::new("extension", format!("`{}` is not a file extension", file.extension)));
        }
        let wire::OutputFile { staged, directory, extension, rows, bytes } = file;
        Ok(Self { staged, directory, extension, rows, bytes })
    }
}

pub(super) fn check_component(field: &'static str, name: &str) -> Result<(), ConvertError> {
    check_length(field, name.len(), COMPONENT_BYTES_MAX)?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        return Err(ConvertError::new(field, format!("{name:?} is not a single path component")));
    }
    Ok(())
}

fn check_directory(directory: &str) -> Result<(), ConvertError> {
    check_length("directory", directory.len(), 4096)?;
    if directory.is_empty() {
        return Ok(());
    }
    for part in directory.split('/') {
        check_component("directory", part)?;
        if !part.contains('=') {
            return Err(ConvertError::new("directory", format!("`{part}` is not name=value")));
        }
    }
    Ok(())
}

impl From<OutputFile> for wire::OutputFile {
    fn from(file: OutputFile) -> Self {
        let OutputFile { staged, directory, extension, rows, bytes } = file;
        Self { staged, directory, extension, rows, bytes }
    }
}
