//! What everyone but the event loop sees: an immutable picture of all jobs and workers, replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_common::{
    AttemptId, JobDetails, JobId, JobState, JobStatus, StageOperators, WorkerId, WorkerState, WorkerStatus,
};

use crate::ledger::Attempts;
use crate::load::Hour;

/// All jobs and workers at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Jobs that have not ended.
    pub active: BTreeMap<JobId, Arc<JobStatus>>,
    /// Ended jobs, as many as history keeps.
    pub ended: Arc<BTreeMap<JobId, Arc<JobStatus>>>,
    /// Workers, and the last lost ones.
    pub workers: Vec<WorkerStatus>,
    /// More of the jobs that have not ended.
    pub live: BTreeMap<JobId, LiveDetails>,
    /// What runs on each worker.
    pub running: BTreeMap<WorkerId, Vec<AttemptId>>,
    /// The last hour of the cluster.
    pub hour: Hour,
    /// The last hour of each worker.
    pub hours: BTreeMap<WorkerId, Hour>,
}

/// What pages tell of a job that has not ended, besides its status.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveDetails {
    /// All but its attempts.
    pub details: Arc<JobDetails>,
    /// Its attempts.
    pub attempts: Attempts,
    /// What the operators of its stages did.
    pub operators: Vec<Arc<StageOperators>>,
}

/// Which jobs a listing is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// Only jobs in one of these states; empty for all.
    pub states: Vec<JobState>,
    /// Most jobs in the answer.
    pub size: usize,
    /// Only jobs that are older than this one.
    pub before: Option<JobId>,
    /// Only jobs in whose name, id, SQL or output path this occurs, in whatever case; empty for all.
    pub search: String,
}

/// Figures over all jobs and workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Jobs that are known, by state.
    pub jobs: BTreeMap<JobState, u64>,
    /// Workers that are known, by the name of their state.
    pub workers: BTreeMap<&'static str, u64>,
    /// Slots of workers that are not lost.
    pub slots: u64,
    /// Attempts that run.
    pub slots_used: u64,
    /// Tasks of active jobs that run.
    pub tasks_running: u64,
    /// Tasks of active jobs that have no winner yet and do not run.
    pub tasks_waiting: u64,
    /// Memory that attempts have reserved, in bytes.
    pub memory_bytes_used: u64,
    /// Memory that attempts may reserve, in bytes.
    pub memory_bytes_max: u64,
    /// Workers that get no attempts for a while.
    pub workers_excluded: u64,
}

/// A job as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct JobAccount {
    /// Its status.
    pub status: Arc<JobStatus>,
    /// More of it, unless it has ended: then the status has its details.
    pub live: Option<LiveDetails>,
}

impl JobAccount {
    /// Its details; `None` for jobs that ended long ago.
    pub(crate) fn details(&self) -> Option<&JobDetails> {
        self.live.as_ref().map(|live| &*live.details).or(self.status.details.as_deref())
    }

    /// What the operators of its stages did, as far as it is known.
    pub(crate) fn operators(&self) -> Vec<&StageOperators> {
        match (&self.live, self.status.details.as_deref()) {
            (Some(live), _) => live.operators.iter().map(AsRef::as_ref).collect(),
            (None, Some(details)) => details.operators.iter().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Its attempts, as far as they are known. Those that ended under a master before this one are left out.
    pub(crate) fn attempts(&self) -> Attempts {
        let mut attempts = self.known_attempts();
        let unknown = self.status.attempts.launched.saturating_sub(attempts.len() as u64);
        attempts.left_out = attempts.left_out.max(unknown);
        attempts
    }

    fn known_attempts(&self) -> Attempts {
        match (&self.live, self.status.details.as_deref()) {
            (Some(live), _) => live.attempts.clone(),
            (None, Some(details)) => Attempts::of(&details.attempts, details.attempts_left_out),
            (None, None) => Attempts::default(),
        }
    }
}

impl Page {
    fn fits(&self, job: &JobStatus) -> bool {
        let has_state = self.states.is_empty() || self.states.contains(&job.state);
        has_state && (self.search.is_empty() || self.is_found_in(job))
    }

    fn is_found_in(&self, job: &JobStatus) -> bool {
        let finds = |text: &str| contains_in_any_case(text, &self.search);
        let output = job.output.as_ref().is_some_and(|output| finds(&output.path));
        output || finds(&job.name) || finds(&job.query) || job.id.to_string().starts_with(&self.search.to_lowercase())
    }
}

/// Looks for a text in another one, in whatever case. The text may be long and is not copied for what people usually look for.
fn contains_in_any_case(text: &str, wanted: &str) -> bool {
    if !wanted.is_ascii() {
        return text.to_lowercase().contains(&wanted.to_lowercase());
    }
    let wanted = wanted.as_bytes();
    wanted.is_empty() || text.as_bytes().windows(wanted.len()).any(|found| found.eq_ignore_ascii_case(wanted))
}

impl Snapshot {
    pub(crate) fn job(&self, id: JobId) -> Option<&Arc<JobStatus>> {
        self.active.get(&id).or_else(|| self.ended.get(&id))
    }

    /// A job with all that is known of it.
    pub(crate) fn account(&self, id: JobId) -> Option<JobAccount> {
        let status = Arc::clone(self.job(id)?);
        Some(JobAccount { status, live: self.live.get(&id).cloned() })
    }

    /// A worker.
    pub(crate) fn worker(&self, id: WorkerId) -> Option<&WorkerStatus> {
        self.workers.iter().find(|worker| worker.id == id)
    }

    /// One page, newest first, and where the next one goes on; ids sort by age.
    pub(crate) fn page(&self, page: &Page) -> (Vec<Arc<JobStatus>>, Option<JobId>) {
        let mut active = self.active.iter().rev().peekable();
        let mut ended = self.ended.iter().rev().peekable();
        let mut found: Vec<Arc<JobStatus>> = Vec::new();
        loop {
            let next = match (active.peek(), ended.peek()) {
                (Some((one, _)), Some((other, _))) if one < other => ended.next(),
                (Some(_), _) => active.next(),
                (None, _) => ended.next(),
            };
            let Some((id, status)) = next else { return (found, None) };
            let is_older = page.before.is_none_or(|before| *id < before);
            let fits = page.fits(status);
            if !is_older || !fits {
                continue;
            }
            if found.len() == page.size {
                let token = found.last().map(|last| last.id);
                return (found, token);
            }
            found.push(Arc::clone(status));
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals { jobs: JobState::ALL.map(|state| (state, 0)).into(), ..Totals::default() };
        for job in self.active.values().chain(self.ended.values()) {
            *totals.jobs.entry(job.state).or_default() += 1;
        }
        for stage in self.active.values().flat_map(|job| &job.stages) {
            totals.tasks_running += u64::from(stage.tasks_running);
            let rest = stage.tasks.saturating_sub(stage.tasks_done).saturating_sub(stage.tasks_running);
            totals.tasks_waiting += u64::from(rest);
        }
        use WorkerState::{Alive, Disconnected, Draining, Left, Lost};
        for state in [Alive, Disconnected, Draining, Lost, Left] {
            totals.workers.insert(state.name(), 0);
        }
        for worker in &self.workers {
            *totals.workers.entry(worker.state.name()).or_default() += 1;
            if !matches!(worker.state, Lost | Left) {
                totals.slots += u64::from(worker.slots);
                totals.slots_used += u64::from(worker.slots_used);
                totals.memory_bytes_used += worker.memory_bytes_used;
                totals.memory_bytes_max += worker.memory_bytes_max;
                totals.workers_excluded += u64::from(worker.excluded.is_some());
            }
        }
        totals
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hearth_common::LocalityCounts;

    use super::*;

    /// A job for tests, with nothing special about it.
    pub(crate) fn job(id: u128, state: JobState) -> Arc<JobStatus> {
        Arc::new(JobStatus {
            id: JobId::from_u128(id),
            name: format!("job {id}"),
            state,
            waiting_for: None,
            submitted_ms: 1_700_000_000_000,
            started_ms: None,
            finished_ms: None,
            failure: None,
            stages: Vec::new(),
            metrics: hearth_common::AttemptMetrics::default(),
            output: None,
            has_result: false,
            attempts: hearth_common::AttemptCounts::default(),
            query: "SELECT 1".to_owned(),
            inputs: Vec::new(),
            inferred: Vec::new(),
            locality: LocalityCounts::default(),
            details: None,
        })
    }

    pub(crate) fn snapshot(jobs: &[(u128, JobState)]) -> Snapshot {
        let of = |is_final: bool| {
            jobs.iter()
                .filter(|(_, state)| state.is_final() == is_final)
                .map(|(id, state)| (JobId::from_u128(*id), job(*id, *state)))
                .collect::<BTreeMap<_, _>>()
        };
        Snapshot { active: of(false), ended: Arc::new(of(true)), ..Snapshot::default() }
    }

    fn pages(snapshot: &Snapshot, states: &[JobState], size: usize) -> Vec<Vec<u128>> {
        let mut page = Page { states: states.to_vec(), size, ..Page::default() };
        let mut pages = Vec::new();
        loop {
            let (jobs, next) = snapshot.page(&page);
            let number = |job: &Arc<JobStatus>| job.name.trim_start_matches("job ").parse::<u128>().unwrap();
            pages.push(jobs.iter().map(number).collect());
            match next {
                Some(next) => page.before = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_go_from_new_to_old_and_miss_nothing() {
        use JobState::{Done, Failed, Queued, Running};
        let snapshot = snapshot(&[(1, Done), (2, Running), (3, Failed), (4, Done), (5, Queued)]);
        assert_eq!(pages(&snapshot, &[], 2), [vec![5, 4], vec![3, 2], vec![1]]);
        assert_eq!(pages(&snapshot, &[], 5), [vec![5, 4, 3, 2, 1]]);
        assert_eq!(pages(&snapshot, &[Done], 1), [vec![4], vec![1]]);
        assert_eq!(pages(&snapshot, &[JobState::Cancelled], 10), [Vec::<u128>::new()]);
    }

    #[test]
    fn jobs_are_found_by_what_people_know_of_them() {
        let snapshot = snapshot(&[(1, JobState::Done), (12, JobState::Running), (3, JobState::Failed)]);
        let found = |search: &str| {
            let page = Page { size: 10, search: search.to_owned(), ..Page::default() };
            snapshot.page(&page).0.iter().map(|job| job.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("JOB 1"), ["job 12", "job 1"]);
        assert_eq!(found("select 1").len(), 3);
        assert_eq!(found(&JobId::from_u128(3).to_string()), ["job 3"]);
        assert!(found("nothing like it").is_empty());
    }

    #[test]
    fn texts_are_found_in_any_case() {
        for (text, wanted, expected) in [
            ("SELECT Email", "email", true),
            ("SELECT Email", "", true),
            ("", "", true),
            ("", "a", false),
            ("Straße", "RASS", false),
            ("Straße GRÖSSE", "größe", false),
            ("Straße GRÖSSE", "gröss", true),
            ("aab", "AB", true),
        ] {
            assert_eq!(contains_in_any_case(text, wanted), expected, "{wanted} in {text}");
        }
    }

    #[test]
    fn totals_have_every_state() {
        let totals = snapshot(&[(1, JobState::Done), (2, JobState::Done), (3, JobState::Running)]).totals();
        assert_eq!(totals.jobs[&JobState::Done], 2);
        assert_eq!(totals.jobs[&JobState::Queued], 0);
        assert_eq!(totals.workers["lost"], 0);
    }
}
