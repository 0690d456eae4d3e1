//! Master to worker: conversions in both ways.

use std::time::Duration;

use hearth_common::Absence;

use super::{LaunchOrder, MasterMessage};
use crate::convert::ConvertError;
use crate::convert::error::{parsed, required};
use crate::wire;

impl TryFrom<wire::FromMaster> for MasterMessage {
    type Error = ConvertError;

    fn try_from(message: wire::FromMaster) -> Result<Self, ConvertError> {
        use wire::from_master::Message;
        Ok(match required("message", message.message)? {
            Message::Welcome(wire::Welcome { heartbeat_interval_ms, lease_ms, epoch }) => {
                if heartbeat_interval_ms == 0 || lease_ms <= heartbeat_interval_ms {
                    let problem = format!("{lease_ms} ms do not outlast heartbeats every {heartbeat_interval_ms} ms");
                    return Err(ConvertError::new("lease_ms", problem));
                }
                Self::Welcome {
                    heartbeat_interval: Duration::from_millis(heartbeat_interval_ms),
                    lease: Duration::from_millis(lease_ms),
                    epoch: required("epoch", epoch)?.try_into()?,
                }
            }
            Message::Refused(wire::Refused { reason, retry }) => Self::Refused { reason, retry },
            Message::Launch(launch) => Self::Launch(launch.try_into()?),
            Message::Cancel(cancel) => Self::Cancel(required("attempt", cancel.attempt)?.try_into()?),
            Message::Ack(ack) => Self::Ack(required("attempt", ack.attempt)?.try_into()?),
            Message::RemoveShuffle(remove) => remove.try_into()?,
            Message::Fenced(wire::Fenced {}) => Self::Fenced,
            Message::MayLeave(wire::MayLeave {}) => Self::MayLeave,
            Message::Drain(wire::Drain {}) => Self::Drain,
            Message::LogLinesKept(wire::LogLinesKept { through }) => Self::LogLinesKept { through },
            Message::SourceAbsent(wire::SourceAbsent { worker_id, lost }) => Self::SourceAbsent {
                source: parsed("worker_id", &worker_id)?,
                absence: if lost { Absence::Lost } else { Absence::Silent },
            },
        })
    }
}

impl TryFrom<wire::RemoveShuffle> for MasterMessage {
    type Error = ConvertError;

    fn try_from(remove: wire::RemoveShuffle) -> Result<Self, ConvertError> {
        let job = parsed("job_id", &remove.job_id)?;
        let attempt = remove.attempt.map(hearth_common::AttemptId::try_from).transpose()?;
        if let Some(attempt) = attempt
            && attempt.task.job != job
        {
            return Err(ConvertError::new("attempt", format!("{attempt} is not of job {job}")));
        }
        Ok(Self::RemoveShuffle { job, attempt })
    }
}

impl From<MasterMessage> for wire::FromMaster {
    fn from(message: MasterMessage) -> Self {
        use wire::from_master::Message;
        let message = match message {
            MasterMessage::Welcome { heartbeat_interval, lease, epoch } => Message::Welcome(wire::Welcome {
                heartbeat_interval_ms: millis(heartbeat_interval),
                lease_ms: millis(lease),
                epoch: Some(epoch.into()),
            }),
            MasterMessage::Refused { reason, retry } => Message::Refused(wire::Refused { reason, retry }),
            MasterMessage::Launch(launch) => Message::Launch(launch.into()),
            MasterMessage::Cancel(attempt) => Message::Cancel(wire::CancelAttempt { attempt: Some(attempt.into()) }),
            MasterMessage::Ack(attempt) => Message::Ack(wire::ReportAck { attempt: Some(attempt.into()) }),
            MasterMessage::RemoveShuffle { job, attempt } => Message::RemoveShuffle(wire::RemoveShuffle {
                job_id: job.to_string(),
                attempt: attempt.map(Into::into),
            }),
            MasterMessage::Fenced => Message::Fenced(wire::Fenced {}),
            MasterMessage::MayLeave => Message::MayLeave(wire::MayLeave {}),
            MasterMessage::Drain => Message::Drain(wire::Drain {}),
            MasterMessage::LogLinesKept { through } => Message::LogLinesKept(wire::LogLinesKept { through }),
            MasterMessage::SourceAbsent { source, absence } => Message::SourceAbsent(wire::SourceAbsent {
                worker_id: source.to_string(),
                lost: absence == Absence::Lost,
            }),
        };
        Self { message: Some(message) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl TryFrom<wire::Launch> for LaunchOrder {
    type Error = ConvertError;

    fn try_from(launch: wire::Launch) -> Result<Self, ConvertError> {
        Ok(Self {
            attempt: required("attempt", launch.attempt)?.try_into()?,
            program: launch.program,
            program_xxh3: launch.program_xxh3,
            inputs: super::inputs::task_inputs(launch.leaves)?,
        })
    }
}

impl From<LaunchOrder> for wire::Launch {
    fn from(order: LaunchOrder) -> Self {
        Self {
            attempt: Some(order.attempt.into()),
            program: order.program,
            program_xxh3: order.program_xxh3,
            leaves: super::inputs::leaves(order.inputs),
        }
    }
}
