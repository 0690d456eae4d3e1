//! The commit under crashes: a crash before or after every single step, then a replay, for every mode and both ways to swap.

mod crash_fs;
mod two_masters;

use std::collections::BTreeMap;
use std::path::Path;

use hearth_common::{InputRecords, JobId, OutputMode, OutputStatus};
use hearth_storage::{LocalCommitFs, Location};

use super::*;
use crash_fs::{CrashFs, Swap, When};

const JOB: JobId = JobId::from_u128(0x1234);

/// A destination, an old output in it or not, and a job's staged files.
struct Scene {
    root: tempfile::TempDir,
    intent: CommitIntent,
}

impl Scene {
    fn new(mode: OutputMode, has_old: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let destination = Location::parse(root.path().to_str().unwrap()).unwrap().join("reports/out");
        let file = |number: u32, directory: &str, bytes: u64| IntendedFile {
            staged: format!("attempt-{number}"),
            target: format!("{directory}part-{number:05}-{JOB}.parquet"),
            rows: 10,
            bytes,
        };
        let files = vec![file(0, "", 3), file(1, "day=1/", 5), file(2, "day=2/", 0)];
        let rejects = Some(IntendedFile {
            staged: "rejects".to_owned(),
            target: format!("_rejects/rejects-{JOB}.parquet"),
            rows: 2,
            bytes: 7,
        });
        let inputs = vec![InputRecords { input: "actions".to_owned(), records: 32, used: 30, rejected: 2 }];
        let intent =
            CommitIntent { job: JOB, destination: destination.url(), mode, files, rejects, inputs, claims: Vec::new() };
        let mut scene = Self { root, intent };
        let staging = scene.intent.staging().unwrap();
        std::fs::create_dir_all(staging.data().local_path().unwrap()).unwrap();
        for file in scene.intent.all_files() {
            write(
                staging.attempts().join(&file.staged).local_path().unwrap(),
                &vec![b'n'; usize::try_from(file.bytes).unwrap()],
            );
        }
        write(staging.attempts().join("loser").local_path().unwrap(), b"a loser's file");
        scene.intent = scene.intent.claimed();
        if has_old {
            write(destination.join("part-old").local_path().unwrap(), b"old");
            write(destination.join("day=1/part-old").local_path().unwrap(), b"old");
            write(destination.join("_rejects/rejects-old.parquet").local_path().unwrap(), b"old rejects");
            write(destination.join("_SUCCESS").local_path().unwrap(), b"");
        }
        scene
    }

    /// What a reader finds: visible files and their sizes.
    fn visible(&self) -> BTreeMap<String, u64> {
        visible(self.intent.staging().unwrap().destination().local_path().unwrap())
    }

    fn expected(&self, has_old: bool) -> BTreeMap<String, u64> {
        let keeps_old = self.intent.mode == OutputMode::Append && has_old;
        let mut files: BTreeMap<String, u64> =
            self.intent.files.iter().map(|file| (file.target.clone(), file.bytes)).collect();
        if keeps_old {
            files.extend(old());
        }
        files
    }

    /// Rejects beside the rows: names and sizes.
    fn rejects(&self) -> BTreeMap<String, u64> {
        visible(&self.root.path().join("reports/out/_rejects"))
    }

    fn expected_rejects(&self, has_old: bool) -> BTreeMap<String, u64> {
        let keeps_old = self.intent.mode == OutputMode::Append && has_old;
        let new = (format!("rejects-{JOB}.parquet"), 7);
        std::iter::once(new).chain(keeps_old.then(old_rejects)).collect()
    }

    fn has_staging(&self) -> bool {
        self.root.path().join("reports/.hearth-staging").exists()
    }
}

fn old() -> BTreeMap<String, u64> {
    BTreeMap::from([("part-old".to_owned(), 3), ("day=1/part-old".to_owned(), 3)])
}

fn old_rejects() -> (String, u64) {
    ("rejects-old.parquet".to_owned(), 11)
}

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Readers skip names that begin with `_` or `.`.
fn visible(directory: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return files };
    for entry in entries.map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if entry.path().is_dir() {
            files.extend(visible(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            files.insert(name, entry.metadata().unwrap().len());
        }
    }
    files
}

async fn commit_all(fs: &dyn CommitFs, intent: &CommitIntent) -> Result<(), CommitError> {
    begin(fs, intent).await?;
    roll_forward(fs, intent).await?;
    clean_up(fs, &intent.staging()?).await
}

/// Crashes at every step in turn until none is left, replays, and compares what readers see before and after.
async fn check_crashes(mode: OutputMode, has_old: bool, swap: Swap) {
    let mut steps = 0;
    loop {
        for when in [When::Before, When::After] {
            let scene = Scene::new(mode, has_old);
            begin(&CrashFs::steady(swap), &scene.intent).await.unwrap();
            let crashing = CrashFs::new(swap, steps, when);
            let outcome = roll_forward(&crashing, &scene.intent).await;
            if !crashing.has_crashed() {
                outcome.unwrap();
                assert_eq!(scene.visible(), scene.expected(has_old));
                assert_eq!(scene.rejects(), scene.expected_rejects(has_old));
                assert!(steps > 5, "only {steps} steps");
                return;
            }
            let context = format!("{mode:?}, old: {has_old}, {swap:?}, crash {when:?} step {steps}");
            let seen = scene.visible();
            let has_none = seen == if has_old { old() } else { BTreeMap::new() };
            let has_old_rejects = scene.rejects() == BTreeMap::from_iter(has_old.then(old_rejects));
            let moved_aside = mode == OutputMode::Overwrite && matches!(swap, Swap::MoveAside) && seen.is_empty();
            let is_partial_append = mode == OutputMode::Append;
            assert!(
                has_none || seen == scene.expected(has_old) || moved_aside || is_partial_append,
                "{context}: {seen:?}"
            );
            let goes_with_rows = if has_none { has_old_rejects } else { !has_old_rejects || seen.is_empty() };
            assert!(goes_with_rows || is_partial_append, "{context}: {:?} beside {seen:?}", scene.rejects());
            // The next master replays; it may crash in its turn, so it replays twice.
            let replay = CrashFs::steady(swap);
            for _ in 0..2 {
                roll_forward(&replay, &scene.intent).await.unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(scene.visible(), scene.expected(has_old), "{context}");
                assert_eq!(scene.rejects(), scene.expected_rejects(has_old), "{context}");
            }
            clean_up(&replay, &scene.intent.staging().unwrap()).await.unwrap();
            assert_eq!(scene.visible(), scene.expected(has_old), "{context}");
            assert!(!scene.has_staging(), "{context}");
        }
        steps += 1;
    }
}

#[tokio::test]
async fn a_crash_at_any_step_is_rolled_forward() {
    check_crashes(OutputMode::Error, false, Swap::Exchange).await;
    for swap in [Swap::Exchange, Swap::MoveAside] {
        for has_old in [false, true] {
            check_crashes(OutputMode::Overwrite, has_old, swap).await;
        }
    }
    for has_old in [false, true] {
        check_crashes(OutputMode::Append, has_old, Swap::Exchange).await;
    }
}

/// Crashes at every step in turn, then takes the commit back instead of forward, also where it was published and nobody heard of it.
async fn check_taken_back(mode: OutputMode, has_old: bool, swap: Swap) {
    let (before, rejects) = if has_old { (old(), vec![old_rejects()]) } else { Default::default() };
    let rejects = BTreeMap::from_iter(rejects);
    for steps in 0.. {
        for when in [When::Before, When::After] {
            let context = format!("{mode:?}, old: {has_old}, {swap:?}, crash {when:?} step {steps}");
            let scene = Scene::new(mode, has_old);
            let steady = CrashFs::steady(swap);
            begin(&steady, &scene.intent).await.unwrap();
            let crashing = CrashFs::new(swap, steps, when);
            let _ = roll_forward(&crashing, &scene.intent).await;
            // Whoever takes it back claims it anew, may crash in its turn, and begins again.
            let intent = scene.intent.clone().claimed();
            for again in 0..3 {
                let _ = roll_back(&CrashFs::new(swap, again, when), &intent).await;
            }
            roll_back(&steady, &intent).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!((scene.visible(), scene.rejects()), (before.clone(), rejects.clone()), "{context}");
            clean_up(&steady, &intent.staging().unwrap()).await.unwrap();
            assert_eq!((scene.visible(), scene.rejects()), (before.clone(), rejects.clone()), "{context}");
            assert!(!scene.has_staging(), "{context}");
            if !crashing.has_crashed() {
                assert!(steps > 5, "only {steps} steps");
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_commit_that_is_taken_back_leaves_the_old_output_as_it_was() {
    check_taken_back(OutputMode::Error, false, Swap::Exchange).await;
    for swap in [Swap::Exchange, Swap::MoveAside] {
        for has_old in [false, true] {
            check_taken_back(OutputMode::Overwrite, has_old, swap).await;
        }
    }
    for has_old in [false, true] {
        check_taken_back(OutputMode::Append, has_old, Swap::Exchange).await;
    }
}

#[tokio::test]
async fn an_output_that_exists_is_never_touched() {
    let scene = Scene::new(OutputMode::Error, true);
    let error = commit_all(&LocalCommitFs, &scene.intent).await.unwrap_err();
    assert!(matches!(error, CommitError::Exists { .. }), "{error}");
    assert!(error.to_string().contains("mode = \"overwrite\" or mode = \"append\""), "{error}");
    assert_eq!(scene.visible(), old());
}

#[tokio::test]
async fn what_was_not_recorded_is_not_published() {
    for (name, content) in [("data/part-99999-x.parquet", "stranger"), ("attempts/attempt-1", "wrong size")] {
        let scene = Scene::new(OutputMode::Error, false);
        write(scene.intent.staging().unwrap().unclaimed().root().join(name).local_path().unwrap(), content.as_bytes());
        let error = commit_all(&LocalCommitFs, &scene.intent).await.unwrap_err();
        assert!(matches!(error, CommitError::Mismatch { .. }), "{name}: {error}");
        assert_eq!(scene.visible(), BTreeMap::new());
    }
    let scene = Scene::new(OutputMode::Error, false);
    let attempts = scene.intent.staging().unwrap().unclaimed().attempts();
    std::fs::remove_file(attempts.join("attempt-2").local_path().unwrap()).unwrap();
    let error = commit_all(&LocalCommitFs, &scene.intent).await.unwrap_err();
    assert!(error.to_string().contains("`attempt-2` is missing"), "{error}");
}

#[tokio::test]
async fn an_empty_output_is_an_output() {
    for mode in [OutputMode::Error, OutputMode::Overwrite, OutputMode::Append] {
        let mut scene = Scene::new(mode, false);
        scene.intent.files.clear();
        (scene.intent.rejects, scene.intent.inputs) = (None, Vec::new());
        commit_all(&LocalCommitFs, &scene.intent).await.unwrap();
        let seal = scene.root.path().join("reports/out/_SUCCESS");
        let seal: serde_json::Value = serde_json::from_slice(&std::fs::read(seal).unwrap()).unwrap();
        let job = JOB.to_string();
        let expected = serde_json::json!({
            "job": job, "rows": 0, "files": 0, "bytes": 0, "inputs": [], "rejects": null
        });
        assert_eq!(seal, expected);
        assert!(!scene.has_staging());
    }
}

#[tokio::test]
async fn an_output_tells_its_figures() {
    let scene = Scene::new(OutputMode::Overwrite, true);
    commit_all(&LocalCommitFs, &scene.intent).await.unwrap();
    let path = scene.root.path().join("reports/out").display().to_string();
    let below = format!("_rejects/rejects-{JOB}.parquet");
    let rejects = Some(format!("{path}/{below}"));
    assert_eq!(scene.intent.output(), OutputStatus { path, files: 3, rows: 30, bytes: 8, rejects });
    let seal = std::fs::read(scene.root.path().join("reports/out/_SUCCESS")).unwrap();
    let seal: serde_json::Value = serde_json::from_slice(&seal).unwrap();
    assert_eq!(seal["rejects"], serde_json::json!(below));
    let inputs = serde_json::json!([{ "input": "actions", "records": 32, "used": 30, "rejected": 2 }]);
    assert_eq!(seal["inputs"], inputs);
}

#[tokio::test]
async fn a_file_is_not_overwritten() {
    for mode in [OutputMode::Overwrite, OutputMode::Append] {
        let scene = Scene::new(mode, false);
        let path = scene.root.path().join("reports/out");
        std::fs::write(&path, "mine").unwrap();
        let error = commit_all(&LocalCommitFs, &scene.intent).await.unwrap_err();
        assert!(matches!(error, CommitError::NotADirectory { .. } | CommitError::Storage(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
