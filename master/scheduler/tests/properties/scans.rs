//! Random reports about links: true ones, wrong guesses of every kind, and what cannot be.

use hearth_common::{LinkEnd, LinkScan, LinkSpan};
use hearth_scheduler::{Launch, Link};

/// Two files over three tasks. Records start five bytes after each cut.
pub(crate) fn links() -> Vec<Link> {
    let link = |task, start, follows| Link { task, start, end: start + 100, follows };
    vec![link(0, 0, false), link(1, 100, true), link(2, 200, true), link(1, 0, false), link(2, 100, true)]
}

/// What the attempt says of its links.
pub(crate) fn random_scans(launch: Option<&Launch>, number: u32) -> Vec<LinkScan> {
    let Some(launch) = launch.filter(|launch| launch.attempt.task.stage.0 == 0) else { return Vec::new() };
    let task = launch.attempt.task.partition;
    let links = (0..).zip(links()).filter(|(_, link)| link.task == task);
    let mut scans: Vec<LinkScan> = links.map(|(link, range)| scan(launch, (link, range), number)).collect();
    match number {
        4 => scans.last_mut().into_iter().for_each(|scan| scan.read.end = None),
        5 => scans.truncate(1),
        6 => scans.iter_mut().for_each(|scan| scan.link += launch.attempt.attempt % 2),
        _ => {}
    }
    scans
}

fn scan(launch: &Launch, (link, range): (u32, Link), number: u32) -> LinkScan {
    let told = launch.starts.iter().find(|known| known.link == link).map(|known| known.start.byte);
    let right = span(range.start + if range.follows { 5 } else { 0 }, &range);
    let wrong = span(range.start + 20, &range);
    match (told, number) {
        // Now and then, a fact that others contradict.
        (Some(start), 0) if launch.attempt.attempt == 3 => LinkScan { link, read: far(start, &range), quoted: None },
        (Some(start), _) => LinkScan { link, read: span(start, &range), quoted: None },
        (None, 0 | 4) => LinkScan { link, read: wrong, quoted: Some(right) },
        (None, 1) => LinkScan { link, read: wrong, quoted: None },
        (None, _) => LinkScan { link, read: right, quoted: Some(wrong) },
    }
}

fn span(start: u64, link: &Link) -> LinkSpan {
    let is_wrong = start == link.start + 20;
    let end = LinkEnd { byte: link.end + if is_wrong { 20 } else { 5 }, lines: 3 };
    LinkSpan { start, end: Some(if start < link.end { end } else { LinkEnd { byte: start, lines: 0 } }) }
}

/// A record that spans the next link.
fn far(start: u64, link: &Link) -> LinkSpan {
    LinkSpan { end: Some(LinkEnd { byte: link.end + 120, lines: 9 }), ..span(start, link) }
}
