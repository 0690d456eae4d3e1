//! Changes of names. One whose answer was lost is never sent again blindly: the names are looked at, and they decide.
//!
//! A request whose answer did not come may still be carried out later, even after a look that did not see it. So once an answer was
//! lost, the errors of later tries are not believed either before both names were looked at.

use std::time::Instant;

use crate::counters::add;
use crate::error::Action;
use crate::{Depth, Entry, Hdfs, HdfsError, HdfsUrl, Kind};

const DIRECTORY_PERMISSION: u32 = 0o755;

/// What becomes of a file that stands under the new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the rename fails with [`HdfsError::Exists`].
    Never,
    /// It is replaced in the same step. Only for files.
    File,
}

/// What a removal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone now.
    Done,
    /// Nothing was there.
    WasMissing,
}

/// What two names say about a rename whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was carried out.
    Done,
    /// It was not, or not yet: sending it again does no harm, because the old name vanishes with the first that is carried out.
    SendAgain,
    /// The old name is still there, and something else took the new one.
    Taken,
    /// Both are gone, or what stands there is not what was renamed.
    Vanished,
}

/// Decides by what was under the old name before, and what stands under both names now.
pub(crate) fn judge(before: &Entry, from: Option<&Entry>, to: Option<&Entry>, overwrite: Overwrite) -> Verdict {
    match (from, to) {
        (None, Some(to)) if to.is_same_as(before) => Verdict::Done,
        (None, Some(_) | None) => Verdict::Vanished,
        (Some(_), None) => Verdict::SendAgain,
        (Some(_), Some(_)) => match overwrite {
            Overwrite::Never => Verdict::Taken,
            Overwrite::File => Verdict::SendAgain,
        },
    }
}

/// Whether an answer to one of the tries so far was lost.
#[derive(Debug, Default)]
struct Doubt {
    tries: u32,
    since: Option<Instant>,
}

/// What to do after a try that failed.
enum NextStep {
    /// It was not carried out: send it again.
    Send,
    /// It was not carried out, and will not be.
    Fail(HdfsError),
    /// Nobody knows: look first.
    Look(HdfsError),
}

impl Doubt {
    fn is_there(&self) -> bool {
        self.since.is_some()
    }

    /// Fails where the `NameNode` was in trouble for as long as it may be waited for.
    fn next_step(&mut self, error: HdfsError, hdfs: &Hdfs) -> Result<NextStep, HdfsError> {
        self.tries += 1;
        if error.is_ambiguous() {
            self.since.get_or_insert_with(Instant::now);
        }
        let Some(since) = self.since else {
            let again = matches!(error, HdfsError::Unreachable { .. }) && self.tries < hdfs.settings().rpc_tries;
            return Ok(if again { NextStep::Send } else { NextStep::Fail(error) });
        };
        if error.is_namenode_trouble() && since.elapsed() >= hdfs.settings().wait_for_namenode {
            return Err(HdfsError::GaveUp { waited: since.elapsed(), source: Box::new(error) });
        }
        Ok(NextStep::Look(error))
    }
}

impl Hdfs {
    /// Renames a file or directory in one step. The directory of the new name must exist.
    ///
    /// Where an answer was lost, the `NameNode` is waited for until the names can be looked at.
    ///
    /// # Errors
    /// [`HdfsError::Missing`] for the old name or the new one's directory, [`HdfsError::Exists`] for the new one. After
    /// [`HdfsError::Unreachable`] or [`HdfsError::SafeMode`] nothing was renamed, and it can be called again; only
    /// [`HdfsError::GaveUp`] leaves it open.
    pub async fn rename(&self, from: &HdfsUrl, to: &HdfsUrl, overwrite: Overwrite) -> Result<(), HdfsError> {
        let (action, onto) = (Action { verb: "rename", path: from }, Action { verb: "rename to", path: to });
        let before = self.entry(from).await?.ok_or_else(|| action.missing())?;
        let is_over = overwrite == Overwrite::File;
        if is_over && before.kind == Kind::Directory {
            return Err(action.is_directory());
        }
        let mut doubt = Doubt::default();
        loop {
            let sent =
                self.ask_once(onto, |client| async move { client.rename(from.path(), to.path(), is_over).await });
            let Err(error) = sent.await else { return Ok(()) };
            match doubt.next_step(error, self)? {
                NextStep::Send => {}
                NextStep::Fail(error) => return Err(self.blame(error, (from, to)).await),
                NextStep::Look(error) => match self.look_at_both(&before, (from, to), overwrite).await? {
                    Verdict::Done => return Ok(()),
                    Verdict::Taken => return Err(onto.exists()),
                    Verdict::Vanished => {
                        return Err(action.refused(format!("both names were changed meanwhile ({error})")));
                    }
                    // An answer, and the names say that it is about this try: it will be the same for the next one.
                    Verdict::SendAgain if !error.is_namenode_trouble() => {
                        return Err(self.blame(error, (from, to)).await);
                    }
                    Verdict::SendAgain => {}
                },
            }
            self.pause(doubt.tries).await;
        }
    }

    /// The server does not say which of the names is missing.
    async fn blame(&self, error: HdfsError, (from, to): (&HdfsUrl, &HdfsUrl)) -> HdfsError {
        if !matches!(error, HdfsError::Missing { .. }) {
            return error;
        }
        match self.entry(from).await {
            Ok(None) => Action { verb: "rename", path: from }.missing(),
            Ok(Some(_)) | Err(_) => match to.parent() {
                Some(parent) => Action { verb: "rename into", path: &parent }.missing(),
                None => error,
            },
        }
    }

    async fn look_at_both(
        &self,
        before: &Entry,
        (from, to): (&HdfsUrl, &HdfsUrl),
        overwrite: Overwrite,
    ) -> Result<Verdict, HdfsError> {
        let old = self.wait_quietly(|| self.entry(from)).await?;
        let new = self.wait_quietly(|| self.entry(to)).await?;
        let verdict = judge(before, old.as_ref(), new.as_ref(), overwrite);
        add(&self.counters().settled_by_looking, 1);
        tracing::info!(%from, %to, ?verdict, "the answer to a rename was lost; looked at both names");
        Ok(verdict)
    }

    /// Makes a directory and those above it. One that exists is fine.
    ///
    /// # Errors
    /// [`HdfsError::Exists`] or [`HdfsError::NotDirectory`] where a file is in the way.
    pub async fn make_directories(&self, url: &HdfsUrl) -> Result<(), HdfsError> {
        let action = Action { verb: "make directory", path: url };
        // Carrying it out twice is the same as once.
        self.ask(action, |client| async move { client.mkdirs(url.path(), DIRECTORY_PERMISSION, true).await }).await
    }

    /// Makes one directory, unless it exists; the one above it must exist.
    ///
    /// # Errors
    /// [`HdfsError::Missing`] for the directory above; [`HdfsError::Exists`] or [`HdfsError::NotDirectory`] where a file is in the way.
    pub async fn ensure_directory(&self, url: &HdfsUrl) -> Result<(), HdfsError> {
        let action = Action { verb: "make directory", path: url };
        // Carrying it out twice is the same as once.
        self.ask(action, |client| async move { client.mkdirs(url.path(), DIRECTORY_PERMISSION, false).await }).await
    }

    /// Makes one directory; the one above it must exist, and it must not.
    ///
    /// # Errors
    /// [`HdfsError::Missing`] for the directory above, [`HdfsError::Exists`] for itself.
    pub async fn make_directory(&self, url: &HdfsUrl) -> Result<(), HdfsError> {
        let action = Action { verb: "make directory", path: url };
        if self.entry(url).await?.is_some() {
            return Err(action.exists());
        }
        self.ask(action, |client| async move { client.mkdirs(url.path(), DIRECTORY_PERMISSION, false).await }).await
    }

    /// Removes a file, or a directory and all below it ([`Depth::All`]) or only if it is empty ([`Depth::One`]). Open files
    /// below it lose their lease.
    ///
    /// # Errors
    /// [`HdfsError::NotEmpty`], and what else the `NameNode` says. Otherwise as [`Hdfs::rename`].
    pub async fn remove(&self, url: &HdfsUrl, depth: Depth) -> Result<Removed, HdfsError> {
        let action = Action { verb: "remove", path: url };
        let recursive = depth == Depth::All;
        let Some(before) = self.entry(url).await? else { return Ok(Removed::WasMissing) };
        let mut doubt = Doubt::default();
        loop {
            let sent = self.ask_once(action, |client| async move { client.delete(url.path(), recursive).await });
            let error = match sent.await {
                Ok(true) => return Ok(Removed::Done),
                Ok(false) => return Ok(if doubt.is_there() { Removed::Done } else { Removed::WasMissing }),
                Err(error) => error,
            };
            match doubt.next_step(error, self)? {
                NextStep::Send => {}
                NextStep::Fail(error) => return Err(error),
                NextStep::Look(error) => {
                    let now = self.wait_quietly(|| self.entry(url)).await?;
                    add(&self.counters().settled_by_looking, 1);
                    tracing::info!(%url, still_there = now.is_some(), "the answer to a removal was lost; looked at the name");
                    // Another thing under the same name is not ours to remove: what was to be removed is gone.
                    if !now.is_some_and(|now| now.is_same_as(&before)) {
                        return Ok(Removed::Done);
                    }
                    if !error.is_namenode_trouble() {
                        return Err(error);
                    }
                }
            }
            self.pause(doubt.tries).await;
        }
    }

    /// Asks for another number of replicas of a file. They are made in the background.
    ///
    /// # Errors
    /// [`HdfsError::Missing`], and what else the `NameNode` says.
    pub async fn set_replication(&self, url: &HdfsUrl, replication: u32) -> Result<(), HdfsError> {
        let action = Action { verb: "set the replication of", path: url };
        let set =
            self.ask(action, |client| async move { client.set_replication(url.path(), replication).await }).await?;
        if set { Ok(()) } else { Err(action.missing()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: u64, modified_ms: i64) -> Entry {
        Entry {
            path: "/a".to_owned(),
            kind: Kind::File,
            bytes,
            modified_ms,
            owner: "me".to_owned(),
            group: String::new(),
            permission: 0o644,
            replication: 2,
            block_bytes: 512,
        }
    }

    fn directory() -> Entry {
        Entry { kind: Kind::Directory, bytes: 0, ..file(0, 0) }
    }

    fn check(before: &Entry, from: Option<&Entry>, to: Option<&Entry>, expected: [Verdict; 2]) {
        let found = [Overwrite::Never, Overwrite::File].map(|overwrite| judge(before, from, to, overwrite));
        assert_eq!(found, expected, "{before:?} {from:?} {to:?}");
    }

    #[test]
    fn names_decide_what_became_of_a_rename() {
        use Verdict::{Done, SendAgain, Taken, Vanished};
        let (ours, other) = (file(10, 5), file(10, 6));
        check(&ours, None, Some(&ours), [Done, Done]);
        check(&ours, Some(&ours), None, [SendAgain, SendAgain]);
        check(&ours, Some(&ours), Some(&other), [Taken, SendAgain]);
        check(&ours, None, Some(&other), [Vanished, Vanished]);
        check(&ours, None, None, [Vanished, Vanished]);
        check(&ours, None, Some(&directory()), [Vanished, Vanished]);
        let changed = Entry { modified_ms: 9, ..directory() };
        check(&directory(), None, Some(&changed), [Done, Done]);
    }
}
