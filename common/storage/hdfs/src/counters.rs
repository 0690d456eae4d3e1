//! What was asked of HDFS, counted, for metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the start of the process.
        #[derive(Debug, Default)]
        pub struct Counters { $(pub(crate) $name: AtomicU64),* }

        /// The counts at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct CountersSnapshot { $($(#[$doc])* pub $name: u64),* }

        impl CountersSnapshot {
            pub(crate) fn plus(self, other: Self) -> Self {
                Self { $($name: self.$name + other.$name),* }
            }
        }

        impl Counters {
            /// Reads all counts. They are not read at the same instant.
            #[must_use]
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters! {
    /// Calls to a NameNode. What the client sends on its own while it writes a block is not among them.
    namenode_calls,
    /// Calls that failed, deadlines among them.
    namenode_errors,
    /// Calls that met their deadline.
    namenode_timeouts,
    /// Connections given up for new ones after a deadline.
    reconnects,
    /// Changes whose answer was lost, and that were settled by looking at the names.
    settled_by_looking,
    /// Files opened to be read.
    files_opened,
    /// Files opened again, because every known replica of a block failed.
    files_reopened,
    /// Bytes that were read, through DataNodes and from their files.
    bytes_read,
    /// Bytes that were read from the files of DataNodes of this host.
    bytes_read_here,
    /// Blocks that were to be read so, and were not.
    short_circuit_failures,
    /// Bytes of files that were written and closed.
    bytes_written,
    /// Uploads that failed and began again.
    uploads_repeated,
    /// Uploads that fell back to one replica, raised afterwards.
    uploads_with_one_replica,
    /// Times that somebody waited for a NameNode, or for the end of safe mode.
    waits,
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
