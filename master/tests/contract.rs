//! A master as clients, workers and browsers meet it, without any worker that runs something.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail their test")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use hearth_common::{
    ByteSize, Compression, CsvOptions, ENGINE_VERSION, InputFormat, InputSpec, JobSettings, JobSpec, JobState, OnError,
    OutputFormat, OutputMode, OutputSpec, PROTOCOL, WorkerId,
};
use hearth_master::{MasterConfig, RunningMaster, StandbyMaster, StartError};
use hearth_proto::convert::{NotActive, SubmitJob, epoch_of};
use hearth_proto::wire;
use hearth_proto::wire::control_service_client::ControlServiceClient;
use hearth_proto::wire::job_service_client::JobServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

type Jobs = JobServiceClient<Channel>;

fn config(root: &tempfile::TempDir) -> MasterConfig {
    let free = "127.0.0.1:0".parse().unwrap();
    MasterConfig { rpc: free, http: free, state_dir: root.path().join("state"), ..MasterConfig::default() }
}

async fn start(root: &tempfile::TempDir) -> (RunningMaster, Jobs) {
    let master = RunningMaster::start(config(root)).await.unwrap();
    let client = JobServiceClient::new(channel(&master).await);
    (master, client)
}

async fn channel(master: &RunningMaster) -> Channel {
    Endpoint::from_shared(format!("http://{}", master.rpc_address())).unwrap().connect().await.unwrap()
}

/// A job that needs a worker: it waits, and so stays as it is.
fn waiting_job(root: &tempfile::TempDir, name: &str) -> JobSpec {
    let path = root.path().join("in.csv");
    // Another job may be reading it.
    if !path.exists() {
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
    }
    let input = InputSpec {
        paths: vec![path.to_str().unwrap().to_owned()],
        format: InputFormat::Csv(CsvOptions::default()),
        compression: hearth_common::InputCompression::Auto,
        schema: None,
        on_error: OnError::Fail,
    };
    JobSpec {
        name: name.to_owned(),
        query: "SELECT a, count(*) AS n FROM t GROUP BY a".to_owned(),
        inputs: BTreeMap::from([("t".to_owned(), input)]),
        output: None,
        settings: JobSettings::default(),
    }
}

fn output(path: &std::path::Path, mode: OutputMode) -> OutputSpec {
    OutputSpec {
        path: path.to_str().unwrap().to_owned(),
        format: OutputFormat::Parquet,
        mode,
        partition_by: Vec::new(),
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(64),
    }
}

fn submission(key: &str, spec: &JobSpec) -> wire::SubmitRequest {
    let idempotency_key = (!key.is_empty()).then(|| key.to_owned());
    SubmitJob { idempotency_key, spec: spec.clone() }.into()
}

fn of(job_id: &str) -> wire::GetJobRequest {
    wire::GetJobRequest { job_id: job_id.to_owned() }
}

/// Follows a job until `until` holds or it ended.
async fn follow(client: &mut Jobs, job: &str, until: impl Fn(&wire::Job) -> bool) -> wire::Job {
    let mut states = client.watch_job(of(job)).await.unwrap().into_inner();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(30), states.message()).await.unwrap().unwrap();
        let state = next.expect("the stream ended early");
        if until(&state) || state.state().as_str_name().ends_with("FAILED") {
            return state;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_submissions_make_one_job() {
    let root = tempfile::tempdir().unwrap();
    let (master, client) = start(&root).await;
    let spec = waiting_job(&root, "once");
    let submits: Vec<_> = (0..1000)
        .map(|_| {
            let (mut client, request) = (client.clone(), submission("the-key", &spec));
            tokio::spawn(async move { client.submit(request).await.unwrap().into_inner() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    let mut first = 0;
    for submit in submits {
        let answer = submit.await.unwrap();
        first += u32::from(!answer.existed);
        ids.insert(answer.job_id);
    }
    assert_eq!((ids.len(), first), (1, 1));
    let mut client = client;
    let listed = client.list_jobs(wire::ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.jobs.len(), 1);
    let other = submission("the-key", &waiting_job(&root, "another"));
    assert_eq!(client.submit(other).await.unwrap_err().code(), Code::AlreadyExists);
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_for_workers_and_can_be_cancelled() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let submitted = client.submit(submission("", &waiting_job(&root, "waits"))).await.unwrap().into_inner();
    let waiting = follow(&mut client, &submitted.job_id, |job| job.waiting_for.as_deref() == Some("workers")).await;
    assert_eq!(waiting.state(), wire::JobState::Running);
    let cancelled = client.cancel_job(of(&submitted.job_id)).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), wire::JobState::Cancelled);
    let again = client.cancel_job(of(&submitted.job_id)).await.unwrap().into_inner();
    assert_eq!(again.state(), wire::JobState::Cancelled);
    let request = wire::FetchResultRequest { job_id: submitted.job_id, format: wire::ResultFormat::Json.into() };
    assert_eq!(client.fetch_result(request).await.unwrap_err().code(), Code::FailedPrecondition);
    let unknown = of("00000000-0000-0000-0000-000000000000");
    assert_eq!(client.get_job(unknown).await.unwrap_err().code(), Code::NotFound);
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_at_once() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let base = waiting_job(&root, "refused");
    let existing = root.path().join("existing");
    std::fs::create_dir(&existing).unwrap();
    let with = |path: &std::path::Path, mode| JobSpec { output: Some(output(path, mode)), ..base.clone() };
    let relative = with(std::path::Path::new("out"), OutputMode::Error);
    for (spec, code, text) in [
        (JobSpec { query: " ".to_owned(), ..base.clone() }, Code::InvalidArgument, "job has no query"),
        (with(&existing, OutputMode::Error), Code::FailedPrecondition, "mode = \"overwrite\" or mode = \"append\""),
        (with(root.path(), OutputMode::Overwrite), Code::InvalidArgument, "would delete the input"),
        (with(&root.path().join("in.csv"), OutputMode::Append), Code::FailedPrecondition, "is a file"),
        (relative, Code::InvalidArgument, "it is relative"),
    ] {
        let status = client.submit(submission("", &spec)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    }
    let mut old = submission("", &base);
    old.protocol = 0;
    assert_eq!(client.submit(old).await.unwrap_err().code(), Code::InvalidArgument);
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_plan_is_a_failed_job() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let mut spec = waiting_job(&root, "bad");
    spec.query = "SELECT nope FROM t".to_owned();
    spec.output = Some(output(&root.path().join("out"), OutputMode::Error));
    let submitted = client.submit(submission("", &spec)).await.unwrap().into_inner();
    let failed = follow(&mut client, &submitted.job_id, |_| false).await;
    assert_eq!(failed.state(), wire::JobState::Failed);
    assert!(failed.failure.is_some() && failed.finished_ms.is_some());
    master.stop().await;
    assert!(!root.path().join("out").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_newest_first_and_survive_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let spec = waiting_job(&root, &format!("job {number}"));
        ids.push(client.submit(submission(&format!("key {number}"), &spec)).await.unwrap().into_inner().job_id);
    }
    ids.reverse();
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListJobsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_jobs(request).await.unwrap().into_inner();
        assert!(page.jobs.len() <= 2);
        found.extend(page.jobs.into_iter().map(|job| job.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ids);
    master.stop().await;

    let (master, mut client) = start(&root).await;
    let listed = client.list_jobs(wire::ListJobsRequest::default()).await.unwrap().into_inner().jobs;
    assert_eq!(listed.iter().map(|job| job.id.clone()).collect::<Vec<_>>(), ids);
    assert!(listed.iter().all(|job| job.finished_ms.is_none() && job.failure.is_none()), "they go on: {listed:?}");
    let again = client.submit(submission("key 0", &waiting_job(&root, "job 0"))).await.unwrap().into_inner();
    assert!(again.existed && again.job_id == ids[4], "keys are remembered");
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_the_history_of_their_jobs() {
    let root = tempfile::tempdir().unwrap();
    let config = || MasterConfig { jobs_kept_max: 1, ..config(&root) };
    let mut master = RunningMaster::start(config()).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..3 {
        let mut client = JobServiceClient::new(channel(&master).await);
        let spec = waiting_job(&root, &format!("job {number}"));
        let id = client.submit(submission(&format!("key {number}"), &spec)).await.unwrap().into_inner().job_id;
        client.cancel_job(of(&id)).await.unwrap();
        follow(&mut client, &id, |job| job.state() == wire::JobState::Cancelled).await;
        ids.push(id);
        master.stop().await;
        master = RunningMaster::start(config()).await.unwrap();
    }
    let mut client = JobServiceClient::new(channel(&master).await);
    let listed = client.list_jobs(wire::ListJobsRequest::default()).await.unwrap().into_inner().jobs;
    assert_eq!(listed.iter().map(|job| &job.id).collect::<Vec<_>>(), [&ids[2]], "one ended job is kept");
    for (number, id) in ids.iter().enumerate() {
        let spec = waiting_job(&root, &format!("job {number}"));
        let again = client.submit(submission(&format!("key {number}"), &spec)).await.unwrap().into_inner();
        assert!(again.existed && again.job_id == *id, "key {number} is remembered");
        let other =
            client.submit(submission(&format!("key {number}"), &waiting_job(&root, "other"))).await.unwrap_err();
        assert_eq!(other.code(), Code::AlreadyExists);
    }
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stays_cancelled() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let id = client.submit(submission("", &waiting_job(&root, "job"))).await.unwrap().into_inner().job_id;
    follow(&mut client, &id, |job| job.state() == wire::JobState::Running).await;
    client.cancel_job(of(&id)).await.unwrap();
    master.stop().await;
    let (master, mut client) = start(&root).await;
    let job = client.get_job(of(&id)).await.unwrap().into_inner();
    assert_eq!(job.state(), wire::JobState::Cancelled, "what a client was told is so");
    master.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_masters_do_not_share() {
    let root = tempfile::tempdir().unwrap();
    let (master, _client) = start(&root).await;
    let error = RunningMaster::start(config(&root)).await.unwrap_err();
    assert!(matches!(error, StartError::StateDir(_)), "{error}");
    let taken = MasterConfig { rpc: master.rpc_address(), ..config(&root) };
    let error = RunningMaster::start(taken).await.unwrap_err().to_string();
    assert!(error.contains(&master.rpc_address().to_string()) && error.contains("--rpc"), "{error}");
    master.stop().await;
    RunningMaster::start(config(&root)).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_master_accepts_nothing_and_ends() {
    let root = tempfile::tempdir().unwrap();
    let (mut master, mut client) = start(&root).await;
    let id = client.submit(submission("before", &waiting_job(&root, "job"))).await.unwrap().into_inner().job_id;
    // Somebody takes the next epoch, and this master has not noticed yet.
    std::fs::write(root.path().join("state/epochs/0000000002"), "").unwrap();
    let refused = client.submit(submission("after", &waiting_job(&root, "job"))).await.unwrap_err();
    // It may notice in that very moment, and end with its connections: such a status was made on this side, and has a source.
    let may_be_told_another = refused.code() == Code::Unavailable || refused.source().is_some();
    assert!(may_be_told_another, "another master may take it: {refused}");
    tokio::time::timeout(Duration::from_secs(10), master.wait()).await.expect("it ends by itself");
    assert!(client.get_job(of(&id)).await.is_err(), "and tells nothing any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_names_the_active_master_and_takes_over() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let id = client.submit(submission("key", &waiting_job(&root, "job"))).await.unwrap().into_inner().job_id;
    let standby = StandbyMaster::start(config(&root)).await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", standby.rpc_address())).unwrap();
    let mut waiting = JobServiceClient::new(endpoint.connect().await.unwrap());
    let active = master.rpc_address().to_string();
    let taking_over = tokio::spawn(standby.become_active());
    let told = async {
        loop {
            let refused = waiting.get_job(of(&id)).await.unwrap_err();
            let told = NotActive::of(&refused).expect("a standby says that it is one");
            if let Some(epoch) = told.epoch {
                return (told.active, epoch.number);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert_eq!(told, (Some(active), 1));
    master.stop().await;
    let taken = tokio::time::timeout(Duration::from_secs(10), taking_over).await.unwrap().unwrap().unwrap();
    let mut client = JobServiceClient::new(channel(&taken).await);
    let answer = client.get_master(wire::GetMasterRequest {}).await.unwrap();
    let epoch = epoch_of(answer.metadata()).unwrap();
    assert_eq!((epoch.number, Some(epoch.into())), (2, answer.into_inner().epoch));
    let again = client.submit(submission("key", &waiting_job(&root, "job"))).await.unwrap().into_inner();
    assert_eq!((again.job_id, again.existed), (id, true));
    taken.stop().await;
}

async fn hello(master: &RunningMaster, protocol: u32, version: &str) -> Vec<wire::from_master::Message> {
    let mut client = ControlServiceClient::new(channel(master).await);
    let hello = wire::Hello {
        protocol,
        engine_version: version.to_owned(),
        worker_id: WorkerId::generate().to_string(),
        host: "<b>node</b>".to_owned(),
        shuffle_address: "127.0.0.1:4000".to_owned(),
        slots: 2,
        memory_bytes_max: 1 << 30,
        ..Default::default()
    };
    let message = wire::FromWorker { message: Some(wire::from_worker::Message::Hello(hello)) };
    let goodbye = wire::FromWorker { message: Some(wire::from_worker::Message::Goodbye(wire::Goodbye {})) };
    let mut answers = client.attach(tokio_stream::iter([message, goodbye])).await.unwrap().into_inner();
    let mut received = Vec::new();
    while let Ok(Some(answer)) = answers.message().await {
        received.extend(answer.message);
    }
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn only_workers_of_this_version_are_welcome() {
    use wire::from_master::Message;
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let answers = hello(&master, PROTOCOL, ENGINE_VERSION).await;
    assert!(matches!(answers.first(), Some(Message::Welcome(_))), "{answers:?}");
    for (protocol, version) in [(PROTOCOL + 1, ENGINE_VERSION), (PROTOCOL, "9.9.9")] {
        let answers = hello(&master, protocol, version).await;
        let [Message::Refused(refused)] = &answers[..] else { panic!("{answers:?}") };
        assert!(!refused.retry && refused.reason.contains(version) && refused.reason.contains(ENGINE_VERSION));
    }
    let workers = client.list_workers(wire::ListWorkersRequest {}).await.unwrap().into_inner().workers;
    assert!(workers.len() <= 1, "refused workers are not listed");
    master.stop().await;
}

async fn get(master: &RunningMaster, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(master.http_address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn port_8080_answers() {
    let root = tempfile::tempdir().unwrap();
    let (master, mut client) = start(&root).await;
    let spec = waiting_job(&root, "<script>alert(1)</script>");
    let job = client.submit(submission("", &spec)).await.unwrap().into_inner().job_id;
    follow(&mut client, &job, |job| job.waiting_for.is_some()).await;
    for (path, status, content_type, text) in [
        ("/", 200, "text/html", "<script type=\"module\" src=\"/ui/cluster.js\">"),
        (&format!("/jobs/{job}"), 200, "text/html", "src=\"/ui/job.js\""),
        ("/workers/x", 200, "text/html", "src=\"/ui/worker.js\""),
        ("/ui/style.css", 200, "text/css", "body"),
        ("/ui/cluster.js", 200, "text/javascript", "import"),
        ("/ui/other.js", 404, "problem+json", "no such file"),
        ("/api/v1/openapi.json", 200, "application/json", "\"openapi\":\"3.1.0\""),
        ("/healthz", 200, "text/plain", "ok"),
        ("/readyz", 200, "text/plain", "ready"),
        ("/metrics", 200, "openmetrics-text", "hearth_jobs_submitted_total 1"),
        ("/api/v1/jobs", 200, "application/json", "\"submitted_at\":\"20"),
        ("/api/v1/jobs?state=done", 200, "application/json", "\"jobs\":[]"),
        ("/api/v1/jobs?state=gone", 400, "problem+json", "`gone` is not a state"),
        ("/api/v1/jobs?pagesize=1", 400, "problem+json", "pagesize"),
        ("/api/v1/jobs?page_token=x", 400, "problem+json", "page_token"),
        ("/api/v1/jobs/x", 400, "problem+json", "`x` is not a valid job id"),
        ("/api/v1/workers", 200, "application/json", "\"workers\":[]"),
        ("/nothing", 404, "problem+json", "\"status\":404"),
        (&format!("/api/v1/jobs/{job}"), 200, "application/json", "\"stages\":[{"),
        (&format!("/api/v1/jobs/{job}/stages/0/tasks"), 200, "application/json", "\"state\":\"waiting\""),
        (&format!("/api/v1/jobs/{job}/stages/99/tasks"), 404, "problem+json", "no stage 99"),
    ] {
        let (found, head, body) = get(&master, path).await;
        assert_eq!(found, status, "{path}: {body}");
        assert!(head.contains(content_type) && body.contains(text), "{path}: {head}\n{body}");
        for header in
            ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "x-frame-options: deny"]
        {
            assert!(head.contains(header), "{path}: {head}");
        }
        // Pages come without any text of users: their scripts ask for it. What those make of it is for tests in a browser.
        assert!(!body.contains("alert(1)") || !content_type.contains("html"), "{path}: {body}");
        assert!(!body.contains("<script>") || !content_type.contains("html"), "{path}: {body}");
        assert!(!head.contains("unsafe"), "the content security policy takes no script or style from a page: {head}");
    }
    let state = client.get_job(of(&job)).await.unwrap().into_inner().state();
    assert_eq!(state.as_str_name(), format!("JOB_STATE_{}", JobState::Running.name().to_uppercase()));
    master.stop().await;
}
