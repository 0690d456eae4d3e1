//! One master at a time, whoever dies, hangs or wakes up.

use super::candidate::SILENCE_MIN;
use super::place::Place;
use super::*;

fn candidate(root: &tempfile::TempDir, name: &str) -> Candidate {
    let reached = Reached { rpc: format!("{name}:7077"), http: format!("{name}:8080") };
    let mut candidate = Candidate::new(root.path(), reached, Duration::from_millis(600)).unwrap();
    candidate.place = Place::Shared;
    candidate
}

fn active(outlook: Outlook) -> (Tenure, Handover) {
    let Outlook::Active(tenure, handover) = outlook else { panic!("{outlook:?}") };
    (tenure, handover)
}

fn waiting(outlook: Outlook) -> Waiting {
    let Outlook::Waits(waiting) = outlook else { panic!("{outlook:?}") };
    waiting
}

/// Writes the file of an epoch of another host, whose lock tells nothing.
fn write_elsewhere(root: &tempfile::TempDir, number: u64, change: impl FnOnce(&mut Record)) {
    Epochs::open(root.path()).unwrap();
    let epoch = Epoch { cluster: hearth_common::ClusterId::from_u128(1), number };
    let reached = Reached { rpc: "far:7077".to_owned(), http: "far:8080".to_owned() };
    let mut record = Record { boot: "another".to_owned(), ..Record::new(epoch, reached) };
    change(&mut record);
    let path = root.path().join("epochs").join(format!("{number:010}"));
    let file = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    record.write(&file).unwrap();
}

#[test]
fn who_ended_is_succeeded_at_once_and_epochs_grow() {
    let root = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (candidate(&root, "one"), candidate(&root, "two"));
    let (first, handover) = active(one.look().unwrap());
    assert_eq!((first.epoch().number, handover), (1, Handover::InPlace));
    let seen = waiting(two.look().unwrap());
    assert!(seen.lives && seen.active.unwrap().reached.rpc == "one:7077");
    first.check().unwrap();
    first.end();
    let (second, handover) = active(two.look().unwrap());
    assert_eq!((second.epoch().number, handover), (2, Handover::InPlace));
    assert!(first.epoch().is_older_than(second.epoch()), "of the same cluster");
    assert_eq!(first.check(), Err(Lost::Fenced { own: 1, newest: 2 }));
    assert!(first.lost().is_cancelled());
    second.forget_earlier().unwrap();
    assert_eq!(first.successor().unwrap().epoch, second.epoch());
    assert_eq!(first.check(), Err(Lost::Fenced { own: 1, newest: 2 }), "also when its own file is gone");
    second.check().unwrap();
}

#[test]
fn who_is_silent_is_fenced_though_it_has_its_lock() {
    let root = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (candidate(&root, "one"), candidate(&root, "two"));
    // Its beat comes later than this candidate's patience ends, as that of a process which hangs.
    let (first, _) = active(one.look().unwrap());
    let began = Instant::now();
    let (second, handover) = loop {
        match two.look().unwrap() {
            Outlook::Active(tenure, handover) => break (tenure, handover),
            Outlook::Waits(waiting) => assert!(waiting.lives && began.elapsed() < SILENCE_MIN),
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert!(began.elapsed() >= Duration::from_millis(600));
    assert_eq!((second.epoch().number, handover), (2, Handover::Copy), "its store is left to it");
    assert_eq!(first.check(), Err(Lost::Fenced { own: 1, newest: 2 }));
    second.check().unwrap();
}

#[test]
fn locks_of_other_hosts_tell_nothing_and_a_held_up_candidate_looks_again() {
    let root = tempfile::tempdir().unwrap();
    write_elsewhere(&root, 7, |_| {});
    let mut candidate = candidate(&root, "one");
    assert!(!waiting(candidate.look().unwrap()).lives, "it is not known");
    thread::sleep(Duration::from_millis(300));
    write_elsewhere(&root, 7, |record| record.beat = 1);
    assert!(waiting(candidate.look().unwrap()).lives, "its beat has grown");
    // It did not see what happened in the meantime.
    thread::sleep(Duration::from_millis(3100));
    assert!(!waiting(candidate.look().unwrap()).lives);
    thread::sleep(Duration::from_millis(700));
    let (tenure, handover) = active(candidate.look().unwrap());
    assert_eq!((tenure.epoch().number, handover), (8, Handover::Copy));
}

#[test]
fn after_a_power_failure_a_free_lock_is_believed_where_no_other_host_can_be() {
    let root = tempfile::tempdir().unwrap();
    write_elsewhere(&root, 7, |_| {});
    let held = File::open(root.path().join("epochs/0000000007")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut candidate = candidate(&root, "one");
    candidate.place = Place::OneHost;
    assert!(waiting(candidate.look().unwrap()).lives, "its lock is held");
    drop(held);
    let (tenure, handover) = active(candidate.look().unwrap());
    assert_eq!((tenure.epoch().number, handover), (8, Handover::InPlace));
}

#[test]
fn who_told_its_end_elsewhere_is_succeeded_at_once() {
    let root = tempfile::tempdir().unwrap();
    write_elsewhere(&root, 3, |record| record.has_ended = true);
    let (tenure, handover) = active(candidate(&root, "one").look().unwrap());
    assert_eq!((tenure.epoch().number, handover), (4, Handover::InPlace));
    assert_eq!(tenure.epoch().cluster, hearth_common::ClusterId::from_u128(1));
}

#[test]
fn one_of_many_takes_the_next_epoch() {
    let root = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let mut candidates: Vec<_> = (0..8).map(|number| candidate(&root, &format!("node{number}"))).collect();
        // Those who look at one file in the same moment may all find it locked.
        let (mut taken, mut looks) = (Vec::new(), 0);
        while taken.is_empty() {
            looks += 1;
            assert!(looks < 100, "nobody becomes active");
            thread::scope(|scope| {
                let looks: Vec<_> = candidates.iter_mut().map(|one| scope.spawn(move || one.look().unwrap())).collect();
                for look in looks {
                    match look.join().unwrap() {
                        Outlook::Active(tenure, _) => taken.push(tenure),
                        Outlook::Waits(_) => {}
                    }
                }
            });
        }
        let [tenure] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(tenure.epoch().number, round);
        tenure.end();
    }
}
