//! A NameNode's port behind one that holds a call back, and everything that comes after it on the same connection, for as long as a
//! test wants: so a test knows exactly how far a commit is, and requests arrive late that a dead process sent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// A call that is held, or will be.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Texts that are all in the call.
    texts: &'static [&'static str],
    hold: Hold,
    came: Arc<AtomicBool>,
    released: Arc<AtomicBool>,
}

/// Those that did not come yet.
type Planned = Arc<Mutex<Vec<Held>>>;

/// Listens on a port of its own for as long as the process lives.
pub(crate) struct Proxy {
    authority: String,
    planned: Planned,
}

impl Proxy {
    pub(crate) fn to(hdfs: &Hdfs) -> Result<Self> {
        let target = hdfs.authority().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let planned = Planned::default();
        let shared = Arc::clone(&planned);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, planned) = (target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || {
                    TcpStream::connect(target).and_then(|server| serve(&client, &server, &planned))
                });
            }
        });
        Ok(Self { authority, planned })
    }

    /// A URL in the test's directory, through this port.
    pub(crate) fn url(&self, hdfs: &Hdfs, name: &str) -> PathBuf {
        PathBuf::from(hdfs.url(name).to_string_lossy().replace(hdfs.authority(), &self.authority))
    }

    /// Holds the connection on which the next call comes that has all of these texts.
    pub(crate) fn hold_at(&self, texts: &'static [&'static str], hold: Hold) -> Held {
        let held = Held { texts, hold, came: Arc::default(), released: Arc::default() };
        lock(&self.planned).push(held.clone());
        held
    }
}

impl Held {
    /// Waits until the call came.
    pub(crate) fn wait(&self) -> Result<()> {
        until(Duration::from_secs(90), "the call that is held", || self.came.load(Ordering::SeqCst))
    }

    /// Lets what was held go on. Its sender may be dead by now.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    fn wait_for_release(&self) {
        let _ = until(Duration::from_secs(180), "the release", || self.released.load(Ordering::SeqCst));
    }
}

fn lock(planned: &Mutex<Vec<Held>>) -> MutexGuard<'_, Vec<Held>> {
    planned.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on what comes. A call comes in one piece here: it is short and sent at once.
fn serve(client: &TcpStream, server: &TcpStream, planned: &Mutex<Vec<Held>>) -> std::io::Result<()> {
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
        let held = take_held(planned, &buffer[..count]);
        if let Some(held) = held.as_ref().filter(|held| held.hold == Hold::Before) {
            held.wait_for_release();
        }
        writer.write_all(&buffer[..count])?;
        if let Some(held) = held.filter(|held| held.hold == Hold::After) {
            held.wait_for_release();
        }
    }
}

fn take_held(planned: &Mutex<Vec<Held>>, call: &[u8]) -> Option<Held> {
    let has = |text: &str| call.windows(text.len()).any(|window| window == text.as_bytes());
    let mut planned = lock(planned);
    let at = planned.iter().position(|held| held.texts.iter().all(|text| has(text)))?;
    let held = planned.remove(at);
    held.came.store(true, Ordering::SeqCst);
    Some(held)
}
