//! What the master tells of workers that others read from: that it hears nothing of them, or that they are lost. Who waits for
//! one of these waits no longer than is due.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use hearth_common::{Absence, WorkerId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::fetch::Patience;

/// Absent workers that are remembered; of more, the last ones are.
const REMEMBERED_MAX: usize = 1024;
/// A silent worker is lost or heard of again by then; the master tells only of the one.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// Workers that are absent, as the master told.
#[derive(Debug, Default)]
pub(super) struct Absences(watch::Sender<BTreeMap<WorkerId, Told>>);

#[derive(Debug, Clone, Copy)]
struct Told {
    absence: Absence,
    at: Instant,
}

impl Absences {
    /// Takes in what the master told. All that wait for that worker hear of it.
    pub(super) fn note(&self, worker: WorkerId, absence: Absence) {
        self.0.send_modify(|told| {
            told.insert(worker, Told { absence, at: Instant::now() });
            let oldest = told.iter().min_by_key(|(_, told)| told.at).map(|(worker, _)| *worker);
            if let Some(oldest) = oldest.filter(|_| told.len() > REMEMBERED_MAX) {
                told.remove(&oldest);
            }
        });
    }

    /// Ends when somebody who waits for that worker since then need not wait any longer. Gives how far it is gone.
    pub(super) async fn given_up(&self, worker: WorkerId, since: Instant, patience: Patience) -> Absence {
        let mut told = self.0.subscribe();
        loop {
            let known = told.borrow_and_update().get(&worker).copied();
            let due = known.and_then(|known| Some((known.absence, since + known.patience(patience)?)));
            let waited = async {
                match due {
                    Some((absence, at)) => {
                        sleep_until(at).await;
                        absence
                    }
                    None => pending().await,
                }
            };
            tokio::select! {
                absence = waited => return absence,
                // The sender is this.
                _ = told.changed() => {}
            }
        }
    }
}

impl Told {
    /// How long the worker is waited for; `None` where this tells nothing.
    fn patience(self, patience: Patience) -> Option<Duration> {
        match self.absence {
            Absence::Lost => Some(patience.lost_max),
            Absence::Silent => (self.at.elapsed() < SILENT_MAX).then_some(patience.probe_max),
        }
    }
}
