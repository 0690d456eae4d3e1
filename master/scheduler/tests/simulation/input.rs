//! Input files as they truly are: physical lines, some of which begin inside a quoted field. The scheduler never sees them.
//!
//! A reader that starts inside quotes but believes otherwise takes quoted text for records and records for quoted text: it
//! reads the lines of the other kind, and may stumble over them.

use hearth_common::{LinkEnd, LinkSpan, RecordStart};
use hearth_scheduler::Link;

use crate::rng::{Rng, mix_all};

/// The files that the tasks of a stage read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    pub(crate) files: Vec<InputFile>,
    /// The file of each link.
    pub(crate) file_of: Vec<usize>,
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct InputFile {
    pub(crate) name: String,
    size: u64,
    pub(crate) lines: Vec<Line>,
    salt: u64,
}

/// A physical line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) start: u64,
    /// It begins inside a quoted field, so that no record starts with it.
    pub(crate) is_quoted: bool,
    /// The record that starts with it cannot be read.
    pub(crate) is_bad: bool,
}

/// What reading a link from one start comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) start: u64,
    pub(crate) end: LinkEnd,
    /// Sum over the records.
    pub(crate) value: u64,
    /// Start of the first record that cannot be read.
    pub(crate) bad: Option<u64>,
}

impl Reading {
    pub(crate) const fn span(&self) -> LinkSpan {
        LinkSpan { start: self.start, end: Some(self.end) }
    }
}

impl Input {
    /// Some files for so many tasks, and the links they are cut into.
    pub(crate) fn random(rng: &mut Rng, tasks: u32) -> (Self, Vec<Link>) {
        let (mut input, mut links) = (Self::default(), Vec::new());
        for number in 0..rng.between(1, 3) as usize {
            let file = InputFile::random(rng);
            let bytes = file.size.div_ceil(rng.between(1, 6)).max(1);
            let mut task = rng.between(0, u64::from(tasks) - 1) as u32;
            let mut start = 0;
            while start < file.size || start == 0 {
                let end = (start + bytes).min(file.size);
                links.push(Link { task, start, end, follows: start > 0 });
                input.file_of.push(number);
                task = (task + u32::from(rng.percent(75))).min(tasks - 1);
                start = end.max(1);
            }
            input.files.push(file);
        }
        (input, links)
    }

    /// The file of a link.
    pub(crate) fn file(&self, link: u32) -> &InputFile {
        &self.files[self.file_of[link as usize]]
    }

    /// Sum over all records.
    pub(crate) fn total(&self) -> u64 {
        let records = |file: &InputFile| file.lines.iter().filter(|line| !line.is_quoted).copied().collect::<Vec<_>>();
        self.files
            .iter()
            .flat_map(|file| records(file).into_iter().map(|line| file.value(line)))
            .fold(0, u64::wrapping_add)
    }

    /// Makes a few records unreadable. Tells whether there was one.
    pub(crate) fn spoil(&mut self, rng: &mut Rng) -> bool {
        let lines = self.files.iter_mut().flat_map(|file| &mut file.lines);
        let mut records: Vec<_> = lines.filter(|line| !line.is_quoted).collect();
        for _ in 0..rng.between(1, 3).min(records.len() as u64) {
            let index = rng.between(0, records.len() as u64 - 1) as usize;
            records[index].is_bad = true;
        }
        !records.is_empty()
    }

    /// Makes every record readable.
    pub(crate) fn mend(&mut self) {
        self.files.iter_mut().flat_map(|file| &mut file.lines).for_each(|line| line.is_bad = false);
    }
}

impl InputFile {
    fn random(rng: &mut Rng) -> Self {
        // Mostly short quoted fields; in some files they are so long that they span links.
        let stays_quoted = *rng.pick(&[20, 50, 92]).unwrap_or(&20);
        let (mut lines, mut start, mut is_quoted) = (Vec::new(), 0, false);
        for _ in 0..rng.between(0, 40) {
            lines.push(Line { start, is_quoted, is_bad: false });
            start += rng.between(2, 12);
            is_quoted = rng.percent(if is_quoted { stays_quoted } else { 30 });
        }
        let salt = rng.next();
        Self { name: format!("{salt:x}.csv"), size: start, lines, salt }
    }

    /// Where the first record of a link truly starts.
    pub(crate) fn true_start(&self, link: &Link) -> RecordStart {
        let record = (1..).zip(&self.lines).find(|(_, line)| !line.is_quoted && line.start >= link.start);
        let (line, byte) = record.map_or((self.lines.len() as u64 + 1, self.size), |(line, at)| (line, at.start));
        RecordStart { byte, line }
    }

    /// Where a reader starts that knows no better, and where it would, had the link begun inside quotes.
    pub(crate) fn guess(&self, link: &Link) -> (u64, Option<u64>) {
        let Some(first) = self.lines.iter().find(|line| line.start >= link.start) else { return (self.size, None) };
        let other = self.lines.iter().find(|line| line.start >= link.start && line.is_quoted != first.is_quoted);
        let other = other.map_or(self.size, |line| line.start);
        match mix_all(&[self.salt, 4, link.start]) % 8 {
            // Odd quotes: the other assumption was not followed up, or leads astray.
            0 => (first.start, None),
            1 => (first.start, Some(other + 1).filter(|start| *start < link.end)),
            _ => (first.start, Some(other)),
        }
    }

    /// Reads a link from there. The same start gives the same end each time.
    pub(crate) fn read(&self, link: &Link, start: u64) -> Reading {
        let mut reading = Reading { start, end: LinkEnd { byte: start, lines: 0 }, value: 0, bad: None };
        if start >= link.end {
            return reading;
        }
        let is_quoted = self.lines.iter().find(|line| line.start == start).map(|line| line.is_quoted);
        // From the middle of a line, everything is a record.
        let is_record = |line: &Line| is_quoted.is_none_or(|is_quoted| line.is_quoted == is_quoted);
        for line in self.lines.iter().filter(|line| (start..link.end).contains(&line.start) && is_record(line)) {
            reading.value = reading.value.wrapping_add(self.value(*line));
            let is_stumbled_over = is_quoted != Some(false) && mix_all(&[self.salt, 5, line.start]).is_multiple_of(4);
            if (line.is_bad && is_quoted == Some(false)) || is_stumbled_over {
                reading.bad = reading.bad.or(Some(line.start));
            }
        }
        let next = self.lines.iter().find(|line| line.start >= link.end && is_record(line));
        let byte = next.map_or(self.size, |line| line.start);
        reading.end = LinkEnd { byte, lines: self.count_lines(start, byte) };
        reading
    }

    /// Physical lines that start in between.
    pub(crate) fn count_lines(&self, start: u64, end: u64) -> u64 {
        self.lines.iter().filter(|line| (start..end).contains(&line.start)).count() as u64
    }

    fn value(&self, line: Line) -> u64 {
        mix_all(&[self.salt, 6, line.start, u64::from(line.is_quoted)])
    }
}
