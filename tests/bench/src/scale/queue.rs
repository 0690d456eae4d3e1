//! Many submissions of jobs that wait.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use hearth_common::{CsvOptions, InputCompression, InputFormat, InputSpec, JobSettings, JobSpec, OnError};
use hearth_proto::convert::SubmitJob;
use hearth_proto::wire::job_service_client::JobServiceClient;
use tonic::transport::Endpoint;

/// Submissions that are under way at the same time, each over a connection of its own.
const CLIENTS: u32 = 8;
/// The last ones, for which the queue is as long as it gets.
const LAST: u32 = 1_000;

/// How long each submission took.
pub(super) struct Submitted {
    pub(super) all: Latencies,
    pub(super) last: Latencies,
}

/// Milliseconds, in order.
pub(super) struct Latencies(Vec<f64>);

impl Latencies {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// The time that this share of the submissions did not exceed.
    pub(super) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((share * last as f64).round() as usize).copied().unwrap_or_default()
    }
}

/// Submits `count` jobs to a master without workers.
pub(super) async fn submit(master: &str, directory: &Path, count: u32) -> Result<Submitted> {
    let input = directory.join("queued.csv");
    std::fs::write(&input, "a,b\n1,2\n")?;
    let spec = job(input.to_str().context("find a name that is text")?);
    let next = Arc::new(AtomicU32::new(0));
    let clients = (0..CLIENTS).map(|_| submit_some(master, spec.clone(), Arc::clone(&next), count));
    let mut taken: Vec<(u32, f64)> = try_join_all(clients).await?.into_iter().flatten().collect();
    taken.sort_by_key(|(number, _)| *number);
    let milliseconds: Vec<f64> = taken.iter().map(|(_, milliseconds)| *milliseconds).collect();
    let last = milliseconds[milliseconds.len().saturating_sub(LAST as usize)..].to_vec();
    Ok(Submitted { all: Latencies::new(milliseconds), last: Latencies::new(last) })
}

async fn submit_some(master: &str, spec: JobSpec, next: Arc<AtomicU32>, count: u32) -> Result<Vec<(u32, f64)>> {
    let channel = Endpoint::from_shared(format!("http://{master}"))?.tcp_nodelay(true).connect().await?;
    let mut client = JobServiceClient::new(channel);
    let mut taken = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(taken);
        }
        let spec = JobSpec { name: format!("job {number}"), ..spec.clone() };
        let begun = Instant::now();
        let request = SubmitJob { idempotency_key: Some(format!("key-{number}")), spec };
        client
            .submit(hearth_proto::wire::SubmitRequest::from(request))
            .await
            .with_context(|| format!("submit job {number}"))?;
        taken.push((number, begun.elapsed().as_secs_f64() * 1000.0));
    }
}

fn job(input: &str) -> JobSpec {
    let input = InputSpec {
        paths: vec![input.to_owned()],
        format: InputFormat::Csv(CsvOptions::default()),
        compression: InputCompression::Auto,
        schema: None,
        on_error: OnError::Fail,
    };
    JobSpec {
        name: String::new(),
        query: "SELECT a, count(*) AS n FROM t GROUP BY a".to_owned(),
        inputs: BTreeMap::from([("t".to_owned(), input)]),
        output: None,
        settings: JobSettings::default(),
    }
}
