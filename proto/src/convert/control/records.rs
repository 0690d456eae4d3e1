//! What attempts tell of the records that they read: conversions in both ways.

use hearth_common::{AttemptRecords, FoundReject, InputRecords, JobSpec, RejectsFile};

use super::check_length;
use super::from_worker::check_component;
use crate::convert::ConvertError;
use crate::convert::error::required;
use crate::wire;

/// The part of a report that is about records.
pub(super) fn records(report: &mut wire::Report) -> Result<AttemptRecords, ConvertError> {
    check_length("inputs", report.inputs.len(), JobSpec::INPUTS_MAX)?;
    check_length("first_rejects", report.first_rejects.len(), AttemptRecords::FIRST_MAX)?;
    let inputs = std::mem::take(&mut report.inputs).into_iter().map(InputRecords::try_from);
    let first = std::mem::take(&mut report.first_rejects).into_iter().map(FoundReject::try_from);
    Ok(AttemptRecords {
        inputs: inputs.collect::<Result<_, _>>()?,
        first: first.collect::<Result<_, _>>()?,
        file: report.rejects_file.take().map(RejectsFile::try_from).transpose()?,
    })
}

impl TryFrom<wire::InputRecords> for InputRecords {
    type Error = ConvertError;

    fn try_from(message: wire::InputRecords) -> Result<Self, ConvertError> {
        let wire::InputRecords { input, records, used, rejected } = message;
        if used.checked_add(rejected) != Some(records) {
            let problem = format!("{records} records are not {used} used and {rejected} rejected ones");
            return Err(ConvertError::new("inputs", problem));
        }
        Ok(Self { input, records, used, rejected })
    }
}

impl From<InputRecords> for wire::InputRecords {
    fn from(records: InputRecords) -> Self {
        let InputRecords { input, records, used, rejected } = records;
        Self { input, records, used, rejected }
    }
}

impl TryFrom<wire::FoundReject> for FoundReject {
    type Error = ConvertError;

    fn try_from(message: wire::FoundReject) -> Result<Self, ConvertError> {
        let wire::FoundReject { input, link, reject } = message;
        Ok(Self { input, link, reject: required("reject", reject)?.try_into()? })
    }
}

impl From<FoundReject> for wire::FoundReject {
    fn from(found: FoundReject) -> Self {
        let FoundReject { input, link, reject } = found;
        Self { input, link, reject: Some(reject.into()) }
    }
}

/// The commit reads the file of this name: one that left its directory would be somebody else's.
impl TryFrom<wire::RejectsFile> for RejectsFile {
    type Error = ConvertError;

    fn try_from(file: wire::RejectsFile) -> Result<Self, ConvertError> {
        check_component("staged", &file.staged)?;
        let wire::RejectsFile { staged, rows, bytes } = file;
        Ok(Self { staged, rows, bytes })
    }
}

impl From<RejectsFile> for wire::RejectsFile {
    fn from(file: RejectsFile) -> Self {
        let RejectsFile { staged, rows, bytes } = file;
        Self { staged, rows, bytes }
    }
}
