//! What a worker reports about links is checked like everything that comes from outside, before anybody learns from it.

use hearth_common::{LinkScan, LinkSpan};

use crate::chain::{Chains, LinkFacts};

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It read all its links.
    Whole,
    /// It failed, and read some.
    Part,
}

/// Why a report about links cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanFault {
    #[error("attempt reported on {found} links, its task has {expected}")]
    Count { found: usize, expected: usize },
    #[error("attempt reported on link {found} in place of link {expected}")]
    Order { found: u32, expected: u32 },
    #[error("attempt went on without an end of link {0}")]
    NoEnd(u32),
    #[error("attempt read link {0} from somewhere else than it was told")]
    NotAsTold(u32),
    #[error("attempt reported records outside of link {0}")]
    Span(u32),
}

impl Chains {
    /// Checks the report of an attempt of a task.
    pub(crate) fn check_scans(
        &self,
        (task, attempt): (u32, u32),
        scans: &[LinkScan],
        extent: Extent,
    ) -> Result<(), ScanFault> {
        let links = self.links_of(task);
        if scans.len() > links.len() || (extent == Extent::Whole && scans.len() < links.len()) {
            return Err(ScanFault::Count { found: scans.len(), expected: links.len() });
        }
        let ended = if extent == Extent::Whole { scans.len() } else { scans.len().saturating_sub(1) };
        if let Some(scan) = scans.iter().take(ended).find(|scan| scan.read.end.is_none()) {
            return Err(ScanFault::NoEnd(scan.link));
        }
        for (scan, expected) in scans.iter().zip(links) {
            if scan.link != *expected {
                return Err(ScanFault::Order { found: scan.link, expected: *expected });
            }
            if let Some(facts) = self.get(scan.link) {
                check_scan(facts, attempt, scan)?;
            }
        }
        Ok(())
    }
}

fn check_scan(facts: &LinkFacts, attempt: u32, scan: &LinkScan) -> Result<(), ScanFault> {
    if facts.is_told(attempt) && facts.known.start.is_some_and(|told| told.byte != scan.read.start) {
        return Err(ScanFault::NotAsTold(scan.link));
    }
    let is_within = |span: &LinkSpan| span.start >= facts.link.start && is_end_possible(facts, span);
    let spans = [Some(scan.read), scan.quoted];
    if spans.iter().flatten().all(is_within) { Ok(()) } else { Err(ScanFault::Span(scan.link)) }
}

fn is_end_possible(facts: &LinkFacts, span: &LinkSpan) -> bool {
    let Some(end) = span.end else { return true };
    if span.start >= facts.link.end {
        // It has no records, so that it ends where it starts.
        return end.byte == span.start && end.lines == 0;
    }
    end.byte >= facts.link.end
}
