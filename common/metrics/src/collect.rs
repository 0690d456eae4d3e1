//! Names, units and the small things that every metric needs.

use std::fmt;
use std::path::PathBuf;

use hearth_storage::Storage;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::hdfs::HdfsFigures;
use crate::process::ProcessFigures;

/// `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text that Prometheus reads.
///
/// # Errors
/// Those of the encoder.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    text::encode(&mut text, registry)?;
    Ok(text)
}

/// Counters with one label.
pub type ByLabel = Family<[(&'static str, &'static str); 1], Counter>;

/// Causes that workers report; a job or an attempt rarely ends by another.
const CAUSES: [&str; 6] = ["task", "lost_shuffle_output", "out_of_memory", "disk_full", "storage", "internal"];

/// Counters of failures by cause, those of workers from 0.
#[must_use]
pub fn by_cause() -> ByLabel {
    by_label("cause", &CAUSES)
}

/// Counters that are there from 0, so that their first step is seen as one.
#[must_use]
pub fn by_label(label: &'static str, values: &[&'static str]) -> ByLabel {
    let counters = ByLabel::default();
    values.iter().for_each(|value| drop(counters.get_or_create(&[(label, *value)])));
    counters
}

/// Registers what every process tells: itself, the free space below `directory`, and HDFS. Names begin as the registry's do.
pub fn register_shared(registry: &mut Registry, directory: PathBuf, storage: Storage) {
    registry.register_collector(Box::new(ProcessFigures { directory }));
    registry.register_collector(Box::new(HdfsFigures { storage }));
}

/// A histogram of seconds: from `least` in steps of four, eight of them.
#[must_use]
pub fn seconds(least: f64) -> Histogram {
    Histogram::new((0..8).map(|step| least * 4_f64.powi(step)))
}

/// Writes one gauge.
///
/// # Errors
/// Those of the encoder.
pub fn one_gauge(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), value: u64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Writes gauges with one label.
///
/// # Errors
/// Those of the encoder.
pub fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, label): (&str, &str, &str),
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (value, count) in values {
        ConstGauge::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

pub(crate) fn counter(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), count: u64) -> fmt::Result {
    ConstCounter::new(count).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

pub(crate) fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, label): (&str, &str, &str),
    values: &[(&'static str, u64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in values {
        ConstCounter::new(*count).encode(family.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}
