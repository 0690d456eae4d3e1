//! Reads the whole store, once, when a master starts. A record that does not fit is an error: nothing is guessed.

use std::collections::BTreeMap;
use std::str::FromStr;

use hearth_common::{AttemptId, JobId, JobStatus, StageId, TaskId};
use hearth_scheduler::{JobFacts, StageFacts, TaskFacts};
use serde::de::DeserializeOwned;

use super::StoreError;
use super::file::{StoreFile, Table};
use super::record::{AcceptedJob, Committed, KeyRecord, ReportRecord, Stored, StoredJob, StoredPlan, WorkerRecord};
use crate::commit::CommitIntent;
use crate::planner::PlanRecord;

/// Reads everything. Records of other tables without a job are left over from a job that was forgotten.
pub(super) fn load(file: &StoreFile) -> Result<Stored, StoreError> {
    let mut intents = read_jobs::<CommitIntent>(file, Table::Intents)?;
    let mut committed = read_jobs::<Committed>(file, Table::Committed)?;
    let mut ended = read_jobs::<JobStatus>(file, Table::Ended)?;
    let mut closing = read_jobs::<JobStatus>(file, Table::Closing)?;
    let mut plans = load_plans(file)?;
    let accepted = read_jobs::<AcceptedJob>(file, Table::Jobs)?;
    let jobs = accepted.into_iter().map(|(id, accepted)| StoredJob {
        intent: intents.remove(&id),
        committed: committed.remove(&id),
        ended: ended.remove(&id),
        closing: closing.remove(&id),
        plan: plans.remove(&id),
        accepted,
    });
    let jobs = jobs.collect();
    let workers = file.read_all(Table::Workers)?;
    let workers = workers.iter().map(|(key, value)| decode::<WorkerRecord>(Table::Workers, key, value));
    let keys = file.read_all(Table::Keys)?.into_iter().map(|(key, value)| {
        let record = decode::<KeyRecord>(Table::Keys, &key, &value)?;
        Ok((key, record))
    });
    Ok(Stored { jobs, workers: workers.collect::<Result<_, _>>()?, keys: keys.collect::<Result<_, _>>()? })
}

fn load_plans(file: &StoreFile) -> Result<BTreeMap<JobId, StoredPlan>, StoreError> {
    let mut plans = BTreeMap::new();
    for (job, record) in read_jobs::<PlanRecord>(file, Table::Plans)? {
        let plan = StoredPlan {
            record,
            programs: Vec::new(),
            facts: JobFacts::default(),
            stages: Vec::new(),
            tasks: Vec::new(),
            reports: Vec::new(),
        };
        plans.insert(job, plan);
    }
    for (job, facts) in read_jobs::<JobFacts>(file, Table::JobFacts)? {
        if let Some(plan) = plans.get_mut(&job) {
            plan.facts = facts;
        }
    }
    for (key, value) in file.read_all(Table::Programs)? {
        let (job, [stage]) = split_key(Table::Programs, &key)?;
        if let Some(plan) = plans.get_mut(&job) {
            // They come in the order of their stages.
            while plan.programs.len() < stage as usize {
                plan.programs.push(None);
            }
            plan.programs.push(Some(value));
        }
    }
    for (key, value) in file.read_all(Table::StageFacts)? {
        let (job, [stage]) = split_key(Table::StageFacts, &key)?;
        let facts = decode::<StageFacts>(Table::StageFacts, &key, &value)?;
        plans.get_mut(&job).into_iter().for_each(|plan| plan.stages.push((StageId(stage), facts.clone())));
    }
    for (key, value) in file.read_all(Table::TaskFacts)? {
        let (job, [stage, partition]) = split_key(Table::TaskFacts, &key)?;
        if let Some(plan) = plans.get_mut(&job) {
            plan.tasks.push(((StageId(stage), partition), decode::<TaskFacts>(Table::TaskFacts, &key, &value)?));
        }
    }
    for (key, value) in file.read_all(Table::Reports)? {
        let (job, [stage, partition, attempt]) = split_key(Table::Reports, &key)?;
        let attempt = AttemptId { task: TaskId { job, stage: StageId(stage), partition }, attempt };
        if let Some(plan) = plans.get_mut(&job) {
            plan.reports.push((attempt, decode::<ReportRecord>(Table::Reports, &key, &value)?));
        }
    }
    Ok(plans)
}

fn read_jobs<T: DeserializeOwned>(file: &StoreFile, table: Table) -> Result<BTreeMap<JobId, T>, StoreError> {
    let records = file.read_all(table)?;
    let read = |(key, value): (String, Vec<u8>)| {
        let (job, []) = split_key(table, &key)?;
        Ok((job, decode(table, &key, &value)?))
    };
    records.into_iter().map(read).collect()
}

/// A job, and the numbers after it.
fn split_key<const N: usize>(table: Table, key: &str) -> Result<(JobId, [u32; N]), StoreError> {
    let wrong = |problem: String| damaged(table, key, problem);
    let mut parts = key.split('/');
    let job = parts.next().unwrap_or_default();
    let job = JobId::from_str(job).map_err(|error| wrong(error.to_string()))?;
    let numbers = parts.map(str::parse).collect::<Result<Vec<u32>, _>>().map_err(|error| wrong(error.to_string()))?;
    let numbers =
        numbers.try_into().map_err(|numbers: Vec<u32>| wrong(format!("its key has {} numbers", numbers.len())))?;
    Ok((job, numbers))
}

fn decode<T: DeserializeOwned>(table: Table, key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| damaged(table, key, error.to_string()))
}

fn damaged(table: Table, key: &str, problem: String) -> StoreError {
    StoreError::Damaged { what: table.name(), key: key.to_owned(), problem }
}
