//! How the attempts of each stage compare.

use std::collections::BTreeMap;

use hearth_common::{AttemptDetails, AttemptOutcome, Spread, StageId, StageSpread};

/// One for each stage of which an attempt is known, by stage.
pub(crate) fn spread_of<'a>(attempts: impl Iterator<Item = &'a AttemptDetails>) -> Vec<StageSpread> {
    let mut stages: BTreeMap<StageId, Vec<&AttemptDetails>> = BTreeMap::new();
    for attempt in attempts {
        stages.entry(attempt.stage).or_default().push(attempt);
    }
    stages.into_iter().map(|(stage, attempts)| stage_spread(stage, &attempts)).collect()
}

fn stage_spread(stage: StageId, attempts: &[&AttemptDetails]) -> StageSpread {
    let ended_well =
        |attempt: &&&AttemptDetails| matches!(attempt.outcome, AttemptOutcome::Done | AttemptOutcome::Repeated);
    let spread = |value: &dyn Fn(&AttemptDetails) -> u64| {
        Spread::of(attempts.iter().filter(ended_well).map(|attempt| value(attempt)).collect())
    };
    let runs = attempts.iter().any(|attempt| attempt.ended_ms.is_none());
    let last_end = attempts.iter().filter_map(|attempt| attempt.ended_ms).max();
    StageSpread {
        stage,
        attempts: attempts.iter().filter(ended_well).count() as u64,
        started_ms: attempts.iter().map(|attempt| attempt.launched_ms).min().unwrap_or_default(),
        ended_ms: last_end.filter(|_| !runs),
        duration_ms: spread(&|attempt| attempt.duration_ms(attempt.launched_ms)),
        read_bytes: spread(&AttemptDetails::read_bytes),
        read_rows: spread(&AttemptDetails::read_rows),
        spilled_bytes: spread(&|attempt| attempt.metrics.spilled_bytes),
    }
}
