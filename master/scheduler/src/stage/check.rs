//! Recounts a stage and compares; for tests.

use super::Stage;
use crate::run::Runs;
use crate::task::{Task, TaskState};

impl Stage {
    /// Compares the counters with a recount; for tests.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = |is: fn(&TaskState) -> bool| self.tasks.iter().filter(|task| is(&task.state())).count();
        let done = count(|state| matches!(state, TaskState::Done { .. }));
        let running = count(|state| matches!(state, TaskState::Running(_)));
        let unproved = count(|state| matches!(state, TaskState::Unproved { .. }));
        let waiting = count(|state| matches!(state, TaskState::Waiting));
        let counted = (self.done as usize, self.running as usize, self.unproved as usize, self.waiting());
        let found = (done, running, unproved, waiting);
        if found != counted {
            return Err(format!("stage {}: counted {counted:?} (done, running, ...), found {found:?}", self.id));
        }
        let is_waiting =
            |partition: u32| self.task(partition).is_some_and(|task| matches!(task.state(), TaskState::Waiting));
        let mut listed =
            self.ready.iter().chain(&self.picky).chain(self.homes.waiting()).map(|(_, partition)| *partition);
        if let Some(partition) = listed.find(|partition| !is_waiting(*partition)) {
            return Err(format!("stage {}: task {partition} is ready, but does not wait", self.id));
        }
        let lone = |task: &Task| matches!(task.state(), TaskState::Running(Runs::One(_)));
        if self.tasks.iter().filter(|task| lone(task)).count() != self.lone_runs.len() {
            return Err(format!("stage {}: attempts that run alone are {:?}", self.id, self.lone_runs));
        }
        self.chains
            .check()
            .and_then(|()| self.check_claims())
            .map_err(|problem| format!("stage {}: {problem}", self.id))
    }

    /// Every unproved task has a claim, and each of its open guesses waits for an earlier task that is not done. That one may
    /// be unproved itself, but then for another chain and so for a still earlier one: the first of them waits, backs off or
    /// runs, and tasks cannot wait for each other.
    fn check_claims(&self) -> Result<(), String> {
        if self.claims.iter().count() != self.unproved as usize {
            return Err(format!("{} attempts are unproved, but {} claim", self.unproved, self.claims.iter().count()));
        }
        let is_done =
            |partition| self.task(partition).is_some_and(|task| matches!(task.state(), TaskState::Done { .. }));
        for (partition, claim) in self.claims.iter() {
            let state = self.task(partition).map(Task::state);
            if !matches!(state, Some(TaskState::Unproved { .. })) || claim.guesses.is_empty() {
                return Err(format!("task {partition} is {state:?}, but has {claim:?}"));
            }
            for link in claim.guesses.keys() {
                let is_known = self.chains.get(*link).is_none_or(|facts| facts.known.start.is_some());
                let before = self.chains.task_before(*link);
                if is_known || before.is_none_or(|before| before >= partition || is_done(before)) {
                    return Err(format!(
                        "task {partition} is unproved by link {link}, which waits for task {before:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}
