//! Every message survives the wire, and what must not come in does not.

use hearth_common::{
    FileCompression, FoundReject, InputRecords, InputSplit, JobSpec, LeafInput, LeafKey, LinkEnd, LinkSpan,
    OPERATOR_NAME_BYTES_MAX, OPERATORS_MAX, OperatorWork, Place, RecordStart, Reject, RejectsFile, ShuffleInput,
    ShuffleSource, SplitLink, StageId, TaskId,
};

use super::*;
use crate::wire;

const JOB: JobId = JobId::from_u128(7);
const EPOCH: Epoch = Epoch { cluster: hearth_common::ClusterId::from_u128(3), number: 12 };
const WORKER: WorkerId = WorkerId::from_u128(9);
const ATTEMPT: AttemptId = AttemptId { task: TaskId { job: JOB, stage: StageId(2), partition: 3 }, attempt: 4 };

fn file() -> OutputFile {
    OutputFile {
        staged: "part-2-00003-4-0.parquet".into(),
        directory: "day=2026-01-15/name=a%2Fb".into(),
        extension: "parquet".into(),
        rows: 5,
        bytes: 6,
    }
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        engine_version: "0.1.0".into(),
        worker: WORKER,
        host: "node1".into(),
        shuffle_address: "[::1]:4000".into(),
        slots: 2,
        memory_bytes_max: 1 << 30,
        attempts: vec![ATTEMPT],
        shuffle_outputs: vec![ATTEMPT, ATTEMPT],
        token: String::new(),
        names: vec!["node1.example".into(), "10.0.0.1".into()],
        epoch: Some(EPOCH),
    }
}

fn report(outcome: ReportOutcome) -> WorkerMessage {
    let metrics = AttemptMetrics { input_rows: 1, elapsed_ms: 2, ..AttemptMetrics::default() };
    let (scans, records, operators) = (scans(), records(), vec![operator("ScanExec")]);
    WorkerMessage::Report(Report { attempt: ATTEMPT, metrics, outcome, scans, records, operators })
}

fn operator(name: &str) -> OperatorRun {
    let work = OperatorWork { rows: 1, compute_us: 2, waited_us: 3, spills: 4, spilled_bytes: 5, memory_bytes: 6 };
    OperatorRun { depth: 1, name: name.to_owned(), work }
}

fn records() -> AttemptRecords {
    let place = Place { file: "f.csv".into(), line: Some(3), byte: Some(40), column: Some("a".into()) };
    let reject = Reject { place, reason: "it has 3 fields".into() };
    AttemptRecords {
        inputs: vec![InputRecords { input: "actions".into(), records: 12, used: 10, rejected: 2 }],
        first: vec![FoundReject { input: "actions".into(), link: Some(0), reject }],
        file: Some(RejectsFile { staged: "rejects-0-00003-4.parquet".into(), rows: 2, bytes: 900 }),
    }
}

/// One of an attempt that was told where its link starts, one of an attempt that guessed, one that ended in an error.
fn scans() -> Vec<LinkScan> {
    let span = |start, end| LinkSpan { start, end: Some(LinkEnd { byte: end, lines: 7 }) };
    vec![
        LinkScan { link: 0, read: span(5, 9), quoted: None },
        LinkScan { link: 1, read: span(10, 10), quoted: Some(span(12, u64::MAX)) },
        LinkScan { link: u32::MAX, read: LinkSpan { start: 6, end: None }, quoted: None },
    ]
}

fn split(link: Option<SplitLink>) -> InputSplit {
    let compression = FileCompression::None;
    InputSplit { url: "file:///a.csv".into(), file_bytes: 10, modified_ms: -1, compression, start: 2, end: 9, link }
}

fn known(byte: u64) -> SplitLink {
    SplitLink { number: 8, known: Some(RecordStart { byte, line: 3 }) }
}

fn launch() -> LaunchOrder {
    let guessed = SplitLink { number: 7, known: None };
    let splits = [None, Some(guessed), Some(known(2)), Some(known(10))].map(split);
    let source = ShuffleSource { partition: 1, attempt: 0, worker: WORKER, address: "127.0.0.1:1".into() };
    let shuffle = ShuffleInput { stage: StageId(0), first: 1, end: 4, sources: vec![source] };
    LaunchOrder {
        attempt: ATTEMPT,
        program: Bytes::from_static(b"program"),
        program_xxh3: 11,
        inputs: TaskInputs::from([
            (LeafKey { leaf: 0, partition: 3 }, LeafInput::Splits(splits.into())),
            (LeafKey { leaf: 1, partition: 3 }, LeafInput::Shuffle(shuffle)),
        ]),
    }
}

#[test]
fn worker_messages_round_trip() {
    let cause = FailureCause::task("bad");
    let messages = [
        WorkerMessage::Hello(hello()),
        WorkerMessage::Heartbeat(Heartbeat {
            progress: vec![AttemptProgress {
                attempt: ATTEMPT,
                metrics: AttemptMetrics::default(),
                waiting_for: Some("HDFS".into()),
            }],
            memory_bytes_used: 1,
            disk_bytes_free: 2,
        }),
        report(ReportOutcome::Shuffle { partition_bytes: vec![1, 0, 3] }),
        report(ReportOutcome::Output { files: vec![file()] }),
        report(ReportOutcome::Failed(cause)),
        WorkerMessage::Draining,
        WorkerMessage::Goodbye,
    ];
    for message in messages {
        assert_eq!(WorkerMessage::try_from(wire::FromWorker::from(message.clone())), Ok(message));
    }
}

#[test]
fn master_messages_round_trip() {
    let messages = [
        MasterMessage::Welcome {
            heartbeat_interval: Duration::from_secs(2),
            lease: Duration::from_secs(10),
            epoch: EPOCH,
        },
        MasterMessage::Refused { reason: "another version".into(), retry: false },
        MasterMessage::Launch(launch()),
        MasterMessage::Cancel(ATTEMPT),
        MasterMessage::Ack(ATTEMPT),
        MasterMessage::RemoveShuffle { job: JOB, attempt: None },
        MasterMessage::RemoveShuffle { job: JOB, attempt: Some(ATTEMPT) },
        MasterMessage::Fenced,
        MasterMessage::MayLeave,
        MasterMessage::SourceAbsent { source: WORKER, absence: Absence::Silent },
        MasterMessage::SourceAbsent { source: WORKER, absence: Absence::Lost },
        MasterMessage::Drain,
    ];
    for message in messages {
        assert_eq!(MasterMessage::try_from(wire::FromMaster::from(message.clone())), Ok(message));
    }
}

fn check_refused<W, T: TryFrom<W, Error = ConvertError> + std::fmt::Debug>(wire: W, field: &str) {
    let error = T::try_from(wire).expect_err(field);
    assert_eq!(error.field, field, "{error}");
}

#[test]
fn refuses_what_must_not_come_in() {
    check_refused::<_, WorkerMessage>(wire::FromWorker::default(), "message");
    let names = vec!["a".to_owned(); NAMES_MAX + 1];
    check_refused::<_, Hello>(wire::Hello { names, ..hello().into() }, "names");
    check_refused::<_, Hello>(wire::Hello { names: vec!["a".repeat(256)], ..hello().into() }, "names");
    check_refused::<_, AttemptProgress>(
        wire::AttemptProgress {
            attempt: Some(ATTEMPT.into()),
            metrics: Some(AttemptMetrics::default().into()),
            waiting_for: Some("x".repeat(WAITING_BYTES_MAX + 1)),
        },
        "waiting_for",
    );
    check_refused::<_, Hello>(wire::Hello { slots: 0, ..hello().into() }, "slots");
    check_refused::<_, Hello>(wire::Hello { worker_id: "../x".into(), ..hello().into() }, "worker_id");
    for address in ["", "host", "host:", ":1", "host:0", "host:65536", "http://h:1", "a b:1"] {
        check_refused::<_, Hello>(wire::Hello { shuffle_address: address.into(), ..hello().into() }, "shuffle_address");
    }
    for staged in ["", ".", "..", "a/b", "../x", "/x", "a\0b", &"x".repeat(256)] {
        check_refused::<_, OutputFile>(wire::OutputFile { staged: staged.into(), ..file().into() }, "staged");
    }
    for directory in ["/a=b", "a=b/", "a=b/..", "../a=b", "a", "a=b//c=d", "."] {
        check_refused::<_, OutputFile>(wire::OutputFile { directory: directory.into(), ..file().into() }, "directory");
    }
    for extension in ["", "a/b", ".x", "é"] {
        check_refused::<_, OutputFile>(wire::OutputFile { extension: extension.into(), ..file().into() }, "extension");
    }
    let welcome = wire::Welcome { heartbeat_interval_ms: 10, lease_ms: 10, epoch: Some(EPOCH.into()) };
    let message = wire::FromMaster { message: Some(wire::from_master::Message::Welcome(welcome)) };
    check_refused::<_, MasterMessage>(message, "lease_ms");
    let other = wire::RemoveShuffle { job_id: JobId::from_u128(1).to_string(), attempt: Some(ATTEMPT.into()) };
    check_refused::<_, MasterMessage>(other, "attempt");
}

#[test]
fn refuses_inputs_that_make_no_sense() {
    let mut twice = wire::Launch::from(launch());
    twice.leaves.push(twice.leaves[0].clone());
    check_refused::<_, LaunchOrder>(twice, "leaves");
    for (start, end) in [(3, 11), (5, 4)] {
        check_refused::<_, InputSplit>(wire::InputSplit { start, end, ..split(None).into() }, "end");
    }
    // A compressed file has no pieces.
    let gzip = wire::FileCompression::Gzip.into();
    let whole = wire::InputSplit { compression: gzip, start: 0, end: 10, ..split(None).into() };
    assert!(InputSplit::try_from(whole.clone()).is_ok());
    let pieces = [
        wire::InputSplit { start: 1, ..whole.clone() },
        wire::InputSplit { end: 9, ..whole.clone() },
        wire::InputSplit { link: Some(known(2).into()), ..whole.clone() },
        wire::InputSplit { compression: 0, ..whole },
    ];
    pieces.into_iter().for_each(|piece| check_refused::<_, InputSplit>(piece, "compression"));
    for byte in [1, 11] {
        check_refused::<_, InputSplit>(wire::InputSplit::from(split(Some(known(byte)))), "known");
    }
    check_refused::<_, SplitLink>(
        wire::SplitLink { number: 0, known: Some(wire::RecordStart { byte: 3, line: 0 }) },
        "line",
    );
    let shuffle = wire::Shuffle { stage: 0, first: 2, end: 1, sources: vec![] };
    check_refused::<_, ShuffleInput>(shuffle.clone(), "end");
    check_refused::<_, ShuffleInput>(wire::Shuffle { first: 0, end: u32::MAX, ..shuffle }, "end");
}

#[test]
fn refuses_scans_that_make_no_sense() {
    let report = |scans| wire::Report {
        attempt: Some(ATTEMPT.into()),
        metrics: Some(AttemptMetrics::default().into()),
        outcome: Some(ReportOutcome::Output { files: vec![] }.into()),
        scans,
        ..wire::Report::default()
    };
    let good = wire::LinkScan::from(scans()[0]);
    assert!(Report::try_from(report(vec![good; SCANS_MAX])).is_ok());
    check_refused::<_, Report>(report(vec![good; SCANS_MAX + 1]), "scans");
    check_refused::<_, Report>(report(vec![wire::LinkScan { read: None, ..good }]), "read");
    let backwards = Some(wire::LinkSpan { start: 6, end: Some(wire::LinkEnd { byte: 5, lines: 0 }) });
    check_refused::<_, Report>(report(vec![wire::LinkScan { read: backwards, ..good }]), "end");
    check_refused::<_, Report>(report(vec![wire::LinkScan { quoted: backwards, ..good }]), "end");
}

proptest::proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512)) {
        use prost::Message;
        if let Ok(message) = wire::FromWorker::decode(&*bytes) {
            let _ = WorkerMessage::try_from(message);
        }
        if let Ok(message) = wire::FromMaster::decode(&*bytes) {
            let _ = MasterMessage::try_from(message);
        }
    }
}

#[test]
fn refuses_records_that_make_no_sense() {
    let WorkerMessage::Report(good) = report(ReportOutcome::Output { files: vec![] }) else { return };
    let check = |field: &str, spoil: fn(&mut wire::Report)| {
        let mut message = wire::Report::from(good.clone());
        spoil(&mut message);
        check_refused::<_, Report>(message, field);
    };
    check("inputs", |report| report.inputs[0].used = 11);
    check("inputs", |report| report.inputs[0].used = u64::MAX);
    check("inputs", |report| report.inputs = vec![report.inputs[0].clone(); JobSpec::INPUTS_MAX + 1]);
    check("first_rejects", |report| report.first_rejects = vec![report.first_rejects[0].clone(); 4]);
    check("reject", |report| report.first_rejects[0].reject = None);
    check("operators", |report| report.operators = vec![report.operators[0].clone(); OPERATORS_MAX + 1]);
    check("name", |report| report.operators[0].name = "x".repeat(OPERATOR_NAME_BYTES_MAX + 1));
    for name in ["", "..", "a/b", "../../etc/passwd"] {
        let mut message = wire::Report::from(good.clone());
        message.rejects_file = Some(wire::RejectsFile { staged: name.into(), rows: 1, bytes: 1 });
        check_refused::<_, Report>(message, "staged");
    }
}
