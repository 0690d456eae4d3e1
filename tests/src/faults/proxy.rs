//! A bad network between a worker and its master, or before its shuffle outputs: what a real one does to an ordered stream of bytes.
//!
//! Bytes of one connection come in order or not at all, so nothing is doubled or reordered within it. But a direction may stand still,
//! or be late; a connection may break for one side long before the other hears of it; and what was sent over a broken one
//! may arrive after what is sent over the next. A worker that missed an acknowledgement repeats its report over a new
//! connection: so messages are doubled and reordered after all, where the programs have to cope with it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Time between two looks at what to do with a connection.
const TURN: Duration = Duration::from_millis(10);
/// Bytes of one direction that are kept while it stands still; then its sender has to wait, as in a real network.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Reports and heartbeats.
    ToMaster,
    /// Launches and acknowledgements.
    ToWorker,
}

/// What the network does to all connections of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// Connections break, and no new one is made.
    Cut,
    /// Each byte comes that many milliseconds late, both ways.
    Late(u16),
    /// One way stands still. When it is fair again, all comes that was sent meanwhile.
    Still(Way),
}

/// A link between one worker and the master, or between all others and its shuffle outputs. Dropped, it is gone.
#[derive(Debug)]
pub struct Link {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    weather: Weather,
    connections: Vec<Connection>,
    is_over: bool,
}

/// The two ends of a connection.
#[derive(Debug)]
struct Connection {
    worker: TcpStream,
    master: TcpStream,
    fate: Arc<Mutex<Fate>>,
}

/// What becomes of a connection, whatever the weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Broken,
    /// Its worker is gone, and the master does not hear of it, nor of what the worker sent last, before that time.
    Stranded(Instant),
}

impl Link {
    /// A worker's link to the master at an address.
    ///
    /// # Errors
    /// No port is free.
    pub fn to_master(master: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for a link")?;
        Self::start(listener, master.to_owned())
    }

    /// A link on one address of this machine to the same port on another one, where a worker will listen.
    ///
    /// # Errors
    /// No port is free.
    pub fn before(there: IpAddr, here: IpAddr) -> Result<Self> {
        let listener = TcpListener::bind((here, 0)).context("listen for a link")?;
        let port = listener.local_addr()?.port();
        Self::start(listener, SocketAddr::from((there, port)).to_string())
    }

    fn start(listener: TcpListener, target: String) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let connections = Vec::new();
        let shared = Shared { target, weather: Weather::Fair, connections, is_over: false };
        let shared = Arc::new(Mutex::new(shared));
        let of_listener = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &of_listener));
        Ok(Self { address, shared })
    }

    /// `host:port` on this side of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its other side is.
    #[must_use]
    pub fn target(&self) -> String {
        lock(&self.shared).target.clone()
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        let mut shared = lock(&self.shared);
        shared.weather = weather;
        if weather == Weather::Cut {
            shared.connections.iter().for_each(Connection::cut);
        }
    }

    /// Breaks all connections; new ones can be made at once.
    pub fn break_connections(&self) {
        lock(&self.shared).connections.iter().for_each(Connection::cut);
    }

    /// Breaks the worker's side of all connections. The master hears of it, and of what was under way to it, so much later, when the
    /// worker has long come back by another connection.
    pub fn strand_connections(&self, late: Duration) {
        for connection in &lock(&self.shared).connections {
            let mut fate = lock(&connection.fate);
            if *fate == Fate::Open {
                *fate = Fate::Stranded(Instant::now() + late);
                let _ = connection.worker.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.is_over = true;
        shared.connections.iter().for_each(Connection::cut);
    }
}

impl Connection {
    fn cut(&self) {
        *lock(&self.fate) = Fate::Broken;
        for end in [&self.worker, &self.master] {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Mutex<Shared>>) {
    while !lock(shared).is_over {
        match listener.accept() {
            // A connection that cannot be handed on is dropped, which its worker notices.
            Ok((worker, _)) => drop(connect(worker, shared)),
            Err(_) => std::thread::sleep(TURN),
        }
    }
}

fn connect(worker: TcpStream, shared: &Arc<Mutex<Shared>>) -> Result<()> {
    let mut state = lock(shared);
    anyhow::ensure!(state.weather != Weather::Cut, "the link is cut");
    let master = TcpStream::connect(&state.target)?;
    for end in [&worker, &master] {
        end.set_nonblocking(false)?;
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(TURN))?;
    }
    let fate = Arc::new(Mutex::new(Fate::Open));
    for (way, from, to) in [(Way::ToMaster, &worker, &master), (Way::ToWorker, &master, &worker)] {
        let pump = Pump { way, from: from.try_clone()?, to: to.try_clone()?, fate: Arc::clone(&fate) };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || pump.run(&shared));
    }
    state.connections.retain(|connection| *lock(&connection.fate) != Fate::Broken);
    state.connections.push(Connection { worker, master, fate });
    Ok(())
}

/// Hands on the bytes of one direction.
struct Pump {
    way: Way,
    from: TcpStream,
    to: TcpStream,
    fate: Arc<Mutex<Fate>>,
}

impl Pump {
    fn run(mut self, shared: &Mutex<Shared>) {
        let mut kept: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let (mut buffer, mut is_ended) = (vec![0; 64 << 10], false);
        loop {
            let (weather, fate) = (lock(shared).weather, *lock(&self.fate));
            if fate == Fate::Broken {
                break;
            }
            let kept_bytes: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
            if is_ended || kept_bytes > KEPT_BYTES_MAX {
                std::thread::sleep(TURN);
            } else {
                match self.from.read(&mut buffer) {
                    Ok(0) => is_ended = true,
                    Ok(count) => kept.push_back((Instant::now(), buffer[..count].to_vec())),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => is_ended = true,
                }
            }
            let is_stranded = matches!(fate, Fate::Stranded(until) if Instant::now() < until);
            let late = if let Weather::Late(ms) = weather { Duration::from_millis(ms.into()) } else { Duration::ZERO };
            let goes_on = !is_stranded && weather != Weather::Still(self.way);
            while goes_on && kept.front().is_some_and(|(came, _)| came.elapsed() >= late) {
                let Some((_, bytes)) = kept.pop_front() else { break };
                is_ended |= self.to.write_all(&bytes).is_err();
            }
            if is_ended && !is_stranded && (kept.is_empty() || self.way == Way::ToWorker) {
                break;
            }
        }
        // The other direction ends as well: neither side keeps half a connection.
        let mut fate = lock(&self.fate);
        if !matches!(*fate, Fate::Stranded(until) if Instant::now() < until) {
            *fate = Fate::Broken;
            let _ = self.from.shutdown(Shutdown::Both);
            let _ = self.to.shutdown(Shutdown::Both);
        }
    }
}
