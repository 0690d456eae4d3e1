//! Every limit and waiting time of the scheduler. Fixed for its life.

use std::time::Duration;

use hearth_common::Backoff;

use crate::mutation::Mutation;

/// What the scheduler may hold, how long it waits, and how often it tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Jobs that are planned, run or commit at once; the rest waits its turn.
    pub running_jobs_max: usize,
    /// Jobs that wait their turn; more are refused.
    pub queued_jobs_max: usize,
    /// Tasks of one job; a larger one fails when it is planned.
    pub tasks_per_job_max: u64,
    /// Lost worker ids that are remembered, so that none is accepted again.
    pub lost_workers_remembered_max: usize,
    /// How long a worker is believed to live after its last message.
    pub lease: Duration,
    /// How long after its last message a worker counts as silent: it gets no attempts then, and what others need of it is made
    /// again as soon as one of them hears nothing of it either. Has no effect unless it is shorter than the lease.
    pub silence: Duration,
    /// How long a worker whose connection broke may take to come back.
    pub disconnect_grace: Duration,
    /// How long workers of the scheduler before may take to come back.
    pub restart_grace: Duration,
    /// How long the readers of a draining worker's outputs are waited for after its last attempt; then they are made again.
    pub drain_wait: Duration,
    /// How long a worker that got no connection to another one is not sent to read from it again.
    pub cut_duration: Duration,
    /// Such pairs that are remembered. Beyond, what a reader does not reach is made again elsewhere.
    pub cuts_max: usize,
    /// How long a job with tasks to run waits while there is no worker.
    pub no_worker_timeout: Duration,
    /// A job of higher priority has its turn as if it had been submitted so much earlier, one of lower priority later. So every
    /// job has its turn: none that is submitted later than that overtakes it for each step of priority.
    pub priority_lead: Duration,
    /// How long the tasks of a stage wait for slots on the hosts that hold what they read, while others are free. Zero: they
    /// take such a slot where there is one, and wait for none.
    pub locality_wait: Duration,
    /// When an attempt gets a second one beside it.
    pub stragglers: StragglerPolicy,
    /// When a worker gets no more attempts, because they fail there.
    pub exclusion: ExclusionPolicy,
    /// When a failed task is tried again.
    pub retry: RetryPolicy,
    /// A planted bug. `None` outside the test that shows that planted bugs are caught.
    #[doc(hidden)]
    pub mutation: Option<Mutation>,
}

/// When an attempt gets a second one beside it, on another worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StragglerPolicy {
    /// Stragglers are looked for that often, while slots are left over.
    pub interval: Duration,
    /// It has run at least that long,
    pub runtime_min: Duration,
    /// and longer than that many percent of the median of the finished attempts of its stage,
    pub slowness_percent: u32,
    /// and that many percent of the tasks of its stage are done.
    pub done_percent_min: u32,
    /// Where fewer are done there is nothing to compare it with: it has run at least that long. It may never end.
    pub lonely_runtime_min: Duration,
    /// Second attempts take no more than that many percent of all slots, but always one. With 0, there are no others.
    pub slots_percent_max: u32,
    /// Second attempts of one task; 0 switches them off.
    pub seconds_per_task_max: u32,
}

/// When a worker gets no more attempts, because they fail there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusionPolicy {
    /// Tasks of one job that may fail on a worker, more than succeed, until it gets no more of that job; 0 for any number.
    pub tasks_per_job_max: u32,
    /// Jobs that exclude a worker until it gets no attempts of any job.
    pub jobs_max: u32,
    /// How long it gets none, of that job or of any.
    pub duration: Duration,
}

/// How often a task is tried, by the cause of its failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Internal errors of one task until its job fails.
    pub internal_failures_max: u32,
    /// Storage troubles of one task until its job fails.
    pub storage_failures_max: u32,
    /// Wait after a storage trouble.
    pub storage_backoff: Backoff,
    /// Workers that may run out of memory or disk under one task before it has to wait between tries.
    pub exhausted_workers_max: u32,
    /// Tries after that, each after a wait, until its job fails.
    pub exhausted_waits_max: u32,
    /// Wait before each of these.
    pub exhausted_backoff: Backoff,
    /// Workers that one task may lose in a row until its job fails as poison.
    pub lost_workers_in_a_row_max: u32,
    /// Times that the output of one task may be reported unreadable until its job fails.
    pub unreadable_outputs_max: u32,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            running_jobs_max: 64,
            queued_jobs_max: 10_000,
            tasks_per_job_max: 1_000_000,
            lost_workers_remembered_max: 10_000,
            lease: Duration::from_secs(10),
            silence: Duration::from_secs(5),
            disconnect_grace: Duration::from_secs(3),
            restart_grace: Duration::from_secs(30),
            drain_wait: Duration::from_secs(60),
            cut_duration: Duration::from_secs(120),
            cuts_max: 1_000,
            no_worker_timeout: Duration::from_secs(120),
            priority_lead: Duration::from_secs(600),
            locality_wait: Duration::from_secs(3),
            stragglers: StragglerPolicy::default(),
            exclusion: ExclusionPolicy::default(),
            retry: RetryPolicy::default(),
            mutation: None,
        }
    }
}

impl Default for ExclusionPolicy {
    fn default() -> Self {
        Self { tasks_per_job_max: 3, jobs_max: 2, duration: Duration::from_secs(300) }
    }
}

impl Default for StragglerPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            runtime_min: Duration::from_secs(3),
            slowness_percent: 150,
            done_percent_min: 50,
            lonely_runtime_min: Duration::from_secs(600),
            slots_percent_max: 10,
            seconds_per_task_max: 3,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            internal_failures_max: 4,
            storage_failures_max: 10,
            storage_backoff: Backoff { first: Duration::from_millis(500), max: Duration::from_secs(30) },
            exhausted_workers_max: 8,
            exhausted_waits_max: 3,
            exhausted_backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) },
            lost_workers_in_a_row_max: 3,
            unreadable_outputs_max: 10,
        }
    }
}
