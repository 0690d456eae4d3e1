//! How an attempt reads the links of its task: from where it is told, or from where it guesses.

use hearth_common::{FailureCause, LinkScan, LinkSpan, Place};
use hearth_scheduler::Launch;

use crate::input::Reading;
use crate::plan::JobPlan;
use crate::rng::mix_all;

/// What reading the links of a task came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanned {
    pub(crate) scans: Vec<LinkScan>,
    /// Sum over the records that were read.
    pub(crate) value: u64,
    pub(crate) failure: Option<FailureCause>,
}

/// Reads until a record cannot be read.
pub(crate) fn scan_links(plan: &JobPlan, launch: &Launch) -> Scanned {
    let mut scanned = Scanned::default();
    let task = launch.attempt.task;
    for (number, link) in plan.links_of(task.stage, task.partition) {
        let Some(file) = plan.inputs.get(&task.stage).map(|input| input.file(number)) else { continue };
        let told = launch.starts.iter().find(|known| known.link == number).map(|known| known.start);
        let (start, quoted) = told.map_or_else(|| file.guess(link), |start| (start.byte, None));
        let reading = file.read(link, start);
        let quoted = quoted.map(|start| file.read(link, start).span());
        if let Some(bad) = reading.bad {
            let line = told.map_or(1, |start| start.line) + file.count_lines(start, bad);
            let place = Place { file: file.name.clone(), line: Some(line), byte: Some(bad), column: None };
            scanned.failure = Some(FailureCause::Task { message: "bad record".to_owned(), place: Some(place) });
            scanned.scans.push(cut_off(number, reading, quoted));
            return scanned;
        }
        scanned.value = scanned.value.wrapping_add(reading.value);
        scanned.scans.push(LinkScan { link: number, read: reading.span(), quoted });
    }
    scanned
}

/// The attempt failed in the link. It may have found before where the records end under the other assumption.
fn cut_off(link: u32, reading: Reading, quoted: Option<LinkSpan>) -> LinkScan {
    let is_found = mix_all(&[u64::from(link), reading.start, reading.end.byte]).is_multiple_of(2);
    let quoted = quoted.map(|span| LinkSpan { end: span.end.filter(|_| is_found), ..span });
    LinkScan { link, read: LinkSpan { start: reading.start, end: None }, quoted }
}
