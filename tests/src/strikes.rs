//! Faults that strike while a job runs, whatever they strike: when each is due, what is broken now, when it is mended, and
//! what came of many schedules of them.
//!
//! It knows no cluster and no kind of fault; what is `Struck` does.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Then it is mended.
    For(Duration),
    /// It is mended after the job.
    BeyondTheJob,
}

/// A fault, when it happens, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned<F, M> {
    /// Not before.
    pub moment: M,
    /// And then so much later.
    pub delay: Duration,
    /// What happens.
    pub fault: F,
    /// For how long.
    pub lasts: Lasts,
}

/// How a schedule ended that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The right rows.
    Rows,
    /// An error that says what happened, where that may be the end.
    ClearError,
}

/// What faults strike.
pub(crate) trait Struck {
    type Fault: Debug + Copy;
    type Moment: Copy;
    /// Of what is broken already, nothing breaks again.
    type Target: PartialEq;
    /// What keeps a fault up until it is mended.
    type Hold;

    fn target(fault: Self::Fault) -> Self::Target;
    /// A fault that is mended only when another one is.
    fn waits_for(fault: Self::Fault, other: Self::Fault) -> bool;
    fn strike(&mut self, fault: Self::Fault) -> Result<Self::Hold>;
    fn mend(&mut self, fault: Self::Fault, hold: Self::Hold) -> Result<()>;
}

/// What is broken now.
struct Broken<S: Struck + ?Sized> {
    fault: S::Fault,
    mended_at: Option<Instant>,
    hold: S::Hold,
}

/// The faults of a schedule, those to come and those that struck.
pub(crate) struct Strikes<S: Struck + ?Sized> {
    coming: Vec<Planned<S::Fault, S::Moment>>,
    /// When the moment of the next one came.
    reached: Option<Instant>,
    broken: Vec<Broken<S>>,
    struck: Vec<Planned<S::Fault, S::Moment>>,
    last_change: Instant,
}

impl Lasts {
    /// It lasts longer than that.
    #[must_use]
    pub fn is_longer_than(self, time: Duration) -> bool {
        match self {
            Self::For(lasts) => lasts > time,
            Self::BeyondTheJob => true,
        }
    }
}

impl<F: Debug, M: Debug> fmt::Display for Planned<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, delay, fault, lasts } = self;
        write!(f, "{fault:?} {} ms after {moment:?}", delay.as_millis())?;
        match lasts {
            Lasts::For(time) => write!(f, " for {} ms", time.as_millis()),
            Lasts::BeyondTheJob => write!(f, " beyond the job"),
        }
    }
}

impl<S: Struck> Strikes<S> {
    /// Of faults in the order of their moments.
    pub(crate) fn new(faults: &[Planned<S::Fault, S::Moment>]) -> Self {
        let coming = faults.iter().rev().copied().collect();
        Self { coming, reached: None, broken: Vec::new(), struck: Vec::new(), last_change: Instant::now() }
    }

    pub(crate) fn struck(&self) -> &[Planned<S::Fault, S::Moment>] {
        &self.struck
    }

    pub(crate) fn last_change(&self) -> Instant {
        self.last_change
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self, on: &mut S, has_come: impl Fn(S::Moment) -> bool) -> Result<()> {
        while let Some(next) = self.coming.last().copied() {
            if self.reached.is_none() && has_come(next.moment) {
                self.reached = Some(Instant::now());
            }
            if self.reached.is_none_or(|reached| reached.elapsed() < next.delay) {
                break;
            }
            self.coming.pop();
            self.reached = None;
            self.strike(on, next)?;
        }
        let now = Instant::now();
        while self.mend_next(on, |broken| broken.mended_at.is_some_and(|time| time <= now))? {}
        Ok(())
    }

    /// Mends what is left; nothing strikes after that.
    pub(crate) fn mend_all(&mut self, on: &mut S) -> Result<()> {
        self.coming.clear();
        while self.mend_next(on, |_| true)? {}
        Ok(())
    }

    /// Mends one of those that are due and wait for no other; answers whether there was one.
    fn mend_next(&mut self, on: &mut S, is_due: impl Fn(&Broken<S>) -> bool) -> Result<bool> {
        let may_be_mended = |fault: S::Fault| !self.broken.iter().any(|other| S::waits_for(fault, other.fault));
        let due = self.broken.iter().position(|broken| is_due(broken) && may_be_mended(broken.fault));
        let Some(due) = due else { return Ok(false) };
        let Broken { fault, hold, .. } = self.broken.remove(due);
        on.mend(fault, hold).with_context(|| format!("mend {fault:?}"))?;
        self.last_change = Instant::now();
        Ok(true)
    }

    fn strike(&mut self, on: &mut S, planned: Planned<S::Fault, S::Moment>) -> Result<()> {
        let fault = planned.fault;
        if self.broken.iter().any(|broken| S::target(broken.fault) == S::target(fault)) {
            return Ok(());
        }
        let hold = on.strike(fault).with_context(|| format!("{fault:?}"))?;
        self.last_change = Instant::now();
        self.struck.push(planned);
        let mended_at = match planned.lasts {
            Lasts::For(time) => Some(Instant::now() + time),
            Lasts::BeyondTheJob => None,
        };
        self.broken.push(Broken { fault, mended_at, hold });
        Ok(())
    }
}

/// What came of many schedules.
#[derive(Debug, Default)]
pub struct Report {
    ends: BTreeMap<End, u64>,
    struck: BTreeMap<String, u64>,
    /// Seconds beyond those of a job without faults, of schedules of one fault.
    extra: BTreeMap<String, Vec<f64>>,
    /// How long jobs took without faults.
    usual: Vec<Duration>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn note_end(&mut self, end: End) {
        *self.ends.entry(end).or_default() += 1;
    }

    pub(crate) fn note_strike(&mut self, kind: String) {
        *self.struck.entry(kind).or_default() += 1;
    }

    pub(crate) fn note_extra(&mut self, kind: String, seconds: f64) {
        self.extra.entry(kind).or_default().push(seconds);
    }

    pub(crate) fn note_usual(&mut self, usual: Duration) {
        self.usual.push(usual);
    }

    pub(crate) fn note_failure(&mut self, failure: String) {
        self.failures.push(failure);
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (kind, count) in other.struck {
            *self.struck.entry(kind).or_default() += count;
        }
        for (kind, extra) in other.extra {
            self.extra.entry(kind).or_default().extend(extra);
        }
        self.usual.extend(other.usual);
        self.failures.extend(other.failures);
    }

    /// Schedules that ended in another way than they may.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// None of so many schedules failed, and most of them met their job before it was over.
    ///
    /// # Errors
    /// One did; the message is the report.
    pub fn check(&self, schedules: usize) -> Result<()> {
        ensure!(self.failures.is_empty(), "{}", self.told());
        let strikes: u64 = self.struck.values().sum();
        ensure!(strikes >= schedules as u64, "jobs were over before anything struck: {}", self.told());
        Ok(())
    }

    /// The report as text, with a Markdown table of what single faults cost, where that was measured.
    #[must_use]
    pub fn told(&self) -> String {
        let count = |end: End| self.ends.get(&end).copied().unwrap_or_default();
        let (rows, clear, failed) = (count(End::Rows), count(End::ClearError), self.failures.len());
        let mut text = format!("{rows} gave the right rows, {clear} a clear error, {failed} failed\n");
        for (kind, count) in &self.struck {
            let _ = writeln!(text, "- {kind}: {count}");
        }
        if !self.usual.is_empty() {
            let usual: Vec<String> = self.usual.iter().map(|usual| format!("{:.1} s", usual.as_secs_f64())).collect();
            let _ = writeln!(text, "\nwithout faults a job took {}\n", usual.join(" or "));
            text.push_str("| one fault | runs | median extra | most |\n|---|---|---|---|\n");
        }
        for (kind, extra) in &self.extra {
            let mut extra = extra.clone();
            extra.sort_by(f64::total_cmp);
            let (median, most) = (extra[extra.len() / 2], extra[extra.len() - 1]);
            let _ = writeln!(text, "| {kind} | {} | {median:.1} s | {most:.1} s |", extra.len());
        }
        for failure in &self.failures {
            let _ = writeln!(text, "\n{failure}");
        }
        text
    }
}
