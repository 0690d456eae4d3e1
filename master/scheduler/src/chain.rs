//! The chains of a stage: where the records of each link truly start and end, as far as that is known.
//!
//! A link that begins a file starts where the file does; by induction, each next one starts where the one before it
//! ends. Reading from a given record start always ends at the same place. So what an attempt reports is a fact about
//! the file, and stays true whatever happens to the attempt, its output and its worker. Nothing here knows tasks' states.

use std::collections::BTreeMap;
use std::fmt;

use hearth_common::{LinkEnd, LinkScan, LinkSpan, RecordStart};

use crate::KnownStart;
use crate::facts::LinkKnowledge;
use crate::link::Link;
use crate::mutation::Mutation;

/// Spans that are kept of a link whose start is not known. A reader that guesses reports two, the same ones each time.
const SPANS_KEPT_MAX: usize = 4;

/// All links of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Chains {
    links: Vec<LinkFacts>,
    of_task: BTreeMap<u32, Vec<u32>>,
}

/// What is known about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    pub(crate) link: Link,
    /// What was found out; at most `SPANS_KEPT_MAX` spans.
    pub(crate) known: LinkKnowledge,
}

/// Two reports contradict each other: the file changed without a trace, or somebody counted wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict {
    link: u32,
    start: u64,
    ends: [RecordStart; 2],
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, start, ends: [one, other] } = self;
        write!(f, "link {link}, read from byte {start}, ended at byte {}, line {}", one.byte, one.line)?;
        write!(f, " and at byte {}, line {}; its file changed while it was read", other.byte, other.line)
    }
}

impl Chains {
    pub(crate) fn new(links: &[Link]) -> Self {
        let mut chains = Self::default();
        let mut end_before = None;
        for (number, link) in (0..).zip(links) {
            let start = if link.follows { end_before } else { Some(RecordStart { byte: link.start, line: 1 }) };
            let mut facts = LinkFacts { link: *link, known: LinkKnowledge { start, ..LinkKnowledge::default() } };
            facts.known.end = start.filter(|start| facts.is_empty_from(*start));
            end_before = facts.known.end;
            chains.links.push(facts);
            chains.of_task.entry(link.task).or_default().push(number);
        }
        chains
    }

    pub(crate) fn get(&self, link: u32) -> Option<&LinkFacts> {
        self.links.get(link as usize)
    }

    fn get_mut(&mut self, link: u32) -> Option<&mut LinkFacts> {
        self.links.get_mut(link as usize)
    }

    /// The links of a task, in their order.
    pub(crate) fn links_of(&self, task: u32) -> &[u32] {
        self.of_task.get(&task).map_or(&[], Vec::as_slice)
    }

    /// The starts that an attempt of the task is told.
    pub(crate) fn tell_starts(&mut self, task: u32, attempt: u32) -> Vec<KnownStart> {
        let mut starts = Vec::new();
        for &link in self.of_task.get(&task).into_iter().flatten() {
            let Some(facts) = self.links.get_mut(link as usize) else { continue };
            facts.known.told_since = facts.known.told_since.or(facts.known.start.map(|_| attempt));
            starts.extend(facts.known.start.map(|start| KnownStart { link, start }));
        }
        starts
    }

    /// The attempt was told all that is known about its links by now.
    pub(crate) fn is_fully_told(&self, task: u32, attempt: u32) -> bool {
        let mut links = self.links_of(task).iter().filter_map(|link| self.get(*link));
        links.all(|facts| facts.known.start.is_none() || facts.is_told(attempt))
    }

    /// Takes in what an attempt found out, and follows the chains as far as that leads. Gives the links whose start
    /// became known, in their order. Each link is passed once in the life of the stage.
    pub(crate) fn learn(
        &mut self,
        (attempt, scans): (u32, &[LinkScan]),
        mutation: Option<Mutation>,
    ) -> Result<Vec<u32>, Conflict> {
        let mut news = Vec::new();
        for scan in scans {
            let Some(facts) = self.get_mut(scan.link) else { continue };
            // Where an attempt was told the start, it had nothing to guess.
            let quoted =
                scan.quoted.filter(|_| !facts.is_told(attempt) && mutation != Some(Mutation::IgnoreQuotedSpans));
            for span in [Some(scan.read), quoted].into_iter().flatten() {
                facts.note(scan.link, span)?;
            }
            self.follow(scan.link, &mut news, mutation)?;
        }
        Ok(news)
    }

    fn follow(&mut self, from: u32, news: &mut Vec<u32>, mutation: Option<Mutation>) -> Result<(), Conflict> {
        for number in from.. {
            let Some(facts) = self.get_mut(number).filter(|facts| facts.known.end.is_none()) else { break };
            let Some(end) = facts.find_end(number, mutation)? else { break };
            facts.known.end = Some(end);
            facts.known.spans = Vec::new();
            let Some(next) = self.get_mut(number + 1).filter(|next| next.link.follows) else { break };
            next.known.start = Some(end);
            news.push(number + 1);
            if mutation == Some(Mutation::FollowOneLink) {
                break;
            }
        }
        Ok(())
    }

    /// Takes over what was known about the links of a task.
    pub(crate) fn restore(&mut self, task: u32, known: Vec<LinkKnowledge>) {
        for (link, known) in self.of_task.get(&task).into_iter().flatten().zip(known) {
            if let Some(facts) = self.links.get_mut(*link as usize) {
                facts.known = known;
            }
        }
    }

    /// Finds a link that waits, or would wait for ever, for what is known or comes too late; for tests.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut end_before = None;
        for (number, facts) in (0..).zip(&self.links) {
            let expected = if facts.link.follows { end_before } else { facts.known.start };
            let found = facts.find_end(number, None).map_err(|conflict| conflict.to_string())?;
            let is_followed = facts.known.end.is_some() || found.is_none();
            if facts.known.start != expected || !is_followed || facts.known.spans.len() > SPANS_KEPT_MAX {
                return Err(format!("link {number} is {facts:?}, expected start {expected:?} and end {found:?}"));
            }
            end_before = facts.known.end;
        }
        Ok(())
    }

    /// The task on which the proof of a link waits: that of the first link before it whose end is not known. For tests.
    pub(crate) fn task_before(&self, link: u32) -> Option<u32> {
        let before = (0..link).rev().filter_map(|link| self.get(link));
        before.into_iter().find(|facts| facts.known.start.is_some()).map(|facts| facts.link.task)
    }
}

impl LinkFacts {
    /// No record starts in it, if its first one starts there.
    pub(crate) const fn is_empty_from(&self, start: RecordStart) -> bool {
        start.byte >= self.link.end
    }

    /// That attempt of its task was told the start.
    pub(crate) fn is_told(&self, attempt: u32) -> bool {
        self.known.told_since.is_some_and(|first| first <= attempt)
    }

    /// Lines before its first record, if that attempt did not know them.
    pub(crate) fn untold_lines(&self, attempt: u32) -> u64 {
        self.known.start.filter(|_| !self.is_told(attempt)).map_or(0, |start| start.line.saturating_sub(1))
    }

    fn note(&mut self, number: u32, span: LinkSpan) -> Result<(), Conflict> {
        let Some(end) = span.end else { return Ok(()) };
        if self.known.start.is_some_and(|start| start.byte != span.start) {
            return Ok(());
        }
        if let (Some(start), Some(known)) = (self.known.start, self.known.end) {
            let ends = [known, end_from(start, end)];
            return if ends[0] == ends[1] { Ok(()) } else { Err(Conflict { link: number, start: start.byte, ends }) };
        }
        if !self.known.spans.contains(&(span.start, end)) {
            if self.known.spans.len() == SPANS_KEPT_MAX {
                self.known.spans.remove(0);
            }
            self.known.spans.push((span.start, end));
        }
        Ok(())
    }

    fn find_end(&self, number: u32, mutation: Option<Mutation>) -> Result<Option<RecordStart>, Conflict> {
        let Some(start) = self.known.start else { return Ok(None) };
        if self.is_empty_from(start) {
            return Ok(Some(start));
        }
        let is_any = mutation == Some(Mutation::UseQuotedSpanOfWrongStart);
        let mut ends = self
            .known
            .spans
            .iter()
            .filter(|(from, _)| *from == start.byte || is_any)
            .map(|(_, end)| end_from(start, *end));
        let found = if is_any { ends.next_back() } else { ends.next() };
        match (found, ends.find(|other| !is_any && Some(*other) != found)) {
            (Some(end), Some(other)) => Err(Conflict { link: number, start: start.byte, ends: [end, other] }),
            (found, _) => Ok(found),
        }
    }
}

const fn end_from(start: RecordStart, end: LinkEnd) -> RecordStart {
    RecordStart { byte: end.byte, line: start.line.saturating_add(end.lines) }
}
