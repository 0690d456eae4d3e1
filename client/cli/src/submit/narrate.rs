//! What there is to say about a running job. Pure: statuses in, text out.

use std::collections::BTreeSet;
use std::time::Duration;

use hearth_common::{AttemptMetrics, ByteSize, JobState, JobStatus, StageId, StageStatus};

use crate::figures::{counted, span};
use crate::inferred::inferred;

/// Tells a job's progress in lines: one for each change of state, reason to wait, or stage.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    state: Option<JobState>,
    waiting_for: Option<String>,
    inferred_told: bool,
    stages_begun: BTreeSet<StageId>,
    stages_done: BTreeSet<StageId>,
    in_trouble: bool,
}

impl Narrator {
    /// What is new in `job`.
    pub(super) fn lines(&mut self, job: &JobStatus) -> Vec<String> {
        let mut lines = Vec::new();
        if std::mem::take(&mut self.in_trouble) {
            lines.push("the master answers again".to_owned());
        }
        let is_new_state = self.state.replace(job.state) != Some(job.state);
        if is_new_state && !job.state.is_final() {
            lines.push(job.state.to_string());
        }
        if self.waiting_for != job.waiting_for {
            self.waiting_for.clone_from(&job.waiting_for);
            lines.extend(job.waiting_for.iter().map(|reason| format!("waiting for {reason}")));
        }
        if !job.inferred.is_empty() && !std::mem::replace(&mut self.inferred_told, true) {
            lines.extend(job.inferred.iter().map(inferred));
        }
        for stage in job.stages.iter().filter(|stage| stage.tasks > 0) {
            let done = is_done(stage);
            if stage.tasks_done + stage.tasks_running > 0 && self.stages_begun.insert(stage.id) {
                lines.push(format!(
                    "stage {} begins: {}, {}",
                    stage.id,
                    counted(stage.tasks.into(), "task"),
                    stage.label
                ));
            }
            if done && self.stages_done.insert(stage.id) {
                lines.push(format!("stage {} done: {}", stage.id, work(stage)));
            }
            if !done && self.stages_done.remove(&stage.id) {
                lines.push(format!("stage {} runs again in part: its shuffle output was lost", stage.id));
            }
        }
        // The last stages may be told together with the end, which comes after them.
        if is_new_state && job.state.is_final() {
            lines.push(job.state.to_string());
        }
        lines
    }

    /// The master does not answer; said once per outage.
    pub(super) fn trouble(&mut self, reason: &str) -> Option<String> {
        let first = !std::mem::replace(&mut self.in_trouble, true);
        first.then(|| format!("the master does not answer ({reason}); trying again"))
    }
}

fn work(stage: &StageStatus) -> String {
    let metrics = &stage.metrics;
    let read = metrics.input_rows + metrics.shuffle_read_rows;
    format!("{} read, {} written", counted(read, "row"), counted(metrics.output_rows, "row"))
}

/// Finished tasks and all that are known.
pub(super) fn tasks(job: &JobStatus) -> (u64, u64) {
    let sum = |part: fn(&StageStatus) -> u32| job.stages.iter().map(|stage| u64::from(part(stage))).sum();
    (sum(|stage| stage.tasks_done), sum(|stage| stage.tasks))
}

/// What stands behind the progress bar.
pub(super) fn bar_message(job: &JobStatus, elapsed: Duration) -> String {
    if let Some(reason) = &job.waiting_for {
        return format!("waiting for {reason}");
    }
    let mut sums = AttemptMetrics::default();
    for stage in &job.stages {
        sums.add(&stage.metrics);
    }
    let mut parts = Vec::new();
    if let Some(stage) = job.stages.iter().find(|stage| !is_done(stage)) {
        parts.push(format!("stage {}/{}", stage.id.0 + 1, job.stages.len()));
    }
    if sums.input_rows > 0 {
        parts.push(counted(sums.input_rows, "row"));
    }
    // Later stages read no input, which would only make the speed look smaller and smaller.
    let is_reading = job.stages.iter().any(|stage| stage.metrics.input_rows > 0 && !is_done(stage));
    if is_reading && sums.input_bytes > 0 {
        parts.push(format!("{}/s", ByteSize(per_second(sums.input_bytes, elapsed))));
    }
    let (done, all) = tasks(job);
    if let Some(left) = time_left(done, all, elapsed).filter(|_| is_reading) {
        parts.push(format!("{} left", span(left)));
    }
    parts.join("  ")
}

fn is_done(stage: &StageStatus) -> bool {
    stage.tasks > 0 && stage.tasks_done == stage.tasks
}

fn per_second(amount: u64, elapsed: Duration) -> u64 {
    let ms = elapsed.as_millis().max(1);
    u64::try_from(u128::from(amount) * 1000 / ms).unwrap_or(u64::MAX)
}

/// A guess from the tasks so far; none before a tenth of them is done.
fn time_left(done: u64, all: u64, elapsed: Duration) -> Option<Duration> {
    if done == 0 || done >= all || done * 10 < all {
        return None;
    }
    let ms = elapsed.as_millis() * u128::from(all - done) / u128::from(done);
    u64::try_from(ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use hearth_common::{AttemptCounts, JobId, LocalityCounts};

    use super::*;

    fn stage(tasks: u32, tasks_done: u32, tasks_running: u32) -> StageStatus {
        let metrics =
            AttemptMetrics { input_rows: 1000, input_bytes: 1 << 20, output_rows: 10, ..AttemptMetrics::default() };
        let (id, label, inputs) = (StageId(0), "scan actions".to_owned(), vec![]);
        StageStatus { id, label, tasks, tasks_done, tasks_running, metrics, inputs }
    }

    fn job(state: JobState, stages: Vec<StageStatus>) -> JobStatus {
        JobStatus {
            id: JobId::from_u128(1),
            name: "job".into(),
            state,
            waiting_for: None,
            submitted_ms: 0,
            started_ms: None,
            finished_ms: None,
            failure: None,
            stages,
            metrics: AttemptMetrics::default(),
            output: None,
            has_result: false,
            attempts: AttemptCounts::default(),
            query: String::new(),
            inputs: Vec::new(),
            inferred: Vec::new(),
            locality: LocalityCounts::default(),
            details: None,
        }
    }

    #[test]
    fn tells_changes_once() {
        let mut narrator = Narrator::default();
        let mut check = |job: JobStatus, expected: &[&str]| assert_eq!(narrator.lines(&job), expected);
        let waiting = JobStatus { waiting_for: Some("workers".into()), ..job(JobState::Queued, vec![]) };
        check(waiting.clone(), &["queued", "waiting for workers"]);
        check(waiting, &[]);
        check(job(JobState::Running, vec![stage(4, 0, 0)]), &["running"]);
        check(job(JobState::Running, vec![stage(4, 1, 2)]), &["stage 0 begins: 4 tasks, scan actions"]);
        check(job(JobState::Running, vec![stage(4, 2, 2)]), &[]);
        check(job(JobState::Running, vec![stage(4, 4, 0)]), &["stage 0 done: 1,000 rows read, 10 rows written"]);
        let again = "stage 0 runs again in part: its shuffle output was lost";
        check(job(JobState::Running, vec![stage(4, 3, 1)]), &[again]);
        let last = "stage 0 done: 1,000 rows read, 10 rows written";
        check(job(JobState::Done, vec![stage(4, 4, 0)]), &[last, "done"]);
    }

    #[test]
    fn tells_an_outage_once() {
        let mut narrator = Narrator::default();
        assert!(narrator.trouble("refused").is_some());
        assert_eq!(narrator.trouble("refused"), None);
        assert_eq!(narrator.lines(&job(JobState::Queued, vec![])), ["the master answers again", "queued"]);
        assert!(narrator.trouble("refused").is_some());
    }

    #[test]
    fn the_bar_shows_rows_speed_and_time_left() {
        let running = job(JobState::Running, vec![stage(4, 1, 2)]);
        let message = bar_message(&running, Duration::from_secs(2));
        assert_eq!(message, "stage 1/1  1,000 rows  512KiB/s  6.0 s left");
        assert_eq!(tasks(&running), (1, 4));
    }
}
