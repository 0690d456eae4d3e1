//! Planted bugs: each variant alters one decision at one place.
//!
//! A simulation that passes proves little until planted bugs make it fail. These are compiled in, so that the test of the
//! simulation runs the very code that is shipped; nothing but that test sets one.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A finished attempt is accepted although its task has been given to another.
    AcceptStaleFinish,
    /// A report that arrives twice counts as one more finished task.
    CountFinishTwice,
    /// The final stage is committed with one task still missing.
    CommitEarly,
    /// A lost result is committed again instead of being computed again.
    CommitLostResult,
    /// A cancellation during the commit ends the job.
    CancelDuringCommit,
    /// A stage starts when its inputs have begun to be there.
    StartStageEarly,
    /// The last shuffle partition is in no group.
    DropLastPartition,
    /// The loss of an indeterminate output invalidates nothing.
    KeepReaders,
    /// It invalidates the stages that read it, but not those that read them.
    KeepIndirectReaders,
    /// It invalidates finished readers, but not running ones.
    KeepRunningReaders,
    /// It invalidates everything but the final stage.
    KeepFinalWinners,
    /// An unreadable shuffle output is not produced again.
    KeepUnreadableOutput,
    /// The reader of an unreadable shuffle output is blamed as for an internal error.
    BlameReader,
    /// The attempts of a lost worker are not run elsewhere.
    ForgetLostAttempts,
    /// The loss of a worker counts as an internal error of its attempts.
    CountLostWorkers,
    /// Lost workers count as in a row although attempts in between were reported on.
    NeverForgiveLostWorkers,
    /// A lease that ended has no consequences.
    IgnoreLeaseEnd,
    /// A worker whose lease ended is not told so.
    ForgetFence,
    /// Attempts that a worker lost with its connection are believed to run.
    TrustLostLaunches,
    /// Outputs of ended jobs that a worker brings back stay on its disk.
    KeepReturnedOutputs,
    /// Late reports about ended jobs leave their output on disk.
    KeepLateOutputs,
    /// The outputs of an ended job stay on disk.
    KeepJobShuffle,
    /// The attempts of an ended job run on.
    KeepAttemptsOfEndedJob,
    /// A waiting time that is over has no consequences.
    ForgetBackoff,
    /// An attempt does not take a slot.
    LaunchBeyondSlots,
    /// A draining worker gets attempts.
    LaunchOnDraining,
    /// Jobs do not wait for their turn.
    AdmitEveryJob,
    /// A finished attempt wins although the starts of its links are not known.
    AcceptUnprovedGuess,
    /// A failure is believed although the starts of the links are not known.
    BelieveDoubtfulFailure,
    /// An attempt that failed in doubt wins when the starts of its links turn out right.
    ForgetDoubts,
    /// A believed failure keeps the line that was counted from a guess.
    ForgetLineBase,
    /// The output of a wrong guess stays on its worker.
    KeepWrongGuessOutput,
    /// The end of a link is taken from the last report, wherever that started.
    UseQuotedSpanOfWrongStart,
    /// What would have been had a link begun inside quotes is not learned.
    IgnoreQuotedSpans,
    /// The start of a link is handed on to the next link, but not to the one after it.
    FollowOneLink,
    /// Attempts guess although starts are known.
    ForgetKnownStarts,
    /// The output of an unproved attempt is not lost with its worker.
    ForgetUnprovedOfLostWorker,
    /// A worker that comes back is told to remove the outputs of unproved attempts.
    ForgetUnprovedOnReconnect,
    /// The loss of an indeterminate output invalidates finished readers, but not unproved ones.
    KeepUnprovedReaders,
    /// Tasks do not wait for slots on their hosts.
    IgnoreLocality,
    /// They wait for ever.
    WaitForLocalityForever,
    /// They wait for hosts that have no worker any more.
    WaitForDeadHosts,
    /// Slow attempts get no second one.
    IgnoreStragglers,
    /// They get one on any worker.
    LaunchSecondBesideFirst,
    /// They get one although tasks wait for a slot.
    LaunchSecondsFirst,
    /// They get as many as there are slots.
    LaunchManySeconds,
    /// The loser of two attempts runs on.
    KeepLoser,
    /// The loss or failure of one of two attempts makes the task wait.
    ForgetSecond,
    /// Failures on a worker have no consequences for it.
    ForgetBlame,
    /// A job launches attempts on workers that it has excluded.
    LaunchOnExcluded,
    /// The last worker that takes attempts may be excluded.
    ExcludeLastWorker,
    /// An excluded worker stays so.
    ExcludeForever,
    /// Jobs have their turn in the order of their submission.
    IgnorePriority,
    /// Nothing happens when the time of a job is over.
    IgnoreDeadline,
    /// A draining worker may leave at once.
    ReleaseTooEarly,
    /// It may never leave.
    NeverRelease,
    /// A restored task numbers its attempts from the beginning.
    ReuseAttemptNumbers,
    /// Winners are forgotten by a restart.
    ForgetRestoredWinners,
    /// Attempts that ran before a restart are not taken over.
    ForgetRestoredRuns,
    /// Workers that were known before a restart are waited for without end.
    WaitForRestoredForever,
    /// A restart gives jobs their whole time again.
    RestartDeadline,
    /// How often tasks failed, and how many workers they lost, is forgotten by a restart.
    ForgetRestoredHistory,
    /// What was known of links is forgotten by a restart.
    ForgetRestoredLinks,
    /// How shuffle partitions were merged is forgotten by a restart.
    ForgetRestoredGroups,
    /// That an indeterminate output was read, or is lost, is forgotten by a restart.
    ForgetRestoredVersions,
    /// How long attempts take is forgotten by a restart.
    ForgetRestoredDurations,
    /// An output that one reader does not reach is taken for lost.
    IgnoreCuts,
    /// A worker that once did not reach another one is never sent to read from it again.
    BelieveCutsForever,
    /// Readers are launched where they do not reach what they read.
    LaunchOutOfReach,
    /// A job waits where no worker reaches all that it has to read.
    WaitForAPath,
    /// What is made again may be out of reach again.
    ForgetHub,
    /// A worker of which nothing is heard is trusted until its lease ends.
    TrustSilent,
    /// Nobody is told that a worker which others read from is silent or lost.
    LetReadersWait,
    /// Who reads from a silent worker later is not told.
    TellNoNewReaders,
    /// Of a silent worker's outputs only the one is made again that a reader asked for.
    LoseOneOfSilent,
    /// Failures that are nobody's fault are counted all the same.
    CountBlameless,
    /// The owner carries effects out before the facts behind them are stored.
    ActBeforeStored,
}

impl Mutation {
    /// Every planted bug.
    pub const ALL: [Self; 77] = [
        Self::AcceptStaleFinish,
        Self::CountFinishTwice,
        Self::CommitEarly,
        Self::CommitLostResult,
        Self::CancelDuringCommit,
        Self::StartStageEarly,
        Self::DropLastPartition,
        Self::KeepReaders,
        Self::KeepIndirectReaders,
        Self::KeepRunningReaders,
        Self::KeepFinalWinners,
        Self::KeepUnreadableOutput,
        Self::BlameReader,
        Self::ForgetLostAttempts,
        Self::CountLostWorkers,
        Self::NeverForgiveLostWorkers,
        Self::IgnoreLeaseEnd,
        Self::ForgetFence,
        Self::TrustLostLaunches,
        Self::KeepReturnedOutputs,
        Self::KeepLateOutputs,
        Self::KeepJobShuffle,
        Self::KeepAttemptsOfEndedJob,
        Self::ForgetBackoff,
        Self::LaunchBeyondSlots,
        Self::LaunchOnDraining,
        Self::AdmitEveryJob,
        Self::AcceptUnprovedGuess,
        Self::BelieveDoubtfulFailure,
        Self::ForgetDoubts,
        Self::ForgetLineBase,
        Self::KeepWrongGuessOutput,
        Self::UseQuotedSpanOfWrongStart,
        Self::IgnoreQuotedSpans,
        Self::FollowOneLink,
        Self::ForgetKnownStarts,
        Self::ForgetUnprovedOfLostWorker,
        Self::ForgetUnprovedOnReconnect,
        Self::KeepUnprovedReaders,
        Self::IgnoreLocality,
        Self::WaitForLocalityForever,
        Self::WaitForDeadHosts,
        Self::IgnoreStragglers,
        Self::LaunchSecondBesideFirst,
        Self::LaunchSecondsFirst,
        Self::LaunchManySeconds,
        Self::KeepLoser,
        Self::ForgetSecond,
        Self::ForgetBlame,
        Self::LaunchOnExcluded,
        Self::ExcludeLastWorker,
        Self::ExcludeForever,
        Self::IgnorePriority,
        Self::IgnoreDeadline,
        Self::ReleaseTooEarly,
        Self::NeverRelease,
        Self::ReuseAttemptNumbers,
        Self::ForgetRestoredWinners,
        Self::ForgetRestoredRuns,
        Self::WaitForRestoredForever,
        Self::RestartDeadline,
        Self::ForgetRestoredHistory,
        Self::ForgetRestoredLinks,
        Self::ForgetRestoredGroups,
        Self::ForgetRestoredVersions,
        Self::ForgetRestoredDurations,
        Self::IgnoreCuts,
        Self::BelieveCutsForever,
        Self::LaunchOutOfReach,
        Self::WaitForAPath,
        Self::ForgetHub,
        Self::TrustSilent,
        Self::LetReadersWait,
        Self::TellNoNewReaders,
        Self::LoseOneOfSilent,
        Self::CountBlameless,
        Self::ActBeforeStored,
    ];

    /// It makes more happen than the completion of a stage lets happen, so stages are looked at after every event.
    pub(crate) const fn needs_resettling(self) -> bool {
        matches!(self, Self::StartStageEarly | Self::CommitEarly | Self::CountFinishTwice)
    }
}
