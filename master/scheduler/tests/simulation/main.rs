//! Seeded simulation of a cluster: fake workers, a network that delays, drops and repeats, and faults of every kind. Then
//! the faults stop, and every job must commit exactly once, or fail for a reason.
//!
//! `HEARTH_SIM_SEEDS` says how many seeds run, `HEARTH_SIM_FIRST_SEED` which one is the first: a failure names its seed.
//! With `HEARTH_SIM_TRACE` set, every event and effect is printed.

#[cfg(test)]
mod chains;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod content;
#[cfg(test)]
mod exclusions;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod input;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod locality;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod owner;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod restarts_seen;
#[cfg(test)]
mod rng;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod seconds;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod work;
#[cfg(test)]
mod world;

use hearth_scheduler::mutation::Mutation;

use crate::world::{run, run_without_faults};

/// Seeds among which each planted bug must show.
const SEEDS_PER_MUTATION: u64 = 4_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| unreachable!("{name} is a number")))
}

#[test]
fn every_job_commits_exactly_once() {
    let first = setting("HEARTH_SIM_FIRST_SEED", 0);
    let (mut events, mut done, mut failed, mut wrong, mut unproved, mut seconds) = (0, 0, 0, 0, 0, 0);
    let (mut restarts, mut unreached, mut unreached_max) = (0, 0, 0);
    for seed in first..first + setting("HEARTH_SIM_SEEDS", 1_000) {
        let summary = run(seed, None).unwrap_or_else(|problem| panic!("{problem}"));
        events += summary.events;
        done += summary.jobs_done;
        failed += summary.jobs_failed;
        wrong += summary.wrong_guesses;
        unproved += summary.unproved;
        seconds += summary.seconds;
        restarts += summary.restarts;
        unreached += summary.unreached;
        unreached_max = unreached_max.max(summary.unreached);
    }
    println!("{events} events, {done} jobs done, {failed} failed as they should");
    println!(
        "{restarts} restarts of the master; {unreached} readers reached nobody, {unreached_max} of them in one run"
    );
    println!("{unproved} attempts were unproved for a while, {wrong} guessed wrongly; {seconds} ran beside slow ones");
    assert!(wrong.min(unproved) >= done, "attempts that rarely guess, and rarely guess wrongly, prove little");
    assert!(unreached >= restarts, "cuts that nobody meets prove little");
    assert!(restarts > 0, "masters that are never killed prove little");
}

#[test]
fn the_same_seed_gives_the_same_effects() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None));
    }
}

#[test]
fn without_faults_every_task_runs_once() {
    for seed in 0..200 {
        run_without_faults(seed).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        match (0..SEEDS_PER_MUTATION).find_map(|seed| run(seed, Some(mutation)).err()) {
            Some(problem) => println!("{mutation:?}: {}", problem.chars().take(200).collect::<String>()),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "planted bugs that were not caught: {missed:?}");
}
