//! A NameNode's port behind one that holds a call back, and everything that comes after it on the same connection, for as long as a
//! test wants: so a test knows exactly how far a commit is, and requests arrive late that a dead process sent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hearth_test_hdfs::until;

use crate::hdfs_fixture::Hdfs;

/// Where the connection stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The call is not passed on until it is released.
    Before,
    /// The call is, and nothing after it.
    After,
}

#[derive(Debug, Default)]
struct State {
    /// Texts that are all in the call.
    planned: Option<(&'static [&'static str], Hold)>,
    is_held: bool,
}

/// Listens on a port of its own for as long as the process lives.
pub(crate) struct Proxy {
    authority: String,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(crate) fn to(hdfs: &Hdfs) -> Result<Self> {
        let target = hdfs.authority().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, state) = (target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || {
                    TcpStream::connect(target).and_then(|server| serve(&client, &server, &state))
                });
            }
        });
        Ok(Self { authority, state })
    }

    /// A URL in the test's directory, through this port.
    pub(crate) fn url(&self, hdfs: &Hdfs, name: &str) -> PathBuf {
        PathBuf::from(hdfs.url(name).to_string_lossy().replace(hdfs.authority(), &self.authority))
    }

    /// Holds the connection on which the next call comes that has all of these texts.
    pub(crate) fn hold_at(&self, texts: &'static [&'static str], hold: Hold) {
        lock(&self.state).planned = Some((texts, hold));
    }

    /// Waits until that call came.
    pub(crate) fn wait_until_held(&self) -> Result<()> {
        until(Duration::from_secs(90), "the call that is held", || lock(&self.state).is_held)
    }

    /// Lets what was held go on. Its sender may be dead by now.
    pub(crate) fn release(&self) {
        lock(&self.state).is_held = false;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on what comes. A call comes in one piece here: it is short and sent at once.
fn serve(client: &TcpStream, server: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut reader, mut writer) = (client, server);
    let mut buffer = [0; 64 << 10];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return server.shutdown(Shutdown::Write);
        }
        let hold = to_hold(state, &buffer[..count]);
        if hold == Some(Hold::Before) {
            wait_for_release(state);
        }
        writer.write_all(&buffer[..count])?;
        if hold == Some(Hold::After) {
            wait_for_release(state);
        }
    }
}

fn to_hold(state: &Mutex<State>, call: &[u8]) -> Option<Hold> {
    let has = |text: &str| call.windows(text.len()).any(|window| window == text.as_bytes());
    let mut state = lock(state);
    let (_, hold) = state.planned.take_if(|(texts, _)| texts.iter().all(|text| has(text)))?;
    state.is_held = true;
    Some(hold)
}

fn wait_for_release(state: &Mutex<State>) {
    let _ = until(Duration::from_secs(180), "the release", || !lock(state).is_held);
}
