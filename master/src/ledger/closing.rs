//! What is kept of the attempts of a job that ended: all of a small job; of a large one what went wrong, then the slowest.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use hearth_common::{AttemptDetails, AttemptOutcome, FailureCause, JobDetails, StageId, WorkerId};

use super::{Key, Ledger, spread_of};

/// Attempts that are kept of an ended job.
const KEPT_ENDED_MAX: usize = 256;

impl Ledger {
    /// Ends whatever runs, and puts what is kept into the details of the job.
    pub(crate) fn close(mut self, details: &mut JobDetails, now_ms: u64) {
        let running: Vec<usize> = self.running.iter().filter_map(|key| self.places.get(key).copied()).collect();
        running.into_iter().for_each(|place| self.settle(place, AttemptOutcome::Cancelled, now_ms));
        details.stages = spread_of(self.attempts.iter());
        let mut attempts: Vec<AttemptDetails> = self.attempts.iter().cloned().collect();
        let all = attempts.len();
        if all > KEPT_ENDED_MAX {
            attempts.sort_by_key(|attempt| (is_ordinary(attempt), Reverse(attempt.duration_ms(now_ms))));
            attempts.truncate(KEPT_ENDED_MAX);
        }
        attempts.sort_by_key(|attempt| (attempt.launched_ms, attempt.stage, attempt.partition, attempt.attempt));
        let named: BTreeSet<WorkerId> = attempts.iter().map(|attempt| attempt.worker).collect();
        let failed_on = details.failed_in.as_ref().map(|failed| failed.worker);
        details.hosts.retain(|worker, _| named.contains(worker) || failed_on == Some(*worker));
        details.attempts_left_out = self.attempts.left_out + (all - attempts.len()) as u64;
        details.attempts = attempts;
    }

    /// The attempt that failed last, if it failed of such a cause: stage, partition, attempt and worker.
    pub(crate) fn failed_of(&self, cause: &FailureCause) -> Option<(StageId, u32, u32, WorkerId)> {
        let (key, name): (Key, _) = self.last_failed?;
        let attempt = self.attempts.get(*self.places.get(&key)?)?;
        (name == cause.name()).then_some((key.0, key.1, key.2, attempt.worker))
    }

    /// Ends what runs there; for tests.
    #[cfg(test)]
    pub(super) fn end_all(&mut self, ids: &[hearth_common::AttemptId], now_ms: u64) {
        use super::End;
        ids.iter().for_each(|id| self.note_end(*id, End::Done, now_ms));
    }
}

/// It ended well, and nothing about it was special.
fn is_ordinary(attempt: &AttemptDetails) -> bool {
    attempt.outcome == AttemptOutcome::Done && !attempt.second
}
