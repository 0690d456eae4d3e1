//! Everything goes over the wire and back unchanged; what is malformed is refused by the name of its field.

use std::fmt::Debug;

use hearth_common::{
    AttemptCounts, AttemptId, AttemptMetrics, ByteSize, ColumnSpec, Compression, CsvOptions, Encoding, ExtraColumns,
    FailureCause, InferredColumn, InferredInput, InputCompression, InputFormat, InputRecords, InputSpec, InputStatus,
    JobId, JobSettings, JobSpec, JobState, JobStatus, LocalityCounts, MissingColumns, OnError, OutputFormat,
    OutputLoss, OutputMode, OutputSpec, OutputStatus, Place, Priority, Reject, RejectLimit, StageId, StageStatus,
    TaskId, ValueType, WorkerId, WorkerState, WorkerStatus,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire;

fn round_trip<D, W>(value: D) -> Result<(), TestCaseError>
where
    D: Clone + PartialEq + Debug + TryFrom<W>,
    D::Error: Debug,
    W: prost::Message + Default + From<D>,
{
    let bytes = W::from(value.clone()).encode_to_vec();
    let message = W::decode(bytes.as_slice()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let back = D::try_from(message).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
    prop_assert_eq!(back, value);
    Ok(())
}

fn job_id() -> impl Strategy<Value = JobId> {
    any::<u128>().prop_map(JobId::from_u128)
}

fn worker_id() -> impl Strategy<Value = WorkerId> {
    any::<u128>().prop_map(WorkerId::from_u128)
}

fn stage_id() -> impl Strategy<Value = StageId> {
    any::<u32>().prop_map(StageId)
}

fn size() -> impl Strategy<Value = ByteSize> {
    (1..u64::MAX).prop_map(ByteSize)
}

fn attempt_id() -> impl Strategy<Value = AttemptId> {
    (job_id(), stage_id(), any::<u32>(), any::<u32>())
        .prop_map(|(job, stage, partition, attempt)| AttemptId { task: TaskId { job, stage, partition }, attempt })
}

fn metrics() -> impl Strategy<Value = AttemptMetrics> {
    any::<[u64; 9]>().prop_map(|n| AttemptMetrics {
        input_rows: n[0],
        input_bytes: n[1],
        shuffle_read_rows: n[2],
        shuffle_local_bytes: n[3],
        shuffle_remote_bytes: n[4],
        output_rows: n[5],
        output_bytes: n[6],
        spilled_bytes: n[7],
        elapsed_ms: n[8],
    })
}

fn place() -> impl Strategy<Value = Place> {
    any::<(String, Option<u64>, Option<u64>, Option<String>)>().prop_map(|(file, line, byte, column)| Place {
        file,
        line,
        byte,
        column,
    })
}

fn cause() -> impl Strategy<Value = FailureCause> {
    let text = any::<String>;
    prop_oneof![
        (text(), proptest::option::of(place())).prop_map(|(message, place)| FailureCause::Task { message, place }),
        (stage_id(), any::<u32>(), any::<u32>(), worker_id(), any::<bool>(), text()).prop_map(
            |(stage, partition, attempt, worker, is_unreached, message)| FailureCause::LostShuffleOutput {
                stage,
                partition,
                attempt,
                worker,
                loss: if is_unreached { OutputLoss::Unreached } else { OutputLoss::Gone },
                message
            }
        ),
        text().prop_map(|message| FailureCause::OutOfMemory { message }),
        (text(), text()).prop_map(|(directory, message)| FailureCause::DiskFull { directory, message }),
        text().prop_map(|message| FailureCause::Storage { message }),
        text().prop_map(|message| FailureCause::Internal { message }),
        worker_id().prop_map(|worker| FailureCause::WorkerLost { worker }),
        (stage_id(), any::<u32>(), any::<u32>(), text()).prop_map(|(stage, partition, workers, input)| {
            FailureCause::Poison { stage, partition, workers, input }
        }),
        any::<u64>().prop_map(|waited_seconds| FailureCause::NoWorkers { waited_seconds }),
        any::<u64>().prop_map(|limit_seconds| FailureCause::DeadlinePassed { limit_seconds }),
        Just(FailureCause::Cancelled),
        Just(FailureCause::WorkerDrains),
    ]
}

fn csv_options() -> impl Strategy<Value = CsvOptions> {
    let delimiters = prop_oneof![Just(b','), Just(b'\t'), Just(b';')];
    let quotes = prop_oneof![Just(None), Just(Some(b'"')), Just(Some(b'\''))];
    let encodings = prop::sample::select(Encoding::ALL.to_vec());
    let missing = prop_oneof![Just(MissingColumns::Error), Just(MissingColumns::Null)];
    let extra = prop_oneof![Just(ExtraColumns::Error), Just(ExtraColumns::Ignore)];
    let null_values = vec("[A-Z./ -]{0,9}|é{0,32}", 0..5);
    let formats = || proptest::option::of("[%a-zA-Z.é-]{1,64}");
    let record_bytes = CsvOptions::MAX_RECORD_BYTES_MIN.0..=CsvOptions::MAX_RECORD_BYTES_MAX.0;
    let texts = (null_values, formats(), formats());
    (any::<[bool; 4]>(), (delimiters, quotes), encodings, texts, missing, extra, record_bytes).prop_map(
        |([header, escape, comment, trim], (delimiter, quote), encoding, texts, missing, extra, record_bytes)| {
            let (null_values, date_format, timestamp_format) = texts;
            CsvOptions {
                header,
                delimiter,
                quote,
                escape: (escape && quote.is_some()).then_some(b'\\'),
                comment: comment.then_some(b'#'),
                null_values,
                trim,
                encoding,
                date_format,
                timestamp_format,
                missing_columns: missing,
                extra_columns: extra,
                max_record_bytes: ByteSize(record_bytes),
            }
        },
    )
}

fn format() -> impl Strategy<Value = InputFormat> {
    prop_oneof![csv_options().prop_map(InputFormat::Csv), Just(InputFormat::Json), Just(InputFormat::Parquet)]
}

fn column() -> impl Strategy<Value = ColumnSpec> {
    let types = prop_oneof![
        Just(ValueType::String),
        Just(ValueType::Int64),
        Just(ValueType::Timestamp),
        (1..=38_u8).prop_map(|precision| ValueType::Decimal { precision, scale: precision / 2 }),
    ];
    (any::<String>(), types).prop_map(|(name, value_type)| ColumnSpec { name, value_type })
}

fn input() -> impl Strategy<Value = InputSpec> {
    let schema = proptest::option::of(vec(column(), 1..4));
    let compression = prop_oneof![
        Just(InputCompression::Auto),
        Just(InputCompression::None),
        Just(InputCompression::Gzip),
        Just(InputCompression::Bzip2),
        Just(InputCompression::Zstd)
    ];
    let parts = (vec("[a-z/:*]{1,9}", 1..3), format(), compression, schema, on_error());
    parts.prop_map(|(paths, format, compression, schema, on_error)| InputSpec {
        paths,
        schema,
        // Parquet compresses inside.
        compression: if format == InputFormat::Parquet { InputCompression::Auto } else { compression },
        on_error: if matches!(format, InputFormat::Csv(_)) { on_error } else { OnError::Fail },
        format,
    })
}

fn on_error() -> impl Strategy<Value = OnError> {
    prop_oneof![
        Just(OnError::Fail),
        any::<u64>().prop_map(|max| OnError::Reject(RejectLimit::Records(max))),
        (0..=1_000_000_u32).prop_map(|max| OnError::Reject(RejectLimit::Millionths(max))),
    ]
}

fn input_status() -> impl Strategy<Value = InputStatus> {
    let reject = (place(), any::<String>()).prop_map(|(place, reason)| Reject { place, reason });
    (any::<String>(), any::<[u64; 3]>(), vec(reject, 0..3)).prop_map(
        |(input, [records, used, rejected], first_rejects)| InputStatus {
            records: InputRecords { input, records, used, rejected },
            first_rejects,
        },
    )
}

fn inferred() -> impl Strategy<Value = InferredInput> {
    let column = any::<(String, String, Option<u64>)>();
    let column = column.prop_map(|(name, type_name, nulls)| InferredColumn { name, type_name, nulls });
    (any::<String>(), any::<u64>(), vec(column, 0..3)).prop_map(|(input, records, columns)| InferredInput {
        input,
        records,
        columns,
    })
}

fn output() -> impl Strategy<Value = OutputSpec> {
    let formats = prop_oneof![Just(OutputFormat::Parquet), Just(OutputFormat::Csv), Just(OutputFormat::Json)];
    let modes = prop_oneof![Just(OutputMode::Error), Just(OutputMode::Overwrite), Just(OutputMode::Append)];
    let compressions = prop_oneof![
        Just(Compression::Zstd),
        Just(Compression::Snappy),
        Just(Compression::Lz4),
        Just(Compression::None)
    ];
    let file_bytes_max = (1_u64 << 20..u64::MAX).prop_map(ByteSize);
    ("[a-z/]{1,9}", formats, modes, vec("[a-z]{1,5}", 0..3), compressions, file_bytes_max).prop_map(
        |(path, format, mode, partition_by, compression, file_bytes_max)| OutputSpec {
            path,
            format,
            mode,
            partition_by,
            compression,
            file_bytes_max,
        },
    )
}

fn settings() -> impl Strategy<Value = JobSettings> {
    let partitions = proptest::option::of(1..=JobSpec::SHUFFLE_PARTITIONS_MAX);
    (proptest::option::of(size()), partitions, size(), size(), size()).prop_map(
        |(split_bytes, shuffle_partitions, merge_bytes, broadcast_bytes_max, result_bytes_max)| JobSettings {
            split_bytes,
            shuffle_partitions,
            merge_bytes,
            broadcast_bytes_max,
            result_bytes_max,
            deadline_seconds: split_bytes.map(|size| size.0),
            slots_max: shuffle_partitions,
            priority: shuffle_partitions.map_or_else(Priority::default, |n| Priority::ALL[n as usize % 3]),
        },
    )
}

fn job() -> impl Strategy<Value = JobSpec> {
    let inputs = proptest::collection::btree_map("[a-z_][a-z0-9_]{0,5}", input(), 0..4);
    (any::<String>(), "[a-zA-Z]{1,20}", inputs, proptest::option::of(output()), settings())
        .prop_map(|(name, query, inputs, output, settings)| JobSpec { name, query, inputs, output, settings })
}

fn state() -> impl Strategy<Value = JobState> {
    (0..JobState::ALL.len()).prop_map(|index| JobState::ALL[index])
}

fn stage() -> impl Strategy<Value = StageStatus> {
    (stage_id(), any::<String>(), any::<[u32; 3]>(), metrics(), vec(stage_id(), 0..3)).prop_map(
        |(id, label, [tasks, tasks_done, tasks_running], metrics, inputs)| StageStatus {
            id,
            label,
            tasks,
            tasks_done,
            tasks_running,
            metrics,
            inputs,
        },
    )
}

fn status() -> impl Strategy<Value = JobStatus> {
    let times = any::<(u64, Option<u64>, Option<u64>)>();
    let output = any::<Option<(String, u64, u64, u64, Option<String>)>>().prop_map(|output| {
        output.map(|(path, files, rows, bytes, rejects)| OutputStatus { path, files, rows, bytes, rejects })
    });
    let texts = any::<(String, Option<String>, String, bool)>();
    let counts = any::<[u64; 5]>().prop_map(|[launched, lost, failed, second, second_won]| AttemptCounts {
        launched,
        lost,
        failed,
        second,
        second_won,
    });
    let locality = any::<[u64; 2]>().prop_map(|[local, remote]| LocalityCounts { local, remote });
    let counts = (counts, locality);
    let work = (vec(stage(), 0..3), metrics(), counts, vec(input_status(), 0..3), vec(inferred(), 0..3));
    (job_id(), state(), times, texts, proptest::option::of(cause()), work, output).prop_map(
        |(id, state, times, (name, waiting_for, query, has_result), failure, work, output)| {
            let (stages, metrics, (attempts, locality), inputs, inferred) = work;
            let (submitted_ms, started_ms, finished_ms) = times;
            JobStatus {
                id,
                name,
                state,
                waiting_for,
                submitted_ms,
                started_ms,
                finished_ms,
                failure,
                stages,
                metrics,
                output,
                has_result,
                attempts,
                query,
                inputs,
                inferred,
                locality,
                details: None,
            }
        },
    )
}

fn worker() -> impl Strategy<Value = WorkerStatus> {
    let states = prop_oneof![
        Just(WorkerState::Alive),
        Just(WorkerState::Disconnected),
        Just(WorkerState::Draining),
        Just(WorkerState::Lost),
        Just(WorkerState::Left)
    ];
    (worker_id(), states, any::<([String; 3], Option<String>)>(), any::<[u32; 2]>(), any::<[u64; 5]>()).prop_map(
        |(id, state, ([host, shuffle_address, version], excluded), [slots, slots_used], n)| WorkerStatus {
            id,
            host,
            shuffle_address,
            state,
            slots,
            slots_used,
            memory_bytes_max: n[0],
            memory_bytes_used: n[1],
            disk_bytes_free: n[2],
            version,
            registered_ms: n[3],
            lease_ms: n[4],
            excluded,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_comes_back(id in attempt_id(), cause in cause(), metrics in metrics(), job in job()) {
        round_trip::<_, wire::AttemptId>(id)?;
        round_trip::<_, wire::FailureCause>(cause)?;
        round_trip::<_, wire::AttemptMetrics>(metrics)?;
        round_trip::<_, wire::JobSpec>(job)?;
    }

    #[test]
    fn what_is_shown_comes_back(status in status(), worker in worker()) {
        round_trip::<_, wire::Job>(status)?;
        round_trip::<_, wire::Worker>(worker)?;
    }

    #[test]
    fn requests_come_back(key in proptest::option::of("[a-z]{1,9}"), spec in job(), states in vec(state(), 0..4), job in job_id()) {
        round_trip::<_, wire::SubmitRequest>(SubmitJob { idempotency_key: key.clone(), spec })?;
        round_trip::<_, wire::ListJobsRequest>(ListJobs { states, page_size: 7, page_token: key })?;
        round_trip::<_, wire::FetchResultRequest>(FetchResult { job, format: ResultFormat::Table })?;
    }

    #[test]
    fn any_bytes_are_a_job_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = <wire::SubmitRequest as prost::Message>::decode(bytes.as_slice()) {
            let _ = SubmitJob::try_from(message);
        }
    }
}

fn good_job() -> wire::JobSpec {
    let format = Some(wire::input::Format::Json(wire::JsonFormat {}));
    let (name, paths, schema) = ("t".to_owned(), vec!["/a".to_owned()], vec![]);
    wire::JobSpec {
        name: "job".into(),
        query: "SELECT 1".into(),
        inputs: vec![wire::Input {
            name,
            paths,
            format,
            schema,
            on_error: wire::OnError::Fail.into(),
            max_rejects: None,
            compression: wire::InputCompression::Auto.into(),
        }],
        output: Some(wire::Output {
            path: "/out".into(),
            format: wire::OutputFormat::Csv.into(),
            mode: wire::OutputMode::Append.into(),
            partition_by: vec![],
            compression: wire::Compression::None.into(),
            file_bytes_max: 1 << 30,
        }),
        settings: None,
    }
}

/// Spoils a job that is right, and checks the error.
fn check_job(field: &str, problem: &str, spoil: impl FnOnce(&mut wire::JobSpec)) {
    let mut message = good_job();
    spoil(&mut message);
    let error = JobSpec::try_from(message).unwrap_err();
    assert_eq!((error.field, error.problem.as_str()), (field, problem));
}

const MISSING: &str = "it is missing; are both sides of the same version?";

#[test]
fn malformed_jobs_are_refused_by_field() {
    assert!(JobSpec::try_from(good_job()).is_ok());
    check_job("Input.format", MISSING, |job| job.inputs[0].format = None);
    check_job("Input.on_error", "it is missing", |job| job.inputs[0].on_error = 0);
    let unknown = "9 is not a value this version knows; are both sides of the same version?";
    check_job("Input.on_error", unknown, |job| job.inputs[0].on_error = 9);
    check_job("Input.max_rejects", MISSING, |job| job.inputs[0].on_error = wire::OnError::Reject.into());
    let limit = || Some(RejectLimit::DEFAULT.into());
    let stray = "it is for inputs that reject records";
    check_job("Input.max_rejects", stray, |job| job.inputs[0].max_rejects = limit());
    let no_parquet = "input `t`: parquet inputs cannot reject records; write on_error = \"fail\", or leave it out";
    check_job("JobSpec", no_parquet, |job| {
        job.inputs[0].format = Some(wire::input::Format::Parquet(wire::ParquetFormat {}));
        job.inputs[0].on_error = wire::OnError::Reject.into();
        job.inputs[0].max_rejects = limit();
    });
    check_job("JobSpec.inputs", "there are two inputs named `t`", |job| job.inputs.push(job.inputs[0].clone()));
    check_job("JobSpec", "job has no query", |job| job.query.clear());
    let output = |job: &mut wire::JobSpec, change: fn(&mut wire::Output)| change(job.output.as_mut().unwrap());
    check_job("Output.mode", "it is missing", |job| output(job, |output| output.mode = 0));
    check_job("Output.format", unknown, |job| output(job, |output| output.format = 9));
    check_job("Output.compression", unknown, |job| output(job, |output| output.compression = 9));
}

/// Spoils the options of a job's CSV input, and checks the error.
fn check_csv(field: &str, problem: &str, spoil: impl FnOnce(&mut wire::CsvFormat)) {
    let mut options = wire::CsvFormat::from(CsvOptions::default());
    spoil(&mut options);
    check_job(field, problem, |job| job.inputs[0].format = Some(wire::input::Format::Csv(options)));
}

#[test]
fn malformed_csv_options_are_refused_by_field() {
    let no_mark = "300 is not the code of an ASCII character";
    check_csv("CsvFormat.delimiter", no_mark, |options| options.delimiter = 300);
    check_csv("CsvFormat.quote", no_mark, |options| options.quote = Some(300));
    let same = "the delimiter and the quote of input `t` are the same";
    check_csv("JobSpec", same, |options| options.quote = Some(u32::from(b',')));
    check_csv("CsvFormat.encoding", "it is missing", |options| options.encoding = 0);
    check_csv("CsvFormat.missing_columns", "it is missing", |options| options.missing_columns = 0);
    let unknown = "9 is not a value this version knows; are both sides of the same version?";
    check_csv("CsvFormat.extra_columns", unknown, |options| options.extra_columns = 9);
    let limit = "max_record_bytes of input `t` must be from 1MiB to 1GiB";
    check_csv("JobSpec", limit, |options| options.max_record_bytes = 0);
    let long = "input `t` has a null value of 65 bytes; shorten it to at most 64";
    check_csv("JobSpec", long, |options| options.null_values.push("x".repeat(65)));
}

#[test]
fn malformed_messages_are_refused_by_field() {
    let error = FailureCause::try_from(wire::FailureCause { kind: None }).unwrap_err();
    assert_eq!((error.field, error.problem.as_str()), ("FailureCause.kind", MISSING));
    let id = wire::AttemptId { job_id: "../..".into(), ..wire::AttemptId::default() };
    let error = AttemptId::try_from(id).unwrap_err();
    assert_eq!(error.to_string(), "read AttemptId.job_id of a message: `../..` is not a valid job id");
    let request = wire::SubmitRequest { protocol: 99, idempotency_key: String::new(), job: Some(good_job()) };
    assert_eq!(SubmitJob::try_from(request).unwrap_err().field, "SubmitRequest.protocol");
    let request = wire::SubmitRequest { protocol: hearth_common::PROTOCOL, ..wire::SubmitRequest::default() };
    assert_eq!(SubmitJob::try_from(request).unwrap_err().field, "SubmitRequest.job");
    let page = ListJobs::try_from(wire::ListJobsRequest { page_size: 9999, ..wire::ListJobsRequest::default() });
    assert_eq!(page.map(|page| page.page_size), Ok(ListJobs::PAGE_SIZE_MAX));
}
