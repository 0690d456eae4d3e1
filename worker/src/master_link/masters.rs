//! Which of the masters to dial, and the newest epoch that the worker was welcomed in: it never goes back to an older one.

use std::time::Duration;

use hearth_common::{Epoch, NewestEpoch};
use hearth_proto::convert::NotActive;

use super::connection::ANSWER_TIMEOUT;
use crate::WorkerConfig;

/// The masters of a worker, over all its lives.
#[derive(Debug)]
pub(crate) struct Masters {
    addresses: Vec<String>,
    at: usize,
    /// The active one, as a standby told; it may be none of the known.
    told: Option<String>,
    /// The last one that was of no use: no standby is believed that names it again before another one was tried.
    failed: Option<String>,
    newest: NewestEpoch,
    /// Masters in a row that were of no use.
    failures: u32,
}

/// A master that hangs must not keep a worker from the one that has taken over.
const PATIENCE_MIN: Duration = Duration::from_secs(3);

impl Masters {
    pub(crate) fn new(config: &WorkerConfig) -> Self {
        let addresses = config.masters().into_iter().map(str::to_owned).collect();
        Self { addresses, at: 0, told: None, failed: None, newest: NewestEpoch::default(), failures: 0 }
    }

    /// The one to dial now.
    pub(super) fn dialed(&self) -> &str {
        let listed = self.addresses.get(self.at % self.addresses.len().max(1));
        self.told.as_ref().or(listed).map_or("", String::as_str)
    }

    /// How long to wait for its answer: where there are others not for long at first, and longer if none of them is better.
    pub(super) fn patience(&self) -> Duration {
        match self.addresses.len() {
            0 | 1 => ANSWER_TIMEOUT,
            _ => (PATIENCE_MIN + Duration::from_secs(1) * self.failures).min(ANSWER_TIMEOUT),
        }
    }

    /// The newest epoch that the worker was welcomed in.
    pub(super) const fn newest(&self) -> Option<Epoch> {
        self.newest.get()
    }

    /// The one that was dialed is of no use now.
    pub(super) fn on_failure(&mut self) {
        self.failed = Some(self.dialed().to_owned());
        self.failures = self.failures.saturating_add(1);
        self.go_on();
    }

    /// The one that was dialed is a standby.
    pub(super) fn on_standby(&mut self, NotActive { active, epoch }: NotActive) {
        let is_stale = epoch.is_some_and(|epoch| self.newest.is_past(epoch));
        let failed = self.failed.take();
        let active = active.filter(|active| !is_stale && *active != self.dialed() && Some(active) != failed.as_ref());
        self.go_on();
        self.told = active;
    }

    /// A master welcomes the worker. A refusal tells why it must not be followed.
    pub(super) fn on_welcome(&mut self, epoch: Epoch) -> Result<(), String> {
        self.newest.meet(epoch).map_err(|outdated| format!("{} is {outdated}", self.dialed()))?;
        self.failed = None;
        self.failures = 0;
        Ok(())
    }

    fn go_on(&mut self) {
        if self.told.take().is_none() {
            self.at = (self.at + 1) % self.addresses.len().max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::ClusterId;

    use super::*;

    fn masters(list: &str) -> Masters {
        Masters::new(&WorkerConfig { master: list.to_owned(), ..WorkerConfig::default() })
    }

    fn epoch(number: u64) -> Epoch {
        Epoch { cluster: ClusterId::from_u128(1), number }
    }

    fn active(address: &str, number: u64) -> NotActive {
        NotActive { active: Some(address.to_owned()), epoch: Some(epoch(number)) }
    }

    #[test]
    fn the_next_one_is_tried_after_one_that_fails() {
        let mut masters = masters("a:1, b:1");
        for expected in ["a:1", "b:1", "a:1"] {
            assert_eq!(masters.dialed(), expected);
            masters.on_failure();
        }
    }

    #[test]
    fn a_standby_is_believed_once() {
        let mut masters = masters("a:1,b:1");
        masters.on_standby(active("c:1", 1));
        assert_eq!(masters.dialed(), "c:1", "also one that nobody has listed");
        masters.on_failure();
        assert_eq!(masters.dialed(), "b:1");
        masters.on_standby(active("c:1", 1));
        assert_eq!(masters.dialed(), "a:1", "it has just failed");
        masters.on_standby(active("c:1", 1));
        assert_eq!(masters.dialed(), "c:1", "and may be back by now");
        masters.on_failure();
        masters.on_standby(NotActive::default());
        assert_eq!(masters.dialed(), "a:1");
    }

    #[test]
    fn who_has_a_choice_does_not_wait_long_for_one_that_hangs() {
        assert_eq!(masters("a:1").patience(), ANSWER_TIMEOUT);
        let mut several = masters("a:1,b:1");
        assert_eq!(several.patience(), PATIENCE_MIN);
        (0..20).for_each(|_| several.on_failure());
        assert_eq!(several.patience(), ANSWER_TIMEOUT, "all are slow");
        several.on_welcome(epoch(1)).unwrap();
        assert_eq!(several.patience(), PATIENCE_MIN);
    }

    #[test]
    fn a_single_standby_is_asked_again() {
        let mut masters = masters("a:1");
        masters.on_standby(active("a:1", 1));
        assert_eq!(masters.dialed(), "a:1");
    }

    #[test]
    fn nothing_leads_back_to_an_older_epoch() {
        let mut masters = masters("a:1,b:1");
        masters.on_welcome(epoch(2)).unwrap();
        let refused = masters.on_welcome(epoch(1)).unwrap_err();
        assert_eq!(refused, "a:1 is a master of epoch 1, and epoch 2 has begun");
        masters.on_standby(active("c:1", 1));
        assert_eq!(masters.dialed(), "b:1");
        let other = Epoch { cluster: ClusterId::from_u128(2), number: 1 };
        masters.on_welcome(other).unwrap();
        assert_eq!(masters.newest(), Some(other), "a new cluster begins anew");
    }
}
