//! The samples of charts in a file of the state directory, so that charts go on after a restart.
//!
//! A task of its own writes the file once a minute from the snapshot, and when the master stops. Nobody waits for it, and nothing hangs
//! on it: what cannot be written or read is a gap in a chart.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::WorkerId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::Sample;
use crate::snapshot::Snapshot;
use crate::state_dir::StateDir;

/// Time between two writes. A master that is killed loses that much of its charts.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Workers whose charts are kept at most; those of the cluster always are.
const WORKERS_MAX: usize = 128;
/// Largest file that is read. The samples of an hour need about 20 kB for each worker.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// What the file begins with; its checksum and a line break come next.
const HEADER: &str = "hearth charts 1 ";

/// The samples of the master before.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptHours {
    /// Of the cluster, oldest first.
    pub cluster: Vec<Sample>,
    /// Of workers, oldest first.
    pub workers: BTreeMap<WorkerId, Vec<Sample>>,
}

impl KeptHours {
    /// What the file has; nothing, where there is none or it is damaged. Blocks.
    pub(crate) fn read(file: &Path) -> Self {
        match read(file) {
            Ok(kept) => kept.unwrap_or_default(),
            Err(problem) => {
                tracing::warn!(file = %file.display(), problem, "charts begin anew: their file cannot be used");
                Self::default()
            }
        }
    }

    fn of(snapshot: &Snapshot) -> Self {
        let samples = |hour: &super::Hour| hour.samples.iter().copied().collect();
        let workers = snapshot.hours.iter().take(WORKERS_MAX);
        Self {
            cluster: samples(&snapshot.hour),
            workers: workers.map(|(worker, hour)| (*worker, samples(hour))).collect(),
        }
    }

    /// Replaces the file in one step. Blocks.
    fn write(&self, file: &Path, scratch: &Path) -> io::Result<()> {
        let body = serde_json::to_string(self)?;
        std::fs::write(scratch, format!("{HEADER}{:016x}\n{body}", xxh3_64(body.as_bytes())))?;
        std::fs::rename(scratch, file)
    }
}

fn read(file: &Path) -> Result<Option<KeptHours>, String> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    let parts = text.strip_prefix(HEADER).and_then(|rest| rest.split_once('\n'));
    let (checksum, body) = parts.ok_or("it does not begin as such a file does")?;
    if u64::from_str_radix(checksum, 16) != Ok(xxh3_64(body.as_bytes())) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_str(body).map(Some).map_err(|error| error.to_string())
}

/// Keeps the charts of a master until it stops.
pub(crate) async fn keep(snapshots: watch::Receiver<Arc<Snapshot>>, state_dir: StateDir, stop: CancellationToken) {
    let mut fails = false;
    while !stop.is_cancelled() {
        let _ = stop.run_until_cancelled(tokio::time::sleep(WRITE_EVERY)).await;
        if state_dir.tenure().lost().is_cancelled() {
            // The file is another master's.
            return;
        }
        let (snapshot, state_dir) = (Arc::clone(&snapshots.borrow()), state_dir.clone());
        let writing = tokio::task::spawn_blocking(move || {
            KeptHours::of(&snapshot).write(&state_dir.charts(), &state_dir.spool().join("charts"))
        });
        let outcome = writing.await.map_err(io::Error::other).flatten();
        if let Err(error) = &outcome
            && !fails
        {
            tracing::warn!(%error, "could not keep the charts for a restart");
        }
        fails = outcome.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Flow;

    fn kept() -> KeptHours {
        let flow = Flow { rows: 1, bytes: u64::MAX, spilled_bytes: 3 };
        let sample = Sample { at_ms: 5, slots: 4, slots_used: 2, memory_bytes_used: 7, flow };
        KeptHours { cluster: vec![sample; 360], workers: BTreeMap::from([(WorkerId::from_u128(9), vec![sample; 3])]) }
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (file, scratch) = (directory.path().join("charts"), directory.path().join("new"));
        assert_eq!(KeptHours::read(&file), KeptHours::default());
        kept().write(&file, &scratch).unwrap();
        assert_eq!(KeptHours::read(&file), kept());
        assert!(!scratch.exists());
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert!(bytes < 20_000, "{bytes} bytes");
    }

    #[test]
    fn a_damaged_file_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let (file, scratch) = (directory.path().join("charts"), directory.path().join("new"));
        kept().write(&file, &scratch).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let other_version = text.replacen(" 1 ", " 2 ", 1);
        for damaged in ["", "{}", &text[..text.len() - 9], &text.replacen("[5,4,", "[5,3,", 1), &other_version] {
            assert_ne!(damaged, text);
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(KeptHours::read(&file), KeptHours::default(), "{damaged}");
        }
        std::fs::write(&file, [0xff_u8, 0xfe]).unwrap();
        assert_eq!(KeptHours::read(&file), KeptHours::default());
    }
}
