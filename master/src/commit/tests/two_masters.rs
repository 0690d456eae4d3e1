//! A master is stopped at any step of a commit, another one that has a copy of its state takes the job over, and then the first one
//! goes on: nothing that it does is seen.

use futures::FutureExt as _;

use super::*;

/// What the master that takes over does with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takeover {
    /// It knows the intent and carries it out, and has not removed the staging when the other one goes on.
    Publish,
    /// The same, and it has.
    PublishAndCleanUp,
    /// Its copy is older than the intent: it gives the job up.
    GiveUp,
}

async fn take_over(swap: Swap, intent: CommitIntent, takeover: Takeover) {
    let fs = CrashFs::steady(swap);
    let staging = intent.staging().unwrap();
    if takeover == Takeover::GiveUp {
        return fence(&fs, &staging.unclaimed()).await.unwrap();
    }
    roll_forward(&fs, &intent).await.unwrap();
    if takeover == Takeover::PublishAndCleanUp {
        clean_up(&fs, &staging).await.unwrap();
    }
}

/// Answers with the number of steps after which the first master met nothing any more.
async fn check_takeovers((mode, has_old, swap): (OutputMode, bool, Swap), takeover: Takeover) -> u32 {
    for steps in 0.. {
        let scene = Scene::new(mode, has_old);
        begin(&CrashFs::steady(swap), &scene.intent).await.unwrap();
        let theirs = scene.intent.clone().claimed();
        let fs = CrashFs::stopping(swap, steps, take_over(swap, theirs.clone(), takeover).boxed());
        let outcome = roll_forward(&fs, &scene.intent).await;
        let context = format!("{mode:?}, old: {has_old}, {swap:?}, {takeover:?}, stopped at step {steps}: {outcome:?}");
        if outcome.is_err() {
            let _ = roll_back(&fs, &scene.intent).await;
        }
        clean_up(&fs, &scene.intent.staging().unwrap()).await.unwrap();
        if !fs.has_stopped().await {
            return steps;
        }
        let before = if has_old { old() } else { BTreeMap::new() };
        match takeover {
            Takeover::GiveUp => {
                let expected = if outcome.is_ok() { scene.expected(has_old) } else { before };
                assert_eq!(scene.visible(), expected, "{context}");
            }
            Takeover::Publish | Takeover::PublishAndCleanUp => {
                assert_eq!(scene.visible(), scene.expected(has_old), "{context}");
                assert_eq!(scene.rejects(), scene.expected_rejects(has_old), "{context}");
                clean_up(&CrashFs::steady(swap), &theirs.staging().unwrap()).await.unwrap();
                assert_eq!(scene.visible(), scene.expected(has_old), "{context}");
            }
        }
        assert!(!scene.has_staging(), "{context}");
    }
    0
}

#[tokio::test]
async fn a_master_that_lives_on_publishes_nothing() {
    for takeover in [Takeover::Publish, Takeover::PublishAndCleanUp] {
        for scene in [
            (OutputMode::Error, false, Swap::Exchange),
            (OutputMode::Overwrite, false, Swap::MoveAside),
            (OutputMode::Overwrite, true, Swap::MoveAside),
            (OutputMode::Overwrite, true, Swap::Exchange),
            (OutputMode::Append, false, Swap::Exchange),
            (OutputMode::Append, true, Swap::Exchange),
        ] {
            assert!(check_takeovers(scene, takeover).await > 8, "{scene:?}");
        }
    }
}

#[tokio::test]
async fn a_master_whose_job_was_given_up_publishes_nothing() {
    for scene in [
        (OutputMode::Error, false, Swap::Exchange),
        (OutputMode::Overwrite, true, Swap::MoveAside),
        (OutputMode::Overwrite, true, Swap::Exchange),
    ] {
        assert!(check_takeovers(scene, Takeover::GiveUp).await > 8, "{scene:?}");
    }
}
