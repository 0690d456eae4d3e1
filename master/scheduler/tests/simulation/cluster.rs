//! The state of the fake cluster: hosts, lives of workers, connections, and what is on its way. No behaviour.

use std::collections::{BTreeMap, VecDeque};

use hearth_common::{Absence, AttemptId, FailureCause, JobId, LinkScan, WorkerId};
use hearth_scheduler::{AttemptOutput, CommitOutcome, Event, Held, Launch, Winner};

use crate::content::Content;

/// A machine. It runs at most one worker at a time.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) life: Option<Life>,
    /// Nothing happens on it before.
    pub(crate) hung_until: u64,
    /// Most attempts on it fail before.
    pub(crate) sick_until: u64,
    /// Other hosts cannot reach its shuffle service before.
    pub(crate) unreadable_until: u64,
    /// Its shuffle service takes connections and says nothing before; all else on it goes on.
    pub(crate) silent_until: u64,
    /// Its worker gets no connection to the shuffle service of these hosts before.
    pub(crate) cut_from: BTreeMap<usize, u64>,
    /// Its worker cannot reach the master before.
    pub(crate) cut_off_until: u64,
}

/// One life of a worker process.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) worker: WorkerId,
    pub(crate) slots: u32,
    /// Its connection, as far as it knows.
    pub(crate) link: Option<u64>,
    pub(crate) running: BTreeMap<AttemptId, Running>,
    pub(crate) queue: VecDeque<Launch>,
    pub(crate) outputs: BTreeMap<AttemptId, Content>,
    /// Reports that the master has not acknowledged.
    pub(crate) reports: BTreeMap<AttemptId, Report>,
    pub(crate) is_draining: bool,
    /// Workers whose service was silent to it, and is only probed before.
    pub(crate) doubted: BTreeMap<WorkerId, u64>,
    /// Workers that the master told it are absent, and how far.
    pub(crate) absent: BTreeMap<WorkerId, Absence>,
}

/// An attempt that holds a slot.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) launch: Launch,
    /// The output that it waits for.
    pub(crate) waits_for: Option<Winner>,
    /// What it read, once it has.
    pub(crate) read: Option<BTreeMap<hearth_common::StageId, Vec<Content>>>,
}

/// How an attempt ended, and what it found out about links.
#[derive(Debug, Clone)]
pub(crate) enum Report {
    Finished(AttemptOutput, Vec<LinkScan>),
    Failed(FailureCause, Vec<LinkScan>),
}

/// What a worker tells the master.
#[derive(Debug, Clone)]
pub(crate) enum ToMaster {
    Hello {
        worker: WorkerId,
        slots: u32,
        names: Vec<String>,
        held: Held,
    },
    Heartbeat(WorkerId),
    Report {
        worker: WorkerId,
        attempt: AttemptId,
        report: Report,
    },
    Draining(WorkerId),
    Gone(WorkerId),
    /// The connection is found to be broken; always the last thing heard of it.
    Broken(WorkerId),
}

/// What the master tells a worker.
#[derive(Debug, Clone)]
pub(crate) enum ToWorker {
    Launch(Launch),
    Cancel(AttemptId),
    RemoveOutput(AttemptId),
    RemoveJob(JobId),
    Fence,
    Release,
    SourceAbsent(WorkerId, Absence),
    Ack(AttemptId),
}

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Submit(JobId),
    Deliver(Event),
    CommitAttempt(JobId),
    CommitEnd(JobId, CommitOutcome),
    ToMaster {
        link: u64,
        message: ToMaster,
    },
    OnHost {
        host: usize,
        what: OnHost,
    },
    Fault,
    FaultsEnd,
    /// The store stores again.
    StoreGoesOn,
    MasterCrash,
    MasterUp,
}

/// Something that will happen on a host; it waits while the host hangs.
#[derive(Debug, Clone)]
pub(crate) enum OnHost {
    Start,
    Connect(WorkerId),
    Heartbeat {
        worker: WorkerId,
        link: u64,
    },
    Receive {
        link: u64,
        message: ToWorker,
    },
    Read(WorkerId, AttemptId),
    /// It has waited long enough for that output.
    GiveUpReading(WorkerId, AttemptId, Winner),
    End(WorkerId, AttemptId),
    Leave(WorkerId),
}

/// A connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) host: usize,
    /// When the last message sent over it arrives, each way: messages do not overtake each other.
    pub(crate) to_master_at: u64,
    pub(crate) to_worker_at: u64,
    pub(crate) is_broken: bool,
}
