//! Any order of events, sensible or not, keeps the invariants; what is said twice changes nothing.

#[cfg(test)]
mod events;
#[cfg(test)]
mod scans;

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::JobId;
use hearth_scheduler::{Effect, Event, JobView, Launch, Millis, Scheduler, SchedulerConfig};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::events::{Step, steps};

fn scheduler() -> Scheduler {
    Scheduler::new(SchedulerConfig { running_jobs_max: 2, queued_jobs_max: 2, ..SchedulerConfig::default() })
}

/// Runs the steps, and looks at the scheduler before and after each, and at its effects.
fn run(
    steps: &[Step],
    mut look: impl FnMut(&Scheduler, (Millis, &Event), &Scheduler, &[Effect]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut scheduler = scheduler();
    let mut now = Millis(0);
    let (mut launched, mut over) = (Vec::new(), BTreeSet::new());
    for step in steps {
        now.0 += step.wait_ms;
        let mut event = step.event(&launched);
        if matches!(&event, Event::JobSubmitted { job, .. } if over.contains(job)) {
            // The owner does not reuse ids.
            event = Event::Tick;
        }
        let before = scheduler.clone();
        let mut effects = Vec::new();
        scheduler.handle(now, event.clone(), &mut effects);
        launched.extend(launches(&effects));
        over.extend(ended(&effects));
        look(&before, (now, &event), &scheduler, &effects)?;
    }
    Ok(())
}

/// Events that tell the scheduler something, so that telling it again is no news. A worker that connects again has lost its
/// old connection, and that is news.
fn is_idempotent(event: &Event) -> bool {
    !matches!(event, Event::WorkerConnected { .. })
}

fn ended(effects: &[Effect]) -> Vec<JobId> {
    let job = |effect: &Effect| if let Effect::JobEnded { job, .. } = effect { Some(*job) } else { None };
    effects.iter().filter_map(job).collect()
}

fn launches(effects: &[Effect]) -> Vec<Launch> {
    let launch = |effect: &Effect| if let Effect::Launch(launch) = effect { Some(launch.clone()) } else { None };
    effects.iter().filter_map(launch).collect()
}

/// The job that an effect concerns, unless it only tidies up on a worker.
fn job_of(effect: &Effect) -> Option<JobId> {
    match effect {
        Effect::RejectJob { .. }
        | Effect::FenceWorker { .. }
        | Effect::ReleaseWorker { .. }
        | Effect::TellReader { .. }
        | Effect::RemoveJobShuffle { .. }
        | Effect::RemoveShuffleOutput { .. }
        | Effect::CancelAttempt { .. } => None,
        Effect::Plan { job }
        | Effect::Commit { job, .. }
        | Effect::DiscardOutput { job }
        | Effect::HubChosen { job, .. }
        | Effect::JobChanged { job }
        | Effect::JobEnded { job, .. } => Some(*job),
        Effect::Launch(launch) => Some(launch.attempt.task.job),
    }
}

/// Random steps that never get far would prove little.
#[test]
fn random_steps_reach_every_kind_of_effect() {
    let mut runner = TestRunner::deterministic();
    let mut kinds = BTreeMap::<String, usize>::new();
    for _ in 0..300 {
        let tree = steps().new_tree(&mut runner).unwrap();
        run(&tree.current(), |_, _, after, effects| {
            let is_unproved = |job: JobView<'_>| job.stages().any(|stage| stage.unproved() > 0);
            *kinds.entry("Unproved".to_owned()).or_default() += after.jobs().filter(|job| is_unproved(*job)).count();
            let mut tasks =
                after.jobs().flat_map(|job| job.stages().flat_map(|stage| stage.tasks()).collect::<Vec<_>>());
            *kinds.entry("Doubled".to_owned()).or_default() += usize::from(tasks.any(|task| task.runs().count() == 2));
            for effect in effects {
                let text = format!("{effect:?}");
                let name = text.split([' ', '(']).next().unwrap_or_default();
                let kind = if text.ends_with("failure: None }") { "Done" } else { name };
                *kinds.entry(kind.to_owned()).or_default() += 1;
            }
            Ok(())
        })
        .unwrap();
    }
    println!("{kinds:?}");
    for kind in [
        "Launch",
        "CancelAttempt",
        "Commit",
        "DiscardOutput",
        "RemoveShuffleOutput",
        "RemoveJobShuffle",
        "Done",
        "Unproved",
        "Doubled",
    ] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= 20), "{kind} is rare: {kinds:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counters_and_indexes_equal_a_recount(steps in steps()) {
        run(&steps, |_, (_, event), after, _| {
            after.check_invariants().map_err(|problem| TestCaseError::fail(format!("{event:?}: {problem}")))
        })?;
    }

    #[test]
    fn the_same_events_give_the_same_effects(steps in steps()) {
        let mut seen = Vec::new();
        run(&steps, |_, _, _, effects| { seen.extend_from_slice(effects); Ok(()) })?;
        let mut again = Vec::new();
        run(&steps, |_, _, _, effects| { again.extend_from_slice(effects); Ok(()) })?;
        prop_assert_eq!(seen, again);
    }

    #[test]
    fn what_is_said_twice_changes_nothing(steps in steps()) {
        run(&steps, |_, (now, event), after, _| {
            if !is_idempotent(event) {
                return Ok(());
            }
            let mut twice = after.clone();
            let mut effects = Vec::new();
            twice.handle(now, event.clone(), &mut effects);
            let is_repeatable = |effect: &Effect| matches!(
                effect,
                Effect::FenceWorker { .. }
                    | Effect::RemoveShuffleOutput { .. }
                    | Effect::RemoveJobShuffle { .. }
                    | Effect::RejectJob { .. }
            );
            prop_assert!(effects.iter().all(is_repeatable), "{event:?} said twice: {effects:?}");
            prop_assert_eq!(&twice, after);
            Ok(())
        })?;
    }

    #[test]
    fn slots_are_never_oversubscribed(steps in steps()) {
        run(&steps, |before, _, after, effects| {
            for launch in launches(effects) {
                let worker = after.worker(launch.worker);
                prop_assert!(worker.is_some_and(|worker| worker.used() <= worker.slots() as usize));
                prop_assert!(before.job(launch.attempt.task.job).is_some());
            }
            Ok(())
        })?;
    }

    #[test]
    fn an_attempt_number_is_launched_once(steps in steps()) {
        let mut launched = BTreeSet::new();
        run(&steps, |_, _, _, effects| {
            for launch in launches(effects) {
                prop_assert!(launched.insert(launch.attempt), "{} twice", launch.attempt);
            }
            Ok(())
        })?;
    }

    #[test]
    fn ended_jobs_are_forgotten_and_quiet(steps in steps()) {
        run(&steps, |before, _, after, effects| {
            for job in ended(effects) {
                prop_assert!(before.job(job).is_some() && after.job(job).is_none());
                let end = effects.iter().position(|effect| matches!(effect, Effect::JobEnded { job: of, .. } if *of == job));
                let later = effects.iter().skip(end.unwrap_or(0) + 1).filter_map(job_of);
                prop_assert!(!later.into_iter().any(|of| of == job), "{job} is heard of after its end: {effects:?}");
            }
            for job in effects.iter().filter_map(job_of) {
                prop_assert!(before.job(job).is_some() || after.job(job).is_some(), "{job} is unknown: {effects:?}");
            }
            Ok(())
        })?;
    }
}
