//! What one fault costs: a job without it, the same job with it on the same cluster, and the bound that is promised.
//!
//! Two workers of two slots each, so that on two cores the one that is left has the whole machine: what is measured is what the
//! fault costs, not the loss of half the cores. A worker that is killed is started again at once, as systemd does; one that
//! hangs stays away. Every output is compared with the answer of plain DataFusion.

mod apart;
mod on_lane;

use std::sync::Arc;

use anyhow::{Result, ensure};
use hearth_tests::data::UserActions;
use hearth_tests::faults::{Fault, Work};

use crate::scenario::machine;
use on_lane::Case;

/// Rows by default: between 15 and 20 seconds on two cores.
pub(crate) const ROWS: u64 = 2_000_000;
/// Some forty tasks that read, sixteen that write.
const SETTINGS: &[&str] = &["split_bytes = \"2MiB\"", "shuffle_partitions = 16", "merge_bytes = \"1B\""];
/// How often a text is hashed, per row and per group: work for both stages, whatever the speed of reading.
const HASHES_PER_ROW: usize = 24;
const HASHES_PER_GROUP: usize = 30;
/// Slots of each of the two workers.
const SLOTS: u32 = 2;

/// What may come on top of the time without the fault.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// So many seconds.
    Seconds(f64),
    /// The work that was lost, spread over all slots, and so many seconds.
    LostWorkAnd(f64),
    /// In all no more than so many times as long.
    Times(f64),
}

/// What was measured in one round.
#[derive(Debug, Default)]
struct Measured {
    /// Seconds without the fault,
    faultless: f64,
    /// and with it.
    faulted: f64,
    /// Seconds of the attempts whose work was lost, spread over all slots.
    lost_work: f64,
    /// What else was to be seen.
    remarks: Vec<String>,
    /// What else was promised, and did not hold.
    broken: Vec<String>,
}

/// A row of the table.
struct Row {
    /// To choose it by.
    name: &'static str,
    what: &'static str,
    bound: Bound,
    measure: fn(&Arc<Work>) -> Result<Measured>,
}

const ROWS_OF_TABLE: [Row; 14] = [
    Row {
        name: "kill-map",
        what: "worker SIGKILL while it reads, started again at once",
        bound: Bound::LostWorkAnd(5.0),
        measure: |work| Case::killed(25).measure(work),
    },
    Row {
        name: "kill-reduce",
        what: "worker SIGKILL in the last stage, started again at once",
        bound: Bound::LostWorkAnd(5.0),
        measure: |work| Case::killed(60).measure(work),
    },
    Row {
        name: "cut",
        what: "connections between a worker and the master cut for 2 s, as tasks finish",
        bound: Bound::Seconds(3.0),
        measure: |work| Case::cut(25).measure(work),
    },
    Row {
        name: "cut-link",
        what: "link between two hosts down for 2 s (network namespaces; needs root)",
        bound: Bound::Seconds(3.0),
        measure: apart::measure_link,
    },
    Row {
        name: "stop-map",
        what: "worker SIGSTOP for ever, while it reads",
        bound: Bound::Seconds(15.0),
        measure: |work| Case::stopped(25, None).measure(work),
    },
    Row {
        name: "stop-reduce",
        what: "worker SIGSTOP for ever, in the last stage",
        bound: Bound::Seconds(15.0),
        measure: |work| Case::stopped(60, None).measure(work),
    },
    Row {
        name: "stop-20",
        what: "worker SIGSTOP for 20 s, then resumed",
        bound: Bound::Seconds(15.0),
        measure: |work| Case::stopped(25, Some(20)).measure(work),
    },
    Row {
        name: "master",
        what: "master SIGKILL, started again after 2 s",
        bound: Bound::Seconds(2.0 + 5.0),
        measure: |work| Case::master(60).measure(work),
    },
    Row {
        name: "standby",
        what: "active master SIGKILL, the standby takes over",
        bound: Bound::Seconds(15.0),
        measure: |work| apart::measure_standby(work, apart::Gone::Killed),
    },
    Row {
        name: "standby-hang",
        what: "active master SIGSTOP, the standby takes over",
        bound: Bound::Seconds(15.0),
        measure: |work| apart::measure_standby(work, apart::Gone::Stopped),
    },
    Row {
        name: "slow",
        what: "worker at 5 % speed from the beginning",
        bound: Bound::Times(1.5),
        measure: |work| Case::alone(0, Fault::SlowWorker(0)).measure(work),
    },
    Row {
        name: "slow-later",
        what: "worker at 5 % speed from the middle, when it holds shuffle outputs",
        bound: Bound::Times(1.5),
        measure: |work| Case::alone(45, Fault::SlowWorker(0)).measure(work),
    },
    Row {
        name: "all-dead",
        what: "both workers SIGKILL, one started again after 3 s",
        bound: Bound::LostWorkAnd(3.0 + 5.0),
        measure: |work| Case::all_dead(40).measure(work),
    },
    Row {
        name: "poison",
        what: "a task that kills its workers, beside two other jobs: these",
        bound: Bound::Times(1.2),
        measure: apart::measure_poison,
    },
];

/// Measures the rows of these names, or all of them, so often, and gives the table. `tell` hears of each line as it is there.
pub(crate) fn run(rows: u64, rounds: usize, (only, tell): (&[String], impl Fn(&str))) -> Result<String> {
    let unknown = only.iter().find(|name| ROWS_OF_TABLE.iter().all(|row| row.name != *name));
    let known = ROWS_OF_TABLE.map(|row| row.name).join(", ");
    ensure!(unknown.is_none(), "no row is called {}; there are {known}", unknown.map_or("", String::as_str));
    let data = UserActions { rows, users: rows / 2, files: 8 };
    let work = Arc::new(Work::new(data, &query(), SETTINGS)?);
    let mut text = format!("## bounds: {rows} rows, {}\n\n", machine());
    text.push_str(
        "| fault | without s | with s | extra s | bound | met | remarks |\n|---|---:|---:|---:|---:|---|---|\n",
    );
    tell(&text);
    for row in ROWS_OF_TABLE.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name)) {
        for _ in 0..rounds {
            let line = match (row.measure)(&work) {
                Ok(measured) => measured.line(row),
                Err(error) => format!("| {} | - | - | - | - | **failed** | {} |", row.what, first_line(&error)),
            };
            tell(&line);
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// Groups that cost something to make and to look at, and of which few are left.
fn query() -> String {
    let hashed = |text: &str, times: usize| (0..times).fold(text.to_owned(), |inner, _| format!("sha512({inner})"));
    let of_row = hashed("concat(email, action, CAST(timestamp AS VARCHAR))", HASHES_PER_ROW);
    let of_group = hashed("concat(email, action)", HASHES_PER_GROUP);
    format!(
        "SELECT email, action, count(*) AS freq, encode(max({of_row}), 'hex') AS latest FROM actions \
         GROUP BY email, action HAVING encode({of_group}, 'hex') LIKE '00%'"
    )
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().replace('|', "/")
}

impl Measured {
    fn line(&self, row: &Row) -> String {
        let extra = self.faulted - self.faultless;
        let (allowed, bound) = match row.bound {
            Bound::Seconds(seconds) => (seconds, format!("{seconds:.0} s")),
            Bound::LostWorkAnd(seconds) => {
                (self.lost_work + seconds, format!("{:.1} s lost + {seconds:.0} s", self.lost_work))
            }
            Bound::Times(times) => ((times - 1.0) * self.faultless, format!("{times} times")),
        };
        let is_met = extra <= allowed && self.broken.is_empty();
        let remarks: Vec<&str> = self.broken.iter().chain(&self.remarks).map(String::as_str).collect();
        format!(
            "| {} | {:.1} | {:.1} | {extra:+.1} | {bound} | {} | {} |",
            row.what,
            self.faultless,
            self.faulted,
            if is_met { "yes" } else { "**no**" },
            remarks.join("; ")
        )
    }
}
