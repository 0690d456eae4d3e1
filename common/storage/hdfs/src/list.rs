//! Lists directories page by page, however large they are.

use std::collections::VecDeque;

use hdfs_native::client::ListStatusIterator;

use crate::counters::add;
use crate::deadline::{NoOutcome, within};
use crate::error::Action;
use crate::look::Entry;
use crate::{Hdfs, HdfsError, HdfsUrl, Kind};

/// How far down to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The entries of the directory itself.
    One,
    /// All below it.
    All,
}

/// Which names to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    All,
    Visible,
}

/// One directory's entries on their way.
struct Pages {
    directory: String,
    iterator: ListStatusIterator,
    /// Number of the connection that they come over.
    connection: usize,
    /// Something of it was given already. Then it cannot be asked for again: the client does not go on behind a name.
    begun: bool,
}

/// The entries of a directory, in the NameNode's order. A file lists as itself.
pub struct Listing {
    hdfs: Hdfs,
    url: HdfsUrl,
    depth: Depth,
    names: Names,
    pages: Option<Pages>,
    pending: VecDeque<String>,
}

impl Hdfs {
    /// Lists a directory. Nothing is asked before the first entry is.
    #[must_use]
    pub fn list(&self, url: &HdfsUrl, depth: Depth) -> Listing {
        Listing {
            hdfs: self.clone(),
            url: url.clone(),
            depth,
            names: Names::All,
            pages: None,
            pending: VecDeque::from([url.path().to_owned()]),
        }
    }

    /// The same, gathered: at most `entries_max`.
    ///
    /// # Errors
    /// As [`Listing::next`], and [`HdfsError::Refused`] for more entries than that.
    pub async fn list_all(&self, url: &HdfsUrl, depth: Depth, entries_max: usize) -> Result<Vec<Entry>, HdfsError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.gather(url, depth, entries_max).await {
                Err(error @ HdfsError::Unreachable { .. }) if tries < self.settings().rpc_tries => {
                    tracing::debug!(%error, tries, "listing again from the start");
                }
                outcome => return outcome,
            }
        }
    }

    async fn gather(&self, url: &HdfsUrl, depth: Depth, entries_max: usize) -> Result<Vec<Entry>, HdfsError> {
        let (mut listing, mut entries) = (self.list(url, depth), Vec::new());
        while let Some(entry) = listing.next().await? {
            if entries.len() == entries_max {
                return Err(
                    Action { verb: "list", path: url }.refused(format!("it has more than {entries_max} entries"))
                );
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl Listing {
    /// Leaves out names that begin with `.` or `_`, and what is below them, as Hadoop does for input; `_x=y` stays.
    #[must_use]
    pub fn visible(mut self) -> Self {
        self.names = Names::Visible;
        self
    }

    /// Nothing below the listed directory was reached yet.
    pub(crate) fn is_at_root(&self) -> bool {
        self.pages.as_ref().is_some_and(|pages| pages.directory == self.url.path())
    }

    /// The next entry; `None` after the last one. A directory comes before what is in it, but not right before.
    ///
    /// # Errors
    /// What the NameNode says; where it stops answering in the middle of a directory, list again. A directory that vanished while all was listed is an error too: the listing would not be one.
    pub async fn next(&mut self) -> Result<Option<Entry>, HdfsError> {
        let mut tries = 0;
        loop {
            let Some(pages) = &self.pages else {
                let Some(directory) = self.pending.pop_front() else { return Ok(None) };
                self.pages = Some(Pages::open(&self.hdfs, directory));
                continue;
            };
            match self.advance(pages).await {
                Ok(Some(entry)) => {
                    if self.take(&entry) {
                        return Ok(Some(entry));
                    }
                }
                Ok(None) => self.pages = None,
                Err(HdfsError::Unreachable { message, .. })
                    if !pages.begun && tries + 1 < self.hdfs.settings().rpc_tries =>
                {
                    tries += 1;
                    tracing::debug!(message, tries, "listing again");
                    let directory = pages.directory.clone();
                    self.hdfs.pause(tries).await;
                    self.pages = Some(Pages::open(&self.hdfs, directory));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the entry is wanted.
    fn take(&mut self, entry: &Entry) -> bool {
        if let Some(pages) = &mut self.pages {
            pages.begun = true;
        }
        let is_root = entry.path == self.url.path();
        if self.names == Names::Visible && !is_root && is_hidden(&entry.path) {
            return false;
        }
        if self.depth == Depth::All && entry.kind == Kind::Directory {
            self.pending.push_back(entry.path.clone());
        }
        true
    }

    async fn advance(&self, pages: &Pages) -> Result<Option<Entry>, HdfsError> {
        let (action, limit) = (Action { verb: "list", path: &self.url }, self.hdfs.settings().rpc_timeout);
        let counters = self.hdfs.counters();
        match within(limit, pages.iterator.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(status))) => Ok(Some(Entry::from_status(status))),
            Ok(Some(Err(error))) => {
                add(&counters.namenode_errors, 1);
                Err(action.classify(error))
            }
            Err(NoOutcome::TooLate) => {
                add(&counters.namenode_timeouts, 1);
                self.hdfs.reconnect(pages.connection);
                Err(action.timed_out(limit))
            }
            Err(NoOutcome::Panicked) => Err(action.refused("it has a name that is not valid UTF-8; rename it")),
        }
    }
}

impl Pages {
    fn open(hdfs: &Hdfs, directory: String) -> Self {
        add(&hdfs.counters().namenode_calls, 1);
        let (client, connection) = hdfs.client();
        Self { iterator: client.list_status_iter(&directory, false), directory, connection, begun: false }
    }
}

fn is_hidden(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with(['.', '_']) && !name.contains('=')
}
