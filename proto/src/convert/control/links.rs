//! Links of chains of input splits, and what attempts found out about them: conversions in both ways.

use hearth_common::{LinkEnd, LinkScan, LinkSpan, RecordStart, SplitLink};

use super::{SCANS_MAX, check_length};
use crate::convert::ConvertError;
use crate::convert::error::required;
use crate::wire;

impl TryFrom<wire::SplitLink> for SplitLink {
    type Error = ConvertError;

    fn try_from(link: wire::SplitLink) -> Result<Self, ConvertError> {
        Ok(Self { number: link.number, known: link.known.map(RecordStart::try_from).transpose()? })
    }
}

impl From<SplitLink> for wire::SplitLink {
    fn from(link: SplitLink) -> Self {
        Self { number: link.number, known: link.known.map(Into::into) }
    }
}

impl TryFrom<wire::RecordStart> for RecordStart {
    type Error = ConvertError;

    fn try_from(start: wire::RecordStart) -> Result<Self, ConvertError> {
        let wire::RecordStart { byte, line } = start;
        if line == 0 {
            return Err(ConvertError::new("line", "lines are counted from 1"));
        }
        Ok(Self { byte, line })
    }
}

impl From<RecordStart> for wire::RecordStart {
    fn from(start: RecordStart) -> Self {
        let RecordStart { byte, line } = start;
        Self { byte, line }
    }
}

pub(super) fn scans(scans: Vec<wire::LinkScan>) -> Result<Vec<LinkScan>, ConvertError> {
    check_length("scans", scans.len(), SCANS_MAX)?;
    scans.into_iter().map(LinkScan::try_from).collect()
}

impl TryFrom<wire::LinkScan> for LinkScan {
    type Error = ConvertError;

    fn try_from(scan: wire::LinkScan) -> Result<Self, ConvertError> {
        let read = required("read", scan.read)?.try_into()?;
        Ok(Self { link: scan.link, read, quoted: scan.quoted.map(LinkSpan::try_from).transpose()? })
    }
}

impl From<LinkScan> for wire::LinkScan {
    fn from(scan: LinkScan) -> Self {
        Self { link: scan.link, read: Some(scan.read.into()), quoted: scan.quoted.map(Into::into) }
    }
}

impl TryFrom<wire::LinkSpan> for LinkSpan {
    type Error = ConvertError;

    fn try_from(span: wire::LinkSpan) -> Result<Self, ConvertError> {
        let wire::LinkSpan { start, end } = span;
        let end = end.map(|wire::LinkEnd { byte, lines }| LinkEnd { byte, lines });
        match end {
            Some(LinkEnd { byte, .. }) if byte < start => {
                Err(ConvertError::new("end", format!("records from byte {start} cannot end at byte {byte}")))
            }
            Some(_) | None => Ok(Self { start, end }),
        }
    }
}

impl From<LinkSpan> for wire::LinkSpan {
    fn from(span: LinkSpan) -> Self {
        let end = span.end.map(|LinkEnd { byte, lines }| wire::LinkEnd { byte, lines });
        Self { start: span.start, end }
    }
}
