//! What is written comes back after the file was closed, however it was closed.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_common::{
    ByteSize, Compression, CsvOptions, InputFormat, InputSpec, JobSettings, JobSpec, JobState, OnError, OutputFormat,
    OutputMode, OutputSpec, OutputStatus,
};

mod damage;

use super::*;
use crate::commit::IntendedFile;
use crate::snapshot::tests::job;
use crate::tenure::{Candidate, Outlook, Reached};

fn spec() -> JobSpec {
    let compression = hearth_common::InputCompression::Auto;
    let input = |format| InputSpec {
        paths: vec!["/in".to_owned()],
        format,
        compression,
        schema: None,
        on_error: OnError::Fail,
    };
    JobSpec {
        name: "daily".to_owned(),
        query: "SELECT 1".to_owned(),
        inputs: BTreeMap::from([
            ("a".to_owned(), input(InputFormat::Csv(CsvOptions::default()))),
            ("b".to_owned(), input(InputFormat::Parquet)),
        ]),
        output: Some(OutputSpec {
            path: "/out".to_owned(),
            format: OutputFormat::Csv,
            mode: OutputMode::Overwrite,
            partition_by: vec!["day".to_owned()],
            compression: Compression::Lz4,
            file_bytes_max: ByteSize::mib(8),
        }),
        settings: JobSettings::default(),
    }
}

fn accepted(id: u128) -> AcceptedJob {
    AcceptedJob { id: JobId::from_u128(id), key: Some(format!("key {id}")), spec: spec(), submitted_ms: 17 }
}

fn intent(id: u128) -> CommitIntent {
    CommitIntent {
        job: JobId::from_u128(id),
        destination: "file:///out".to_owned(),
        mode: OutputMode::Append,
        files: vec![IntendedFile { staged: "s".to_owned(), target: "t".to_owned(), rows: 1, bytes: 2 }],
        rejects: None,
        inputs: vec![],
        claims: vec![],
    }
}

fn committed() -> Committed {
    Committed::Output(OutputStatus { path: "/out".to_owned(), files: 1, rows: 1, bytes: 2, rejects: None })
}

fn stored(id: u128) -> StoredJob {
    StoredJob { accepted: accepted(id), intent: None, committed: None, ended: None, closing: None, plan: None }
}

#[tokio::test]
async fn everything_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("jobs.redb");
    let (store, found) = Store::open(&path, None).unwrap();
    assert!(found.jobs.is_empty());
    for id in 1..=5 {
        store.accept(&accepted(id)).await.unwrap();
    }
    for id in 2..=4 {
        store.record_intent(&intent(id)).await.unwrap();
    }
    store.record_committed(JobId::from_u128(3), &committed()).await.unwrap();
    store.withdraw_intent(JobId::from_u128(4)).await.unwrap();
    store.record_end(&job(4, JobState::Failed)).await.unwrap();
    store.record_end(&job(5, JobState::Done)).await.unwrap();
    store.write(record::forget(&[JobId::from_u128(5)])).await.unwrap();
    store.close().await;
    assert_eq!(store.accept(&accepted(9)).await, Err(StoreError::Closed));

    let (_store, found) = Store::open(&path, None).unwrap();
    let expected = [
        stored(1),
        StoredJob { intent: Some(intent(2)), ..stored(2) },
        StoredJob { committed: Some(committed()), ..stored(3) },
        StoredJob { ended: Some((*job(4, JobState::Failed)).clone()), ..stored(4) },
    ];
    assert_eq!(format!("{:?}", found.jobs), format!("{expected:?}"));
}

#[tokio::test]
async fn many_writers_share_few_transactions() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("jobs.redb");
    let (store, _) = Store::open(&path, None).unwrap();
    let writers: Vec<_> = (0..500)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move { store.accept(&accepted(id)).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    store.close().await;
    assert_eq!(Store::open(&path, None).unwrap().1.jobs.len(), 500);
}

#[tokio::test]
async fn a_file_in_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("jobs.redb");
    let (store, _) = Store::open(&path, None).unwrap();
    assert!(matches!(Store::open(&path, None), Err(StoreError::InUse(_))));
    store.close().await;
}

#[test]
fn the_same_job_has_the_same_hash() {
    assert_eq!(AcceptedJob::hash_of(&spec()), AcceptedJob::hash_of(&spec()));
    let other = JobSpec { query: "SELECT 2".to_owned(), ..spec() };
    assert_ne!(AcceptedJob::hash_of(&spec()), AcceptedJob::hash_of(&other));
}

#[tokio::test]
async fn a_fenced_master_is_told_that_nothing_counts_and_its_successor_has_what_did() {
    let root = tempfile::tempdir().unwrap();
    let candidate = |name: &str| {
        let reached = Reached { rpc: format!("{name}:7077"), http: format!("{name}:8080") };
        Candidate::new(root.path(), reached, Duration::from_millis(300)).unwrap()
    };
    let active = |candidate: &mut Candidate| {
        let look = || {
            std::thread::sleep(Duration::from_millis(50));
            match candidate.look().unwrap() {
                Outlook::Active(tenure, handover) => Some((tenure, handover)),
                Outlook::Waits(_) => None,
            }
        };
        std::iter::repeat_with(look).take(100).flatten().next().expect("it becomes active")
    };
    let open = |tenure: &Tenure, handover| {
        let epoch = tenure.epoch().number;
        hand_over(root.path(), epoch, handover).unwrap();
        Store::open(&store_file(root.path(), epoch), Some(tenure.clone())).unwrap()
    };
    let (first, handover) = active(&mut candidate("one"));
    let (store, _) = open(&first, handover);
    store.accept(&accepted(1)).await.unwrap();

    // It does not know yet that it was fenced, and still has its file.
    let (second, handover) = active(&mut candidate("two"));
    let (next, found) = open(&second, handover);
    assert_eq!(found.jobs.len(), 1);
    assert!(matches!(store.accept(&accepted(2)).await, Err(StoreError::Fenced(_))));
    next.accept(&accepted(3)).await.unwrap();
    next.close().await;
    let (_, found) = Store::open(&store_file(root.path(), 2), None).unwrap();
    let ids: Vec<JobId> = found.jobs.iter().map(|job| job.accepted.id).collect();
    assert_eq!(ids, [JobId::from_u128(1), JobId::from_u128(3)]);
    forget_before(root.path(), 2).unwrap();
    assert!(matches!(store.accept(&accepted(4)).await, Err(StoreError::Fenced(_))), "also without its file");
}
