//! Claims: what an attempt assumed about its links, compared with what is known, and kept while that is too little.
//!
//! An attempt is proved when every link it read started where it should. Until then neither its output nor its failure counts.

use std::collections::BTreeMap;

use hearth_common::{FailureCause, LinkScan};
use serde::{Deserialize, Serialize};

use crate::chain::{Chains, LinkFacts};

/// How an attempt ended that waits for its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// It left an output.
    Finished {
        /// Bytes of each shuffle partition; empty for files.
        partition_bytes: Vec<u64>,
    },
    /// Its query or its data is wrong, or it only read from a wrong start.
    Failed {
        /// Why, as it reported.
        cause: FailureCause,
        /// The link in which it failed.
        link: Option<u32>,
    },
}

impl Ending {
    /// What the attempt came to may be owed to wrong starts. Trouble with storage, memory or other attempts' outputs is not.
    pub(crate) const fn depends_on_links(&self) -> bool {
        match self {
            Self::Finished { .. } => true,
            Self::Failed { cause, .. } => matches!(cause, FailureCause::Task { .. }),
        }
    }
}

/// An attempt that ended, and waits for its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) attempt: u32,
    /// The guesses that nothing is known about yet; never empty.
    pub(crate) guesses: Guesses,
    pub(crate) ending: Ending,
}

/// The claims of a stage, by partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claims(BTreeMap<u32, Claim>);

/// A claim that is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) partition: u32,
    pub(crate) is_right: bool,
    pub(crate) ending: Ending,
}

/// Guesses, by link.
pub(crate) type Guesses = BTreeMap<u32, Guess>;

/// What an attempt assumed about one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guess {
    /// Where it started.
    start: u64,
    /// It came to the end of the link.
    has_end: bool,
}

/// Whether the links of an attempt started where they should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// All did.
    Right,
    /// One did not.
    Wrong,
    /// That is known of some only, and they did; not of these.
    Open(Guesses),
}

impl Claims {
    pub(crate) fn get(&self, partition: u32) -> Option<&Claim> {
        self.0.get(&partition)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Claim)> {
        self.0.iter().map(|(partition, claim)| (*partition, claim))
    }

    pub(crate) fn enter(&mut self, partition: u32, claim: Claim) {
        self.0.insert(partition, claim);
    }

    pub(crate) fn forget(&mut self, partition: u32) {
        self.0.remove(&partition);
    }

    /// Takes the claim that the known start of a link refutes or, as the last one, proves.
    pub(crate) fn decide(&mut self, link: u32, facts: &LinkFacts) -> Option<Decided> {
        let partition = facts.link.task;
        let claim = self.0.get_mut(&partition)?;
        let is_right = claim.guesses.remove(&link)?.is_right(claim.attempt, facts)?;
        if is_right && !claim.guesses.is_empty() {
            return None;
        }
        let ending = self.0.remove(&partition)?.ending;
        Some(Decided { partition, is_right, ending })
    }
}

impl Chains {
    /// Compares what an attempt reports with what is known.
    pub(crate) fn prove(&self, attempt: u32, scans: &[LinkScan]) -> Proof {
        let mut open = Guesses::new();
        for scan in scans {
            let guess = Guess { start: scan.read.start, has_end: scan.read.end.is_some() };
            match self.get(scan.link).and_then(|facts| guess.is_right(attempt, facts)) {
                Some(true) => {}
                Some(false) => return Proof::Wrong,
                None => {
                    open.insert(scan.link, guess);
                }
            }
        }
        if open.is_empty() { Proof::Right } else { Proof::Open(open) }
    }
}

impl Guess {
    /// `None` where nothing is known.
    pub(crate) fn is_right(self, attempt: u32, facts: &LinkFacts) -> Option<bool> {
        let start = facts.known.start?;
        Some(match (facts.is_empty_from(start), self.has_end) {
            (false, _) => start.byte == self.start,
            // Without records either way, it does not matter how far beyond the link the start is.
            (true, true) => self.start >= facts.link.end,
            // It failed in a link without records: while it guessed, unless it was told.
            (true, false) => facts.is_told(attempt),
        })
    }
}
