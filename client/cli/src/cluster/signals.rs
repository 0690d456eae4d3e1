//! SIGINT and SIGTERM: the first asks for a calm end, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{CliError, Exit};

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// The signals that ask this process to end.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::start);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for a signal, and gives the exit of a process that it ends.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Signal(SIGINT),
            _ = self.terminate.recv() => Exit::Signal(SIGTERM),
        }
    }
}
