//! The local file system, until a planned moment: from then on nothing works any more, as after a crash. It does not sync,
//! because what a test sees after a crash of the process does not depend on it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use futures::future::BoxFuture;
use hearth_storage::{CommitFs, EntryKind, Exchange, ListedFile, LocalCommitFs, Location, StorageError};

/// How an old output is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Swap {
    /// As the file system does it.
    Exchange,
    /// As on one that cannot exchange.
    MoveAside,
}

/// Whether the fatal step still happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Before,
    After,
    /// After others did something, as when the process was stopped and resumed. It goes on after that.
    Meanwhile,
}

#[derive(Debug)]
pub(super) struct CrashFs {
    swap: Swap,
    steps_left: AtomicU32,
    when: When,
    has_crashed: AtomicBool,
    meanwhile: Meanwhile,
    /// Held by every step that is under way: others have their turn between steps, never within one.
    under_way: tokio::sync::RwLock<()>,
}

/// What others do while the process is stopped.
#[derive(Default)]
struct Meanwhile(tokio::sync::Mutex<Option<BoxFuture<'static, ()>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl CrashFs {
    pub(super) fn new(swap: Swap, steps: u32, when: When) -> Self {
        Self {
            swap,
            steps_left: AtomicU32::new(steps),
            when,
            has_crashed: AtomicBool::new(false),
            meanwhile: Meanwhile::default(),
            under_way: tokio::sync::RwLock::default(),
        }
    }

    /// One that stops before a step until others are done.
    pub(super) fn stopping(swap: Swap, steps: u32, others: BoxFuture<'static, ()>) -> Self {
        let meanwhile = Meanwhile(tokio::sync::Mutex::new(Some(others)));
        Self { meanwhile, ..Self::new(swap, steps, When::Meanwhile) }
    }

    /// The others had their turn.
    pub(super) async fn has_stopped(&self) -> bool {
        self.meanwhile.0.lock().await.is_none()
    }

    /// One that never crashes.
    pub(super) fn steady(swap: Swap) -> Self {
        Self::new(swap, u32::MAX, When::Before)
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.has_crashed.load(Ordering::Relaxed)
    }

    fn alive(&self) -> Result<(), StorageError> {
        if self.has_crashed() { Err(crash()) } else { Ok(()) }
    }

    /// Runs one step that changes something.
    async fn step<T>(&self, step: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
        self.alive()?;
        if self.steps_left.load(Ordering::Relaxed) == 0 {
            if let When::Meanwhile = self.when {
                // Whatever else is under way waits too.
                let mut meanwhile = self.meanwhile.0.lock().await;
                if let Some(others) = meanwhile.take() {
                    let _alone = self.under_way.write().await;
                    others.await;
                }
                drop(meanwhile);
                return step.await;
            }
            self.has_crashed.store(true, Ordering::Relaxed);
            if let When::After = self.when {
                step.await?;
            }
            return Err(crash());
        }
        self.steps_left.fetch_sub(1, Ordering::Relaxed);
        let _under_way = self.under_way.read().await;
        step.await
    }
}

/// Not one that may pass: a crashed master does not try again.
fn crash() -> StorageError {
    StorageError::Denied { action: "work after a crash on", path: "anything".to_owned() }
}

#[async_trait]
impl CommitFs for CrashFs {
    async fn kind(&self, at: &Location) -> Result<Option<EntryKind>, StorageError> {
        self.alive()?;
        LocalCommitFs.kind(at).await
    }

    async fn list(&self, directory: &Location) -> Result<Vec<ListedFile>, StorageError> {
        self.alive()?;
        LocalCommitFs.list(directory).await
    }

    async fn read_small(&self, file: &Location, bytes_max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.alive()?;
        LocalCommitFs.read_small(file, bytes_max).await
    }

    async fn create_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.create_dir_all(directory)).await
    }

    async fn create_dir(&self, directory: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.create_dir(directory)).await
    }

    async fn names(&self, directory: &Location) -> Result<Vec<String>, StorageError> {
        self.alive()?;
        LocalCommitFs.names(directory).await
    }

    async fn rename_no_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.rename_no_replace(from, to)).await
    }

    async fn rename_replace(&self, from: &Location, to: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.rename_replace(from, to)).await
    }

    async fn exchange(&self, one: &Location, other: &Location) -> Result<Exchange, StorageError> {
        match self.swap {
            Swap::Exchange => self.step(LocalCommitFs.exchange(one, other)).await,
            Swap::MoveAside => self.alive().map(|()| Exchange::Unsupported),
        }
    }

    async fn write_small(&self, file: &Location, content: Vec<u8>) -> Result<(), StorageError> {
        let path = file.local_path().unwrap();
        let failed = |error| StorageError::from_io("write", file.to_string(), error);
        self.step(async { std::fs::write(path, content).map_err(failed) }).await
    }

    async fn remove_dir_all(&self, directory: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.remove_dir_all(directory)).await
    }

    async fn remove_empty_dir(&self, directory: &Location) -> Result<(), StorageError> {
        self.step(LocalCommitFs.remove_empty_dir(directory)).await
    }

    async fn sync_dir(&self, _directory: &Location) -> Result<(), StorageError> {
        self.step(async { Ok(()) }).await
    }
}
