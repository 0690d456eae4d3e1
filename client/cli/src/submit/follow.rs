//! Follows a job to its end, or until somebody interrupts; shows its progress on standard error.

use std::time::{Duration, Instant};

use hearth_client::{Client, WatchEvent};
use hearth_common::{JobId, JobStatus};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::narrate::{Narrator, bar_message, tasks};
use crate::exit::CliError;
use crate::terminal::{is_watched, note};

/// How the following ended.
pub(super) enum Ended {
    /// The job is in a final state.
    Final(Box<JobStatus>),
    /// A signal with this number; the job goes on.
    Left(u8),
}

/// Which job to follow, and what ends it early.
pub(super) struct Follow<'c> {
    pub(super) client: &'c Client,
    pub(super) job: JobId,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel_on_interrupt: bool,
}

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;
/// A wait that never ends in practice, for the branch of a `select!` that is not used.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Follow<'_> {
    pub(super) async fn to_the_end(&self) -> Result<Ended, CliError> {
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let timeout = tokio::time::sleep(self.timeout.unwrap_or(FOREVER));
        tokio::pin!(timeout);
        let mut cancelled = false;
        let mut watch = self.client.watch(self.job);
        let mut display = Display::new();
        let mut last = None;
        loop {
            let number = tokio::select! {
                event = watch.next() => {
                    match event.inspect_err(|_| display.clear())? {
                        Some(WatchEvent::Status(status)) => {
                            display.show(&status);
                            last = Some(status);
                        }
                        Some(WatchEvent::Unreachable { reason }) => display.trouble(&reason),
                        None => break,
                    }
                    continue;
                }
                _ = interrupt.recv() => SIGINT,
                _ = terminate.recv() => SIGTERM,
                () = &mut timeout, if !cancelled && self.timeout.is_some() => {
                    display.clear();
                    note("the time for this job is over; cancelling it");
                    self.client.cancel(self.job).await?;
                    cancelled = true;
                    continue;
                }
            };
            display.clear();
            if !self.cancel_on_interrupt || cancelled {
                return Ok(Ended::Left(number));
            }
            note("cancelling the job; interrupt again to leave at once");
            self.client.cancel(self.job).await?;
            cancelled = true;
        }
        display.clear();
        match last {
            Some(status) => Ok(Ended::Final(Box::new(status))),
            None => Err(CliError::failed("the master told nothing about the job")),
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(CliError::start)
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

/// A progress bar where somebody watches, plain lines elsewhere.
enum Display {
    Bar { bar: ProgressBar, since: Instant },
    Lines(Narrator),
}

impl Display {
    fn new() -> Self {
        if !is_watched() {
            return Self::Lines(Narrator::default());
        }
        let bar = ProgressBar::new(0);
        set_style(&bar, "{spinner} {prefix}  {wide_msg}");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Bar { bar, since: Instant::now() }
    }

    fn show(&mut self, job: &JobStatus) {
        match self {
            Self::Bar { bar, since } => {
                let (done, all) = tasks(job);
                // There are no tasks before the job is planned.
                if all > 0 && bar.length() == Some(0) {
                    set_style(bar, "{spinner} {prefix} [{bar:24}] {pos}/{len} tasks  {wide_msg}");
                }
                bar.set_length(all);
                bar.set_position(done);
                bar.set_prefix(job.state.name());
                bar.set_message(bar_message(job, since.elapsed()));
            }
            Self::Lines(narrator) => narrator.lines(job).iter().for_each(|line| note(line)),
        }
    }

    fn trouble(&mut self, reason: &str) {
        match self {
            Self::Bar { bar, .. } => bar.set_message(format!("master does not answer ({reason}); trying again")),
            Self::Lines(narrator) => {
                if let Some(line) = narrator.trouble(reason) {
                    note(&line);
                }
            }
        }
    }

    fn clear(&self) {
        match self {
            Self::Bar { bar, .. } => bar.finish_and_clear(),
            Self::Lines(_) => {}
        }
    }
}
