//! What the operators of an attempt's plan did, for its report: collected once, when the attempt is over.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use hearth_common::{OPERATOR_NAME_BYTES_MAX, OPERATORS_MAX, OperatorRun, OperatorWork};
use hearth_plan::{Sink, WAITED};

/// Time in which a join takes its first input in, that of the input included.
const BUILD_TIME: &str = "build_time";
/// Times of operators that do not add them up as their computing, or add one of them up twice, as joins do that build a table.
const OWN_TIMES: [&str; 3] = [BUILD_TIME, "join_time", "repartition_time"];

/// What becomes of the rows, and the time that takes.
#[derive(Debug, Default)]
pub(crate) struct SinkTimes {
    compute_ns: AtomicU64,
    waited_ns: AtomicU64,
}

impl SinkTimes {
    /// Carries something out. Polling it is computing, and from a poll to the next one it waited.
    pub(crate) async fn measure<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut waits_since: Option<Instant> = None;
        poll_fn(|context| {
            let start = Instant::now();
            if let Some(since) = waits_since.take() {
                add(&self.waited_ns, start.saturating_duration_since(since));
            }
            let polled = work.as_mut().poll(context);
            let end = Instant::now();
            add(&self.compute_ns, end.saturating_duration_since(start));
            if polled.is_pending() {
                waits_since = Some(end);
            }
            polled
        })
        .await
    }

    fn work(&self, rows: u64) -> OperatorWork {
        let us = |ns: &AtomicU64| ns.load(Ordering::Relaxed) / 1000;
        OperatorWork {
            rows,
            compute_us: us(&self.compute_ns),
            waited_us: us(&self.waited_ns),
            ..OperatorWork::default()
        }
    }
}

fn add(sum: &AtomicU64, time: Duration) {
    sum.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The name of what becomes of the rows.
pub(crate) const fn sink_name(sink: &Sink) -> &'static str {
    match sink {
        Sink::Shuffle(_) => "ShuffleWrite",
        Sink::Output(_) => "OutputWrite",
        Sink::Result(_) => "ResultWrite",
    }
}

/// The operators of a plan with what becomes of its rows before them, as many as may be told.
pub(crate) fn operators_of(
    plan: &Arc<dyn ExecutionPlan>,
    (name, times, rows): (&str, &SinkTimes, u64),
) -> Vec<OperatorRun> {
    let mut runs = vec![OperatorRun { depth: 0, name: name.to_owned(), work: times.work(rows) }];
    add_plan(plan, 1, &mut runs);
    runs
}

/// Answers with the time that the operator and all below it computed, in microseconds.
fn add_plan(plan: &Arc<dyn ExecutionPlan>, depth: u32, runs: &mut Vec<OperatorRun>) -> u64 {
    if runs.len() >= OPERATORS_MAX {
        return 0;
    }
    let metrics = plan.metrics().unwrap_or_default();
    let work = work_of(&metrics);
    let mut name = plan.name().to_owned();
    name.truncate(name.floor_char_boundary(OPERATOR_NAME_BYTES_MAX));
    let place = runs.len();
    runs.push(OperatorRun { depth, name, work });
    let below: Vec<u64> = plan.children().into_iter().map(|child| add_plan(child, depth + 1, runs)).collect();
    // Joins count what their first input computes while they take it in.
    let of_input = time_ns(&metrics, BUILD_TIME) / 1000;
    let counted_twice = below.first().map_or(0, |first| of_input.min(*first));
    let own = work.compute_us.saturating_sub(counted_twice);
    if let Some(run) = runs.get_mut(place) {
        run.work.compute_us = own;
    }
    below.iter().fold(own, |sum, below| sum.saturating_add(*below))
}

fn time_ns(metrics: &MetricsSet, name: &str) -> u64 {
    metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64)
}

/// The figures of all partitions that ran in this attempt.
fn work_of(metrics: &MetricsSet) -> OperatorWork {
    let count = |value: Option<usize>| value.map_or(0, |value| value as u64);
    let own_ns: u64 = OWN_TIMES.iter().map(|name| time_ns(metrics, name)).sum();
    let compute_ns = if own_ns > 0 { own_ns } else { count(metrics.elapsed_compute()) };
    let peak = |metric: &MetricValue| matches!(metric, MetricValue::PeakMemoryUsage { .. }).then(|| metric.as_usize());
    OperatorWork {
        rows: count(metrics.output_rows()),
        compute_us: compute_ns / 1000,
        waited_us: time_ns(metrics, WAITED) / 1000,
        spills: count(metrics.spill_count()),
        spilled_bytes: count(metrics.spilled_bytes()),
        memory_bytes: metrics.iter().filter_map(|metric| peak(metric.value())).sum::<usize>() as u64,
    }
}
