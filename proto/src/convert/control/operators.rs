//! What the operators of an attempt's plan did: conversions in both ways.

use hearth_common::{OPERATOR_NAME_BYTES_MAX, OPERATORS_MAX, OperatorRun, OperatorWork};

use super::check_length;
use crate::convert::ConvertError;
use crate::wire;

pub(super) fn operators(runs: Vec<wire::OperatorRun>) -> Result<Vec<OperatorRun>, ConvertError> {
    check_length("operators", runs.len(), OPERATORS_MAX)?;
    runs.into_iter().map(OperatorRun::try_from).collect()
}

impl TryFrom<wire::OperatorRun> for OperatorRun {
    type Error = ConvertError;

    fn try_from(run: wire::OperatorRun) -> Result<Self, ConvertError> {
        let wire::OperatorRun { depth, name, rows, compute_us, waited_us, spills, spilled_bytes, memory_bytes } = run;
        check_length("name", name.len(), OPERATOR_NAME_BYTES_MAX)?;
        let work = OperatorWork { rows, compute_us, waited_us, spills, spilled_bytes, memory_bytes };
        Ok(Self { depth, name, work })
    }
}

impl From<OperatorRun> for wire::OperatorRun {
    fn from(OperatorRun { depth, name, work }: OperatorRun) -> Self {
        let OperatorWork { rows, compute_us, waited_us, spills, spilled_bytes, memory_bytes } = work;
        Self { depth, name, rows, compute_us, waited_us, spills, spilled_bytes, memory_bytes }
    }
}
