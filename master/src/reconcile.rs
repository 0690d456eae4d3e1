//! What became of the records of a job's inputs: those of the winners added up, each task once, and compared with the limits.

use std::collections::BTreeMap;

use hearth_common::{
    AttemptRecords, FailureCause, FoundReject, InputRecords, InputStatus, JobSpec, OnError, Reject, RejectLimit,
};
use hearth_plan::WinnerRejects;
use hearth_scheduler::{JobView, KnownStart, TaskView, Winner};

use crate::jobs::Job;

/// The records of a job whose tasks are all done.
#[derive(Debug, Default)]
pub(crate) struct Reconciliation {
    /// By input.
    pub inputs: Vec<InputStatus>,
    /// The rejects of each winner that has some, in the order of the tasks.
    pub rejects: Vec<WinnerRejects>,
}

impl Job {
    /// Adds up what the winners told.
    pub(crate) fn reconcile(&self, view: &JobView<'_>) -> Result<Reconciliation, FailureCause> {
        let of_input = |input: &String| {
            let records = InputRecords { input: input.clone(), ..InputRecords::default() };
            (input.clone(), InputStatus { records, first_rejects: Vec::new() })
        };
        let mut inputs: BTreeMap<String, InputStatus> = self.spec.inputs.keys().map(of_input).collect();
        let mut rejects = Vec::new();
        for task in view.stages().flat_map(|stage| stage.tasks()) {
            // A task whose output was lost and not needed again still gave the rows that others read.
            let Some(Winner { attempt, .. }) = task.last_winner() else { continue };
            let records = self.records.get(&attempt).ok_or_else(|| {
                FailureCause::internal(format!("attempt {attempt} won, but never reported its records"))
            })?;
            let needs_lines = !records.first.is_empty() || records.file.is_some();
            let lines_before = if needs_lines { lines_before(&task) } else { LinesBefore::new() };
            add(&mut inputs, records, &lines_before)?;
            rejects.extend(records.file.clone().map(|file| WinnerRejects { file, lines_before }));
        }
        Ok(Reconciliation { inputs: inputs.into_values().collect(), rejects })
    }
}

/// Lines before the first record of each link.
pub(crate) type LinesBefore = BTreeMap<u32, u64>;

pub(crate) fn lines_before(task: &TaskView<'_>) -> LinesBefore {
    task.known_starts().map(|KnownStart { link, start }| (link, start.line.saturating_sub(1))).collect()
}

pub(crate) fn add(
    inputs: &mut BTreeMap<String, InputStatus>,
    told: &AttemptRecords,
    lines_before: &LinesBefore,
) -> Result<(), FailureCause> {
    for counts in &told.inputs {
        let unknown = || FailureCause::internal(format!("an attempt read the unknown input `{}`", counts.input));
        let sum = &mut inputs.get_mut(&counts.input).ok_or_else(unknown)?.records;
        sum.records += counts.records;
        sum.used += counts.used;
        sum.rejected += counts.rejected;
    }
    for found in &told.first {
        let Some(status) = inputs.get_mut(&found.input) else { continue };
        let reject = with_true_line(found, lines_before);
        // An input that is read twice has its rejects twice.
        if status.first_rejects.len() < AttemptRecords::FIRST_MAX && !status.first_rejects.contains(&reject) {
            status.first_rejects.push(reject);
        }
    }
    Ok(())
}

fn with_true_line(found: &FoundReject, lines_before: &LinesBefore) -> Reject {
    let mut reject = found.reject.clone();
    let before = found.link.map_or(Some(0), |link| lines_before.get(&link).copied());
    reject.place.line = reject.place.line.zip(before).map(|(line, before)| line.saturating_add(before));
    reject
}

impl Reconciliation {
    /// Fails for the first input with more rejects than it may have.
    pub(crate) fn check_limits(&self, spec: &JobSpec) -> Result<(), FailureCause> {
        let exceeded = self.inputs.iter().find_map(|status| {
            let InputRecords { input, records, rejected, .. } = &status.records;
            match spec.inputs.get(input)?.on_error {
                OnError::Reject(limit) if limit.is_exceeded(*records, *rejected) => Some((status, limit)),
                OnError::Reject(_) | OnError::Fail => None,
            }
        });
        match exceeded {
            Some(exceeded) => Err(too_many(exceeded, Reading::Done)),
            None => Ok(()),
        }
    }
}

/// Whether there is more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Done,
    GoesOn,
}

pub(crate) fn too_many((status, limit): (&InputStatus, RejectLimit), reading: Reading) -> FailureCause {
    let InputRecords { input, records, rejected, .. } = &status.records;
    let first: Vec<String> = status.first_rejects.iter().map(ToString::to_string).collect();
    let (so_far, whatever) = match reading {
        Reading::Done => ("", ""),
        Reading::GoesOn => (" read so far", ", whatever the rest holds"),
    };
    FailureCause::task(format!(
        "input `{input}` has {rejected} rejects among {records} records{so_far}, more than max_rejects = {limit}{whatever}; \
         the first: {}",
        first.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use hearth_common::{CsvOptions, InputFormat, InputSpec, JobSettings, Place};

    use super::*;

    fn spec(on_error: OnError) -> JobSpec {
        let format = InputFormat::Csv(CsvOptions::default());
        let input = InputSpec {
            paths: vec!["/in".to_owned()],
            format,
            compression: hearth_common::InputCompression::Auto,
            schema: None,
            on_error,
        };
        JobSpec {
            name: "job".to_owned(),
            query: "SELECT 1".to_owned(),
            inputs: BTreeMap::from([("t".to_owned(), input)]),
            output: None,
            settings: JobSettings::default(),
        }
    }

    fn reject(line: u64) -> Reject {
        let place = Place { file: "f.csv".to_owned(), line: Some(line), ..Place::default() };
        Reject { place, reason: "it is bad".to_owned() }
    }

    #[test]
    fn a_limit_that_is_exceeded_fails_the_job_with_the_first_places() {
        let records = InputRecords { input: "t".to_owned(), records: 100, used: 98, rejected: 2 };
        let status = InputStatus { records, first_rejects: vec![reject(3), reject(5)] };
        let settled = Reconciliation { inputs: vec![status], rejects: Vec::new() };
        for limit in [RejectLimit::Records(2), RejectLimit::Millionths(20_000)] {
            assert_eq!(settled.check_limits(&spec(OnError::Reject(limit))), Ok(()));
        }
        let error = settled.check_limits(&spec(OnError::Reject(RejectLimit::Millionths(19_999)))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "input `t` has 2 rejects among 100 records, more than max_rejects = 1.9999%; the first: it is bad (at f.csv, \
             line 3); it is bad (at f.csv, line 5)"
        );
    }

    #[test]
    fn rejects_of_an_input_that_is_read_twice_are_shown_once() {
        let records = InputRecords { input: "t".to_owned(), records: 10, used: 8, rejected: 2 };
        let found = |line| FoundReject { input: "t".to_owned(), link: None, reject: reject(line) };
        let told = |lines: [u64; 2]| AttemptRecords {
            inputs: vec![records.clone()],
            first: lines.map(found).to_vec(),
            ..AttemptRecords::default()
        };
        let none = InputRecords { input: "t".to_owned(), ..InputRecords::default() };
        let mut inputs = BTreeMap::from([("t".to_owned(), InputStatus { records: none, first_rejects: Vec::new() })]);
        for lines in [[3, 5], [3, 5], [7, 9]] {
            add(&mut inputs, &told(lines), &LinesBefore::new()).unwrap();
        }
        let status = &inputs["t"];
        assert_eq!(status.first_rejects, [3, 5, 7].map(reject));
        assert_eq!(status.records.rejected, 6, "they count each time");
    }

    #[test]
    fn lines_are_counted_from_the_links_true_start() {
        let found = |link| FoundReject { input: "t".to_owned(), link, reject: reject(3) };
        let lines = LinesBefore::from([(4, 100)]);
        assert_eq!(with_true_line(&found(Some(4)), &lines).place.line, Some(103));
        assert_eq!(with_true_line(&found(None), &lines).place.line, Some(3));
        assert_eq!(with_true_line(&found(Some(5)), &lines).place.line, None, "better none than a wrong one");
    }
}
