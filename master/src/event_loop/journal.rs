//! The store comes first: what the event loop decides is sent out only once the facts behind it are on the disk.
//!
//! Facts that changed are written in batches, one at a time: while one is under way, the next one gathers, so that the disk sets
//! the size of a batch and the loop never waits. Whatever the outside would see (messages to workers, acknowledgements, commits,
//! ends of jobs) is held, in order, until the batch is written that has the facts of its time. So the outside never knows more
//! than a master that starts from the store, wherever this one is killed.

use std::sync::Arc;

use hearth_common::{JobStatus, WorkerId};

use super::Owner;
use super::clients::Reply;
use super::gate::{Facts, Gate};
use crate::commit::Staging;
use crate::effects::CommitOrder;
use crate::results::ResultOrder;
use crate::store::{StoreError, Write, record};
use crate::workers::Outgoing;

/// What the outside sees, and sees only once the facts behind it are stored.
#[derive(Debug)]
pub(crate) enum Held {
    /// A message to a worker on that connection. On another one, it has said since what it has.
    Message { worker: WorkerId, connection: u64, message: Outgoing },
    /// A commit of files begins.
    Commit(CommitOrder),
    /// A commit of a result begins.
    Fetch(ResultOrder),
    /// A staging directory goes.
    Discard(Staging),
    /// A job is over.
    Ended(Arc<JobStatus>),
    /// A client hears.
    Reply(Reply),
}

/// What is to be written, what is being written, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Journal {
    writes: Vec<Write>,
    gate: Gate<Held>,
}

impl Owner {
    /// Has changes written with the next batch.
    pub(crate) fn record(&mut self, writes: Result<impl IntoIterator<Item = Write>, StoreError>) {
        match writes {
            Ok(writes) => self.journal.writes.extend(writes),
            Err(error) => self.on_store_broken(&error),
        }
    }

    /// Lets something happen once everything is written that was decided up to now.
    pub(crate) fn hold(&mut self, held: Held) {
        let facts = if self.has_new_facts() { Facts::New } else { Facts::Given };
        if let Some(held) = self.journal.gate.hold(facts, held) {
            self.let_happen(held);
        }
    }

    fn has_new_facts(&self) -> bool {
        !self.journal.writes.is_empty() || self.scheduler.has_changes()
    }

    /// Gives the store what has gathered, unless it is still at work.
    pub(super) fn save(&mut self) {
        if self.journal.gate.is_writing() || !self.has_new_facts() {
            return;
        }
        let changes = self.scheduler.take_changes();
        self.record(record::changes(&changes));
        let journal = &mut self.journal;
        match self.services.begin_write(std::mem::take(&mut journal.writes)) {
            Ok(()) => journal.gate.begin(),
            // The store answers others first, and the loop hears of that.
            Err(writes) => journal.writes = writes,
        }
    }

    /// The batch that was under way is written.
    pub(super) fn on_written(&mut self, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            self.on_store_broken(&error);
            return;
        }
        self.journal.gate.end();
        while let Some(held) = self.journal.gate.release() {
            self.let_happen(held);
        }
        self.flush();
    }

    /// Without its store a master must not decide anything more. What is stored goes on with the next one.
    pub(super) fn on_store_broken(&self, error: &StoreError) {
        tracing::error!(%error, "the store does not take what was decided, the master stops; mend it and start a master again");
        self.services.stop.cancel();
    }

    fn let_happen(&mut self, held: Held) {
        match held {
            Held::Message { worker, connection, message } => {
                if self.workers.is_current(worker, connection) {
                    self.send_now(worker, message);
                }
            }
            Held::Commit(order) => self.queue_commit(order),
            Held::Fetch(order) => self.services.fetch_result(order),
            Held::Discard(staging) => self.services.discard(staging),
            Held::Ended(status) => {
                self.services.traces.tell(&status);
                self.keep(status);
            }
            Held::Reply(reply) => self.replies.push(reply),
        }
    }

    /// The job ends at the store first.
    pub(super) fn hold_end(&mut self, status: JobStatus) {
        self.record(record::end(&status));
        self.hold(Held::Ended(Arc::new(status)));
    }
}
