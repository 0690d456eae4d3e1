//! A process that crawls: stopped and woken again and again, so that it runs for a small part of the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// One part of the time it runs, for nineteen it stands still.
const RUNS: Duration = Duration::from_millis(20);
const STANDS: Duration = Duration::from_millis(380);

/// Holds a process back to 5 % of the time until it is dropped.
#[derive(Debug)]
pub struct Slow {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slow {
    /// Holds a process back. It must live until this is dropped.
    #[must_use]
    pub fn down(process: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_too = Arc::clone(&is_over);
        let process = i32::try_from(process).ok().and_then(Pid::from_raw);
        let thread = std::thread::spawn(move || {
            let Some(process) = process else { return };
            while !is_over_too.load(Ordering::Relaxed) && kill_process(process, Signal::STOP).is_ok() {
                std::thread::sleep(STANDS);
                if kill_process(process, Signal::CONT).is_err() {
                    return;
                }
                std::thread::sleep(RUNS);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It has woken the process before it ends.
        self.thread.take().map(JoinHandle::join);
    }
}
