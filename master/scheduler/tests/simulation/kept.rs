//! The store of the simulation: the last facts about everything, and what a restarted master makes a scheduler of.

use std::collections::BTreeMap;

use hearth_common::{JobId, StageId, WorkerId};
use hearth_scheduler::{
    Changes, Effect, Event, JobFacts, JobGraph, Millis, Restored, RestoredJob, RestoredPlan, RestoredWorker,
    StageFacts, TaskFacts,
};

use crate::plan::JobPlan;

/// What is stored.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    jobs: BTreeMap<JobId, KeptJob>,
    workers: BTreeMap<WorkerId, Vec<String>>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct KeptJob {
    sequence: u64,
    submitted: Millis,
    graph: Option<JobGraph>,
    facts: JobFacts,
    stages: BTreeMap<StageId, StageFacts>,
    tasks: BTreeMap<(StageId, u32), TaskFacts>,
}

impl Kept {
    /// What an event alone tells: submissions, plans and workers.
    pub(crate) fn keep_event(&mut self, now: u64, event: &Event) {
        match event {
            Event::JobSubmitted { job, .. } => {
                self.sequence += 1;
                let (sequence, submitted) = (self.sequence, Millis(now));
                self.jobs.entry(*job).or_insert(KeptJob { sequence, submitted, ..KeptJob::default() });
            }
            Event::JobPlanned { job, graph } => {
                if let Some(kept) = self.jobs.get_mut(job).filter(|kept| kept.graph.is_none()) {
                    kept.graph = Some(graph.clone());
                }
            }
            Event::WorkerConnected { worker, names, .. } => {
                self.workers.entry(*worker).or_insert_with(|| names.clone());
            }
            Event::Restored(_)
            | Event::PlanFailed { .. }
            | Event::InputsRefused { .. }
            | Event::CancelRequested { .. }
            | Event::Heartbeat { .. }
            | Event::WorkerDisconnected { .. }
            | Event::WorkerDraining { .. }
            | Event::WorkerGone { .. }
            | Event::AttemptFinished { .. }
            | Event::AttemptFailed { .. }
            | Event::CommitEnded { .. }
            | Event::Tick => {}
        }
    }

    pub(crate) fn keep_effect(&mut self, effect: &Effect) {
        if let Effect::JobEnded { job, .. } | Effect::RejectJob { job, .. } = effect {
            self.jobs.remove(job);
        }
        // One that is lost already said hello again.
        if let Effect::FenceWorker { worker } = effect {
            self.workers.remove(worker);
        }
    }

    pub(crate) fn keep(&mut self, changes: Changes) {
        for (job, facts) in changes.jobs {
            self.jobs.entry(job).or_default().facts = facts;
        }
        for (job, stage, facts) in changes.stages {
            self.jobs.entry(job).or_default().stages.insert(stage, facts);
        }
        for (task, facts) in changes.tasks {
            self.jobs.entry(task.job).or_default().tasks.insert((task.stage, task.partition), facts);
        }
        for worker in changes.lost_workers {
            self.workers.remove(&worker);
        }
    }

    pub(crate) fn forget(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    pub(crate) fn has(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    pub(crate) fn is_planned(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|kept| kept.graph.is_some())
    }

    pub(crate) fn restored(&self, plans: &BTreeMap<JobId, JobPlan>) -> Restored {
        let mut jobs: Vec<_> = self.jobs.iter().collect();
        jobs.sort_by_key(|(_, kept)| kept.sequence);
        let restored = |(id, kept): (&JobId, &KeptJob)| RestoredJob {
            job: *id,
            limits: plans[id].limits,
            submitted: kept.submitted,
            plan: kept.graph.clone().map(|graph| RestoredPlan {
                graph,
                job: kept.facts.clone(),
                stages: kept.stages.iter().map(|(stage, facts)| (*stage, facts.clone())).collect(),
                tasks: kept.tasks.iter().map(|(task, facts)| (*task, facts.clone())).collect(),
            }),
        };
        let workers = self.workers.iter();
        Restored {
            workers: workers.map(|(worker, names)| RestoredWorker { worker: *worker, names: names.clone() }).collect(),
            jobs: jobs.into_iter().map(restored).collect(),
        }
    }
}
