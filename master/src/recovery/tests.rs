//! What a master finds in the store, and what it makes of it.

use std::collections::BTreeMap;
use std::path::Path;

use hearth_common::{
    ByteSize, Compression, JobDetails, JobId, JobSettings, JobSpec, OutputFile, OutputFormat, OutputMode, OutputSpec,
};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::snapshot::tests::job;

const JOB: JobId = JobId::from_u128(7);

fn accepted(output: &Path) -> AcceptedJob {
    let output = OutputSpec {
        path: output.to_str().unwrap().to_owned(),
        format: OutputFormat::Parquet,
        mode: OutputMode::Error,
        partition_by: Vec::new(),
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(64),
    };
    let spec = JobSpec {
        name: "nightly".to_owned(),
        query: "SELECT 1".to_owned(),
        inputs: BTreeMap::new(),
        output: Some(output),
        settings: JobSettings::default(),
    };
    AcceptedJob { id: JOB, key: Some("key".to_owned()), spec, submitted_ms: 5 }
}

fn settler(store: &Store, storage: &Storage) -> Settler {
    // Nobody hears what is told: no test is about that.
    let (inputs, _) = tokio::sync::mpsc::channel(8);
    Settler::new((store, storage), &inputs, (&TaskTracker::new(), &CancellationToken::new()))
}

/// A store with one job, whose attempt left one file in staging.
struct Scene {
    root: tempfile::TempDir,
    store: Store,
    accepted: AcceptedJob,
    intent: CommitIntent,
}

impl Scene {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let accepted = accepted(&root.path().join("out"));
        let (store, _) = Store::open(&root.path().join("jobs.redb"), None).unwrap();
        store.accept(&accepted).await.unwrap();
        let file = OutputFile {
            staged: "attempt".to_owned(),
            directory: String::new(),
            extension: "parquet".to_owned(),
            rows: 2,
            bytes: 4,
        };
        let intent = CommitIntent::new(JOB, accepted.spec.output.as_ref().unwrap(), &[file]).unwrap();
        let attempts = intent.staging().unwrap().attempts();
        std::fs::create_dir_all(attempts.local_path().unwrap()).unwrap();
        std::fs::create_dir(intent.staging().unwrap().data().local_path().unwrap()).unwrap();
        std::fs::write(attempts.join("attempt").local_path().unwrap(), "rows").unwrap();
        Self { root, store, accepted, intent }
    }

    async fn begin_commit(&self) {
        let staging = self.intent.staging().unwrap();
        commit::begin(&*Storage::default().commit_fs(staging.destination()), &self.intent).await.unwrap();
        self.store.record_intent(&self.intent).await.unwrap();
    }

    /// Restarts, twice: what was settled stays settled.
    async fn check(self, state: JobState, is_visible: bool) -> JobStatus {
        let path = self.root.path().join("jobs.redb");
        let mut store = self.store;
        let mut statuses = Vec::new();
        for _ in 0..2 {
            store.close().await;
            let stored;
            (store, stored) = Store::open(&path, None).unwrap();
            let was_over = stored.jobs[0].ended.is_some();
            let Recovered { history, settled, resumed } =
                recover(&settler(&store, &Storage::default()), stored).await.unwrap();
            assert!(resumed.jobs.is_empty());
            assert_eq!(history.len(), 1);
            let told: Vec<_> = settled.iter().map(|status| (**status).clone()).collect();
            let news = if was_over { &[] } else { std::slice::from_ref(&history[0].status) };
            assert_eq!(told, news, "the start that settles a job tells its trace, and no other");
            assert_eq!(history[0].key.as_deref(), Some("key"));
            statuses.push(history[0].status.clone());
        }
        assert_eq!(statuses[0], statuses[1]);
        let status = statuses.remove(0);
        assert_eq!(status.state, state, "{status:?}");
        assert_eq!(self.root.path().join("out/_SUCCESS").exists(), is_visible);
        assert!(!self.root.path().join(".hearth-staging").exists());
        assert_eq!(self.accepted.id, status.id);
        status
    }
}

#[tokio::test]
async fn a_job_that_was_not_planned_goes_on() {
    let Scene { root, store, accepted, .. } = Scene::new().await;
    store.close().await;
    let (store, stored) = Store::open(&root.path().join("jobs.redb"), None).unwrap();
    let Recovered { history, settled, resumed } = recover(&settler(&store, &Storage::default()), stored).await.unwrap();
    assert!(history.is_empty() && settled.is_empty());
    let [job] = &resumed.jobs[..] else { panic!("{resumed:?}") };
    assert_eq!(job.accepted, accepted);
    assert!(job.plan.is_none());
    assert!(root.path().join(".hearth-staging").exists(), "what attempts wrote is kept");
}

#[tokio::test]
async fn a_commit_that_is_carried_through_tells_what_its_master_would_have() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    let mut closing = (*job(7, JobState::Done)).clone();
    closing.attempts.launched = 17;
    let committing = StateChange { state: JobState::Committing, since_ms: 3 };
    closing.details = Some(Box::new(JobDetails { states: vec![committing], ..JobDetails::default() }));
    scene.store.write(vec![record::closing(&closing).unwrap()]).await.unwrap();
    let status = scene.check(JobState::Done, true).await;
    let details = status.details.unwrap();
    assert_eq!((status.attempts.launched, details.attempts_left_out), (17, 17));
    let end = StateChange { state: JobState::Done, since_ms: status.finished_ms.unwrap() };
    assert_eq!(details.states, [committing, end]);
}

#[tokio::test]
async fn a_commit_that_was_begun_is_carried_through() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    let status = scene.check(JobState::Done, true).await;
    let output = status.output.unwrap();
    assert_eq!((output.files, output.rows, output.bytes), (1, 2, 4));
}

#[tokio::test]
async fn a_commit_that_was_published_but_not_recorded_is_done() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    let fs = Storage::default().commit_fs(scene.intent.staging().unwrap().destination());
    commit::roll_forward(&*fs, &scene.intent).await.unwrap();
    scene.check(JobState::Done, true).await;
}

#[tokio::test]
async fn a_commit_that_cannot_be_is_failed_and_taken_back() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    std::fs::create_dir(scene.root.path().join("out")).unwrap();
    let status = scene.check(JobState::Failed, false).await;
    assert!(status.failure.unwrap().to_string().contains("exists"));
}

#[tokio::test]
async fn a_stored_result_is_kept() {
    let scene = Scene::new().await;
    scene.store.record_committed(JOB, &Committed::Result).await.unwrap();
    assert!(scene.check(JobState::Done, false).await.has_result);
}

#[tokio::test]
async fn an_ended_job_is_left_alone() {
    let scene = Scene::new().await;
    let staging = Staging::of(JOB, &scene.accepted.spec.output.as_ref().unwrap().path).unwrap();
    commit::clean_up(&*Storage::default().commit_fs(staging.destination()), &staging).await.unwrap();
    let mut ended = (*job(7, JobState::Cancelled)).clone();
    ended.finished_ms = Some(9);
    scene.store.record_end(&ended).await.unwrap();
    assert_eq!(scene.check(JobState::Cancelled, false).await, ended);
}

#[tokio::test]
async fn what_is_visible_of_a_job_that_was_told_failed_is_taken_back() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    let fs = Storage::default().commit_fs(scene.intent.staging().unwrap().destination());
    commit::roll_forward(&*fs, &scene.intent).await.unwrap();
    assert!(scene.root.path().join("out/_SUCCESS").exists());
    let mut told = (*job(7, JobState::Failed)).clone();
    told.finished_ms = Some(9);
    scene.store.record_end(&told).await.unwrap();
    assert_eq!(scene.check(JobState::Failed, false).await, told);
}

#[tokio::test]
async fn traces_of_a_job_that_was_told_done_are_removed_and_its_output_stays() {
    let scene = Scene::new().await;
    scene.begin_commit().await;
    let fs = Storage::default().commit_fs(scene.intent.staging().unwrap().destination());
    commit::roll_forward(&*fs, &scene.intent).await.unwrap();
    let mut told = (*job(7, JobState::Done)).clone();
    told.finished_ms = Some(9);
    scene.store.record_end(&told).await.unwrap();
    assert_eq!(scene.check(JobState::Done, true).await, told);
}
