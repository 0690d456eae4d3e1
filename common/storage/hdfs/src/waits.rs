//! What one piece of work waits for, so that whoever asked for it can be told.

use std::sync::Arc;

use tokio::sync::watch;

/// The waits for HDFS of one piece of work: an attempt, the planning of a job, its commit. Clones are the same.
#[derive(Debug, Clone)]
pub struct Waits {
    current: Arc<watch::Sender<Current>>,
}

#[derive(Debug, Default)]
struct Current {
    waiting: u32,
    /// Why, as the last of them met it.
    because: String,
}

/// Hears of every change. It does not keep the work's waits alive.
#[derive(Debug)]
pub struct WaitsReader {
    current: watch::Receiver<Current>,
}

/// One wait. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Wait {
    waits: Waits,
}

impl Default for Waits {
    fn default() -> Self {
        Self { current: Arc::new(watch::Sender::new(Current::default())) }
    }
}

impl Waits {
    /// Why it waits; `None` when it does not.
    #[must_use]
    pub fn because(&self) -> Option<String> {
        self.current.borrow().because()
    }

    /// A way to hear of changes.
    #[must_use]
    pub fn reader(&self) -> WaitsReader {
        WaitsReader { current: self.current.subscribe() }
    }

    /// Begins a wait. It has its reason from the start: whoever hears of the one is told the other.
    pub(crate) fn begin(&self, because: &impl ToString) -> Wait {
        let because = because.to_string();
        self.current.send_modify(|current| {
            current.waiting += 1;
            current.because = because;
        });
        Wait { waits: self.clone() }
    }
}

impl Current {
    fn because(&self) -> Option<String> {
        (self.waiting > 0).then(|| self.because.clone())
    }
}

impl Wait {
    /// Tells why it goes on.
    pub(crate) fn tell(&self, because: &impl ToString) {
        let because = because.to_string();
        self.waits.current.send_if_modified(|current| {
            let is_new = current.because != because;
            current.because = because;
            is_new
        });
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.current.send_modify(|current| current.waiting -= 1);
    }
}

impl WaitsReader {
    /// Waits for the next change and tells why the work waits since then, or `None` inside when it does not. `None` when the work
    /// is over.
    pub async fn next(&mut self) -> Option<Option<String>> {
        self.current.changed().await.ok()?;
        Some(self.current.borrow_and_update().because())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_hears_of_waits_and_of_their_end() {
        let waits = Waits::default();
        let mut reader = waits.reader();
        let one = waits.begin(&"no NameNode answers");
        assert_eq!(reader.next().await, Some(Some("no NameNode answers".to_owned())), "at once with its reason");
        let other = waits.begin(&"no NameNode answers");
        one.tell(&"the NameNode is in safe mode");
        assert_eq!(reader.next().await, Some(Some("the NameNode is in safe mode".to_owned())));
        drop(one);
        assert_eq!(waits.because().as_deref(), Some("the NameNode is in safe mode"), "the other one still waits");
        drop(other);
        assert_eq!((reader.next().await, waits.because()), (Some(None), None));
        drop(waits);
        assert_eq!(reader.next().await, None);
    }
}
