//! What the owner of the scheduler keeps of a job besides: what was asked, how it was planned, what its attempts left.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_common::{
    Asked, AttemptCounts, AttemptId, AttemptRecords, FailedAttempt, FailureCause, InferredInput, InputStatus,
    JobDetails, JobId, JobSpec, JobState, JobStatus, LocalityCounts, OutputFile, OutputStatus, ShuffleSource, StageId,
    StateChange, WorkerId,
};
use hearth_scheduler::{FinalOutput, JobGraph, Launch, ShuffleInputs, Winner};

use crate::event_loop::Told;
use crate::figures::Figures;
use crate::ledger::Ledger;
use crate::operators::Operators;
use crate::planner::PlannedStage;
use crate::store::{AcceptedJob, Committed};
use crate::tally::Tally;
use crate::workers::{LaunchParts, Sources, WorkerRegistry};

/// A job that has not ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub id: JobId,
    pub spec: Arc<JobSpec>,
    pub submitted_ms: u64,
    pub started_ms: Option<u64>,
    pub plan: Option<Plan>,
    pub figures: Figures,
    /// What the operators of its plan did, for people.
    pub operators: Operators,
    /// Its attempts, for people.
    pub ledger: Ledger,
    /// What pages tell besides.
    pub details: Arc<JobDetails>,
    /// What became of its attempts, as the scheduler last counted.
    pub attempts: AttemptCounts,
    /// Where these were launched.
    pub locality: LocalityCounts,
    /// Output files by the attempt that reported them; only a winner's are ever used.
    pub files: BTreeMap<AttemptId, Vec<OutputFile>>,
    /// What attempts told of the records that they read; only a winner's are ever used.
    pub records: BTreeMap<AttemptId, AttemptRecords>,
    /// What they amount to so far.
    pub tally: Tally,
    /// What became of the records of the inputs, once its tasks are done.
    pub inputs: Vec<InputStatus>,
    /// What was inferred about them.
    pub inferred: Vec<InferredInput>,
    /// Why its planning or commit waits for HDFS.
    pub waits_because: Option<String>,
    pub committed: Option<Committed>,
    /// A commit failed in a way that needs its staging to be kept until that is settled.
    pub keeps_staging: bool,
    /// What was told of it in its log.
    pub told: Told,
}

/// A job's stages, as planned.
#[derive(Debug)]
pub(crate) struct Plan {
    pub stages: Vec<Arc<PlannedStage>>,
    pub final_output: FinalOutput,
    /// The sources of each stage that is being launched; rebuilt only when a winner changed.
    sources: BTreeMap<StageId, CachedSources>,
}

#[derive(Debug)]
struct CachedSources {
    inputs: Vec<ShuffleInputs>,
    sources: Arc<Sources>,
}

impl Job {
    pub(crate) fn new(accepted: AcceptedJob) -> Self {
        Self {
            id: accepted.id,
            details: Arc::new(first_details(&accepted)),
            tally: Tally::new(&accepted.spec),
            ledger: Ledger::default(),
            spec: Arc::new(accepted.spec),
            submitted_ms: accepted.submitted_ms,
            started_ms: None,
            plan: None,
            figures: Figures::default(),
            operators: Operators::default(),
            attempts: AttemptCounts::default(),
            locality: LocalityCounts::default(),
            waits_because: None,
            files: BTreeMap::new(),
            records: BTreeMap::new(),
            inputs: Vec::new(),
            inferred: Vec::new(),
            committed: None,
            keeps_staging: false,
            told: Told::default(),
        }
    }

    /// The parts of a launch, or `None` for a stage that was not planned.
    pub(crate) fn launch_parts(&mut self, launch: Launch, workers: &WorkerRegistry) -> Option<LaunchParts> {
        let plan = self.plan.as_mut()?;
        let stage_id = launch.attempt.task.stage;
        let stage = Arc::clone(plan.stages.get(stage_id.0 as usize)?);
        let sources = plan.sources_of(stage_id, launch.inputs, workers);
        let Launch { worker, attempt, merged, starts, .. } = launch;
        Some(LaunchParts { worker, attempt, stage, merged, sources, starts })
    }

    /// The files of the winners, in the order of their tasks.
    pub(crate) fn winners_files(&self, winners: &[Winner]) -> Result<Vec<OutputFile>, FailureCause> {
        let mut files = Vec::new();
        for Winner { attempt, .. } in winners {
            let reported = self.files.get(attempt).ok_or_else(|| {
                FailureCause::internal(format!("attempt {attempt} won, but never reported its output files"))
            })?;
            files.extend(reported.iter().cloned());
        }
        Ok(files)
    }

    /// Notes its state, and since when it has it.
    pub(crate) fn note_state(&mut self, state: JobState, since_ms: u64) {
        if self.details.states.last().is_none_or(|last| last.state != state) {
            Arc::make_mut(&mut self.details).states.push(StateChange { state, since_ms });
        }
    }

    /// Notes where a worker that it uses is.
    pub(crate) fn note_host(&mut self, worker: WorkerId, host: Option<&str>) {
        if let Some(host) = host
            && !self.details.hosts.contains_key(&worker)
        {
            Arc::make_mut(&mut self.details).hosts.insert(worker, host.to_owned());
        }
    }

    /// Its details, once it has ended.
    pub(crate) fn close(self, state: JobState, failure: Option<&FailureCause>, now_ms: u64) -> JobDetails {
        let failed = failure.and_then(|cause| self.ledger.failed_of(cause));
        let failed_in = failed.map(|(stage, partition, attempt, worker)| {
            let planned = self.plan.as_ref().and_then(|plan| plan.stages.get(stage.0 as usize));
            let reads = planned.map(|planned| planned.describe_inputs(partition)).unwrap_or_default();
            FailedAttempt { stage, partition, attempt, worker, reads }
        });
        let mut details = Arc::unwrap_or_clone(self.details);
        details.states.push(StateChange { state, since_ms: now_ms });
        details.failed_in = failed_in;
        details.operators = self.operators.to_kept();
        if state != JobState::Done {
            details.output_files.clear();
        }
        let launched = self.attempts.launched;
        self.ledger.close(&mut details, now_ms);
        // The ledger knows none that ended under the master before.
        let unknown = launched.saturating_sub(details.attempts.len() as u64);
        details.attempts_left_out = details.attempts_left_out.max(unknown);
        details
    }

    /// Tells which input splits a poisoned task read.
    pub(crate) fn describe(&self, mut cause: FailureCause) -> FailureCause {
        if let FailureCause::Poison { stage, partition, input, .. } = &mut cause
            && input.is_empty()
            && let Some(planned) = self.plan.as_ref().and_then(|plan| plan.stages.get(stage.0 as usize))
        {
            *input = planned.describe_inputs(*partition);
        }
        cause
    }

    /// The output, once it is committed.
    pub(crate) fn output(&self) -> Option<OutputStatus> {
        match &self.committed {
            Some(Committed::Output(output)) => Some(output.clone()),
            Some(Committed::Result) | None => None,
        }
    }

    /// What it waits for outside the cluster, for people.
    pub(crate) fn waiting_for(&self) -> Option<String> {
        let because = self.waits_because.as_deref().or_else(|| self.figures.waits_because());
        because.map(waits_for_hdfs)
    }

    /// The status of a job of which nothing is known but its submission.
    pub(crate) fn initial_status(&self) -> JobStatus {
        JobStatus {
            id: self.id,
            name: self.spec.name.clone(),
            state: JobState::Queued,
            waiting_for: None,
            submitted_ms: self.submitted_ms,
            started_ms: self.started_ms,
            finished_ms: None,
            failure: None,
            stages: Vec::new(),
            metrics: self.figures.total(),
            output: self.output(),
            has_result: self.committed == Some(Committed::Result),
            attempts: self.attempts,
            query: self.spec.query.clone(),
            inputs: self.inputs.clone(),
            inferred: self.inferred.clone(),
            locality: self.locality,
            details: None,
        }
    }
}

fn first_details(accepted: &AcceptedJob) -> JobDetails {
    let JobSpec { inputs, output, settings, .. } = &accepted.spec;
    let asked = Asked { inputs: inputs.clone(), output: output.clone(), settings: settings.clone() };
    let queued = StateChange { state: JobState::Queued, since_ms: accepted.submitted_ms };
    JobDetails { states: vec![queued], asked: Some(asked), ..JobDetails::default() }
}

impl Plan {
    pub(crate) fn new(graph: &JobGraph, stages: Vec<PlannedStage>) -> Self {
        Self {
            final_output: graph.final_output(),
            stages: stages.into_iter().map(Arc::new).collect(),
            sources: BTreeMap::new(),
        }
    }

    fn sources_of(&mut self, stage: StageId, inputs: Vec<ShuffleInputs>, workers: &WorkerRegistry) -> Arc<Sources> {
        if let Some(cached) = self.sources.get(&stage)
            && is_same(&cached.inputs, &inputs)
        {
            return Arc::clone(&cached.sources);
        }
        let sources =
            Arc::new(inputs.iter().map(|input| (input.stage, addressed(input, workers))).collect::<Sources>());
        self.sources.insert(stage, CachedSources { inputs, sources: Arc::clone(&sources) });
        sources
    }
}

/// Winner lists are shared between the launches of a stage, so the same list is the same allocation.
fn is_same(one: &[ShuffleInputs], other: &[ShuffleInputs]) -> bool {
    let same = |(a, b): (&ShuffleInputs, &ShuffleInputs)| a.stage == b.stage && Arc::ptr_eq(&a.winners, &b.winners);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

fn addressed(input: &ShuffleInputs, workers: &WorkerRegistry) -> Vec<ShuffleSource> {
    let source = |winner: &Winner| ShuffleSource {
        partition: winner.attempt.task.partition,
        attempt: winner.attempt.attempt,
        worker: winner.worker,
        address: workers.shuffle_address(winner.worker).to_owned(),
    };
    input.winners.iter().map(source).collect()
}
/// As people are told that a job waits for HDFS.
pub(crate) fn waits_for_hdfs(because: &str) -> String {
    format!("HDFS: {because}")
}
