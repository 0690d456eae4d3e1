//! Whose turn it is to commit to each destination: one after the other, so that each knows what it finds there.

use std::collections::{BTreeMap, VecDeque};

use hearth_common::JobId;

use super::CommitOrder;

/// The commits to each destination, by its URL. The first of each is under way.
#[derive(Debug, Default)]
pub(crate) struct CommitTurns {
    by_destination: BTreeMap<String, VecDeque<Turn>>,
}

#[derive(Debug)]
enum Turn {
    /// It begins when those before it have ended.
    Commit(Box<CommitOrder>),
    /// It was begun by the master before, and is being settled.
    Settling(JobId),
}

impl Turn {
    const fn job(&self) -> JobId {
        match self {
            Self::Commit(order) => order.intent.job,
            Self::Settling(job) => *job,
        }
    }
}

impl CommitTurns {
    /// Takes a place at the end of the line. Gives the order back if it begins at once.
    pub(crate) fn join(&mut self, order: CommitOrder) -> Option<CommitOrder> {
        let waiting = self.by_destination.entry(order.intent.destination.clone()).or_default();
        waiting.push_back(Turn::Commit(Box::new(order.clone())));
        (waiting.len() == 1).then_some(order)
    }

    /// A commit is being settled: those that join wait for it.
    pub(crate) fn block(&mut self, destination: &str, job: JobId) {
        self.by_destination.entry(destination.to_owned()).or_default().push_back(Turn::Settling(job));
    }

    /// A job's turn is over. Gives the commit that begins now.
    pub(crate) fn end(&mut self, job: JobId) -> Option<CommitOrder> {
        let place = |waiting: &VecDeque<Turn>| waiting.iter().position(|turn| turn.job() == job);
        let (destination, at) = self
            .by_destination
            .iter()
            .find_map(|(destination, waiting)| place(waiting).map(|at| (destination.clone(), at)))?;
        let waiting = self.by_destination.get_mut(&destination)?;
        waiting.remove(at);
        match waiting.front() {
            None => {
                self.by_destination.remove(&destination);
                None
            }
            Some(Turn::Commit(next)) if at == 0 => Some(CommitOrder::clone(next)),
            // One that has begun already, whoever stood behind it.
            Some(Turn::Commit(_) | Turn::Settling(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::{Compression, OutputFormat, OutputMode, OutputSpec};

    use super::*;
    use crate::commit::CommitIntent;

    fn order(job: u128, path: &str) -> CommitOrder {
        let output = OutputSpec {
            path: path.to_owned(),
            format: OutputFormat::Parquet,
            mode: OutputMode::Append,
            partition_by: Vec::new(),
            compression: Compression::Zstd,
            file_bytes_max: hearth_common::ByteSize::mib(1),
        };
        CommitOrder { intent: CommitIntent::new(JobId::from_u128(job), &output, &[]).unwrap(), rejects: Vec::new() }
    }

    fn job(order: Option<CommitOrder>) -> Option<JobId> {
        order.map(|order| order.intent.job)
    }

    const fn id(job: u128) -> Option<JobId> {
        Some(JobId::from_u128(job))
    }

    #[test]
    fn commits_to_one_destination_take_turns() {
        let mut turns = CommitTurns::default();
        assert_eq!(job(turns.join(order(1, "/out"))), id(1));
        assert_eq!(job(turns.join(order(2, "/out"))), None);
        assert_eq!(job(turns.join(order(3, "/elsewhere"))), id(3));
        assert_eq!(job(turns.end(JobId::from_u128(3))), None);
        assert_eq!(job(turns.end(JobId::from_u128(1))), id(2));
        assert_eq!(job(turns.end(JobId::from_u128(2))), None);
        assert!(turns.by_destination.is_empty());
    }

    #[test]
    fn what_is_being_settled_comes_first_and_is_not_begun_again() {
        let mut turns = CommitTurns::default();
        let destination = order(1, "/out").intent.destination;
        turns.block(&destination, JobId::from_u128(1));
        turns.block(&destination, JobId::from_u128(2));
        assert_eq!(job(turns.join(order(3, "/out"))), None);
        assert_eq!(job(turns.end(JobId::from_u128(1))), None, "the second one is being settled still");
        assert_eq!(job(turns.end(JobId::from_u128(9))), None, "nobody's turn");
        assert_eq!(job(turns.end(JobId::from_u128(2))), id(3));
    }
}
