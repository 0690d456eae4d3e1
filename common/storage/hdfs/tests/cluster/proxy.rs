//! A `NameNode`'s port behind one that can lose a request or an answer, exactly when a test wants it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lose {
    /// The request is not passed on; the connection is cut.
    Request,
    /// It is carried out; the connection is cut before the answer.
    Answer,
    /// It is not passed on, and nothing is heard again on this connection.
    Silence,
    /// The connection is cut, and the request is carried out all the same, right before the next one of the same method.
    Delay,
}

#[derive(Default)]
struct State {
    to_lose: Vec<(&'static str, Lose)>,
    delayed: Option<Delayed>,
}

struct Delayed {
    method: &'static str,
    request: Vec<u8>,
    server: TcpStream,
    answered: Arc<Mutex<bool>>,
}

type Plan = Arc<Mutex<State>>;

/// Listens on a port of its own for as long as the process lives.
pub(crate) struct Proxy {
    pub(crate) authority: String,
    plan: Plan,
}

impl Proxy {
    pub(crate) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("hdfs://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let plan = Plan::default();
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, plan) = (target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(&client, &TcpStream::connect(target).unwrap(), &plan));
            }
        });
        Self { authority, plan }
    }

    /// Loses the next call of this method; calling it twice loses the next two.
    pub(crate) fn lose(&self, method: &'static str, what: Lose) {
        self.plan.lock().unwrap().to_lose.push((method, what));
    }

    /// Everything planned was lost.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.plan.lock().unwrap();
        state.to_lose.is_empty() && state.delayed.is_none()
    }
}

/// Passes on what comes, until something is to be lost. A request comes in one piece here: it is short and sent at once.
fn serve(client: &TcpStream, server: &TcpStream, plan: &Plan) {
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (lost, answered) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(false)));
    let (losing, answering) = (Arc::clone(&lost), Arc::clone(&answered));
    std::thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            *answering.lock().unwrap() = true;
            if *losing.lock().unwrap() || to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut reader, mut writer) = (client, server);
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let request = &buffer[..count];
        carry_out_delayed(plan, request);
        match planned(plan, request) {
            Some((_, Lose::Request)) => break,
            Some((_, Lose::Answer)) => *lost.lock().unwrap() = true,
            Some((_, Lose::Silence)) => std::thread::park(),
            Some((method, Lose::Delay)) => {
                (*lost.lock().unwrap(), *answered.lock().unwrap()) = (true, false);
                let (request, server) = (request.to_vec(), server.try_clone().unwrap());
                plan.lock().unwrap().delayed = Some(Delayed { method, request, server, answered });
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
            None => {}
        }
        if writer.write_all(request).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Write));
}

fn names(request: &[u8], method: &str) -> bool {
    request.windows(method.len()).any(|window| window == method.as_bytes())
}

fn planned(plan: &Plan, request: &[u8]) -> Option<(&'static str, Lose)> {
    let mut state = plan.lock().unwrap();
    let at = state.to_lose.iter().position(|(method, _)| names(request, method))?;
    Some(state.to_lose.remove(at))
}

/// Waits until the server has answered it: then it was carried out.
fn carry_out_delayed(plan: &Plan, request: &[u8]) {
    let mut state = plan.lock().unwrap();
    let Some(mut delayed) = state.delayed.take_if(|delayed| names(request, delayed.method)) else { return };
    drop(state);
    delayed.server.write_all(&delayed.request).unwrap();
    while !*delayed.answered.lock().unwrap() {
        std::thread::yield_now();
    }
}
