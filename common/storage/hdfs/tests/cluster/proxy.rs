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
}

type Plan = Arc<Mutex<Vec<(&'static str, Lose)>>>;

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
        self.plan.lock().unwrap().push((method, what));
    }

    /// Everything planned was lost.
    pub(crate) fn is_done(&self) -> bool {
        self.plan.lock().unwrap().is_empty()
    }
}

/// Passes on what comes, until something is to be lost. A request comes in one piece here: it is short and sent at once.
fn serve(client: &TcpStream, server: &TcpStream, plan: &Plan) {
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let lost = Arc::new(Mutex::new(false));
    let losing = Arc::clone(&lost);
    std::thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            if *losing.lock().unwrap() || to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut reader, mut writer) = (client, server);
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        match planned(plan, &buffer[..count]) {
            Some(Lose::Request) => break,
            Some(Lose::Answer) => *lost.lock().unwrap() = true,
            Some(Lose::Silence) => std::thread::park(),
            None => {}
        }
        if writer.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Write));
}

fn planned(plan: &Plan, request: &[u8]) -> Option<Lose> {
    let mut plan = plan.lock().unwrap();
    let names = |method: &str| request.windows(method.len()).any(|window| window == method.as_bytes());
    let at = plan.iter().position(|(method, _)| names(method))?;
    Some(plan.remove(at).1)
}
