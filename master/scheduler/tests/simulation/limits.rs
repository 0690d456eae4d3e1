//! What must hold of deadlines and priorities.

use std::collections::BTreeMap;

use hearth_common::{JobId, Priority};

use crate::oracle::{Check, Oracle};
use crate::plan::JobPlan;

impl Oracle {
    /// No other job that waits comes before the one that has its turn.
    pub(crate) fn check_turn(&self, job: JobId, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        let lead = self.priority_lead.as_millis() as u64;
        let rank = |id: &JobId| {
            let later = match plans[id].limits.priority {
                Priority::High => 0,
                Priority::Normal => lead,
                Priority::Low => 2 * lead,
            };
            self.jobs.get(id).and_then(|seen| seen.submitted_at).unwrap_or_default() + later
        };
        let waiting = self.jobs.iter().filter(|(_, seen)| seen.submitted_at.is_some() && !seen.is_planned);
        let mut waiting = waiting.filter(|(_, seen)| !seen.is_refused && seen.ended.is_none());
        match waiting.find(|(id, _)| rank(id) < rank(&job)) {
            Some((other, _)) => Err(format!("job {job}: has its turn before {other}")),
            None => Ok(()),
        }
    }

    /// A job whose time is over has ended, or commits.
    pub(crate) fn check_deadlines(&self, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        let is_late = |id: &JobId| {
            let (limit, seen) = (plans[id].limits.deadline, &self.jobs[id]);
            let end = limit.zip(seen.submitted_at).map(|(limit, at)| at + limit.as_millis() as u64);
            let is_over = seen.is_refused || seen.ended.is_some() || seen.commits > 0;
            // What is due when a master starts, it does then.
            end.is_some_and(|end| end.max(self.restart.at) < self.now) && !is_over
        };
        match self.jobs.keys().find(|id| is_late(id)) {
            Some(job) => Err(format!("job {job}: goes on at {} ms after its deadline", self.now)),
            None => Ok(()),
        }
    }
}
