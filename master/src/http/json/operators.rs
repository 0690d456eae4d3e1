//! What the operators of a job's stages did, as JSON.

use hearth_common::{OperatorTotal, StageOperators};

use crate::http::described::described;
use crate::snapshot::JobAccount;

described! {
    /// What the operators of a job did, as far as tasks have ended well.
    pub(in crate::http) struct OperatorsJson {
        stages: Vec<StageOperatorsJson>,
    }
}

described! {
    /// The operators of a stage.
    struct StageOperatorsJson {
        stage: u32,
        /// Tasks that are in the sums, each once: its last attempt that ended well.
        tasks: u64,
        /// Tasks that ended well and are not in the sums, because there are so many.
        tasks_left_out: u64,
        /// Parents before their children; the first one is what becomes of the rows. Of very large plans, the first 128.
        operators: Vec<OperatorJson>,
    }
}

described! {
    /// An operator, over the tasks of its stage.
    struct OperatorJson {
        /// How deep it is in the plan.
        depth: u32,
        name: String,
        /// Its line in the plan of the stage; null where that has none.
        text: Option<String>,
        /// Rows that it gave.
        rows: u64,
        /// The most rows of one task.
        max_rows: u64,
        /// Time that it computed, without that of its inputs.
        compute_ms: f64,
        /// The longest of one task.
        max_compute_ms: f64,
        /// Time that it waited for files, for other workers or for room; only leaves and what writes rows tell it.
        waited_ms: f64,
        /// The longest of one task.
        max_waited_ms: f64,
        /// How often it put something on disk.
        spills: u64,
        spilled_bytes: u64,
        /// The most memory that it held in one task; 0 where it does not tell.
        max_memory_bytes: u64,
    }
}

impl OperatorsJson {
    pub(in crate::http) fn new(account: &JobAccount) -> Self {
        let texts = account.details().map(|details| details.plan.stages.as_slice()).unwrap_or_default();
        let text_of =
            |stage: &StageOperators| texts.get(stage.stage.0 as usize).map(String::as_str).unwrap_or_default();
        let stages = account.operators();
        Self { stages: stages.into_iter().map(|stage| StageOperatorsJson::new(stage, text_of(stage))).collect() }
    }
}

impl StageOperatorsJson {
    fn new(stage: &StageOperators, text: &str) -> Self {
        let lines = lines_of(stage, text);
        let mut lines = lines.into_iter();
        Self {
            stage: stage.stage.0,
            tasks: stage.tasks,
            tasks_left_out: stage.tasks_left_out,
            operators: stage
                .operators
                .iter()
                .map(|operator| OperatorJson::new(operator, lines.next().flatten()))
                .collect(),
        }
    }
}

/// The line of each operator in the text of a plan. What becomes of the rows has none, and a long text has not all of them; nobody has
/// one where the text does not fit.
fn lines_of(stage: &StageOperators, text: &str) -> Vec<Option<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let in_plan = stage.operators.iter().skip(1);
    let depth_of = |line: &str| (line.len() - line.trim_start().len()) / 2;
    let is_same = |(operator, line): (&OperatorTotal, &&str)| operator.depth as usize == depth_of(line) + 1;
    let is_left_out = |line: &str| line.starts_with("...");
    let fits = in_plan.zip(lines.iter().take_while(|line| !is_left_out(line))).all(is_same);
    let known = lines.iter().take_while(|line| fits && !is_left_out(line)).map(|line| Some(line.trim().to_owned()));
    std::iter::once(None).chain(known).collect()
}

impl OperatorJson {
    fn new(operator: &OperatorTotal, text: Option<String>) -> Self {
        let OperatorTotal { depth, name, sum, max } = operator;
        Self {
            depth: *depth,
            name: name.clone(),
            text,
            rows: sum.rows,
            max_rows: max.rows,
            compute_ms: ms(sum.compute_us),
            max_compute_ms: ms(max.compute_us),
            waited_ms: ms(sum.waited_us),
            max_waited_ms: ms(max.waited_us),
            spills: sum.spills,
            spilled_bytes: sum.spilled_bytes,
            max_memory_bytes: max.memory_bytes,
        }
    }
}

/// Milliseconds, with their thousandths.
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use hearth_common::{OperatorWork, StageId};

    use super::*;

    fn stage(depths: &[u32]) -> StageOperators {
        let (sum, max) = (OperatorWork::default(), OperatorWork::default());
        let operator = |depth: &u32| OperatorTotal { depth: *depth, name: "X".to_owned(), sum, max };
        StageOperators {
            stage: StageId(0),
            tasks: 1,
            tasks_left_out: 0,
            operators: depths.iter().map(operator).collect(),
        }
    }

    #[test]
    fn operators_find_their_lines_in_the_plan() {
        let line = |text: &str| Some(text.to_owned());
        let plan = "Join: on=a\n  Scan: left\n  Filter: x > 1\n    Scan: right";
        let expected = [None, line("Join: on=a"), line("Scan: left"), line("Filter: x > 1"), line("Scan: right")];
        assert_eq!(lines_of(&stage(&[0, 1, 2, 2, 3]), plan), expected);
        let cut = "Join: on=a\n  Scan: le\n... the rest is left out";
        assert_eq!(
            lines_of(&stage(&[0, 1, 2, 2, 3]), cut),
            expected[..2].iter().cloned().chain([line("Scan: le")]).collect::<Vec<_>>()
        );
        assert_eq!(lines_of(&stage(&[0, 1, 2, 3, 3]), plan), [None], "another plan");
        assert_eq!(lines_of(&stage(&[0, 1]), ""), [None]);
    }
}
