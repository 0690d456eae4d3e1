//! A page without a browser: it hears events, and asks for what the page's script asks for when it hears them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hearth_tests::http_get;

/// Shortest time between two rounds of questions, as in the script.
const EVERY: Duration = Duration::from_secs(1);

/// An open page. Close it to hear whether it was served to the end.
pub(super) struct Reader {
    stream: TcpStream,
    bytes: Arc<AtomicU64>,
    running: JoinHandle<Result<()>>,
}

impl Reader {
    /// Opens the page of a job, or that of the cluster.
    pub(super) fn open(address: &str, job: Option<&str>) -> Result<Self> {
        let job = job.map(str::to_owned);
        let query = match &job {
            Some(job) => format!("job={job}"),
            None => "jobs=true&workers=true&workers_page_size=50".to_owned(),
        };
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /api/v1/events?{query} HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
        let (bytes, address) = (Arc::<AtomicU64>::default(), address.to_owned());
        let (counted, events) = (Arc::clone(&bytes), stream.try_clone()?);
        let running = std::thread::spawn(move || follow(events, &address, job, &counted));
        Ok(Self { stream, bytes, running })
    }

    /// What pages have read so far.
    pub(super) fn bytes_of(pages: &[Self]) -> u64 {
        pages.iter().map(|page| page.bytes.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn close(self) -> Result<()> {
        self.stream.shutdown(Shutdown::Both)?;
        self.running.join().map_err(|_| anyhow!("a page panicked"))?
    }
}

fn follow(stream: TcpStream, address: &str, job: Option<String>, bytes: &AtomicU64) -> Result<()> {
    let mut asked = Instant::now();
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A connection that was closed on this side ends the page.
        let Ok(read) = lines.by_ref().read_until(b'\n', &mut line) else { return Ok(()) };
        if read == 0 {
            return Ok(());
        }
        bytes.fetch_add(read as u64, Ordering::Relaxed);
        if let Some(job) = &job
            && line.starts_with(b"event: attempts")
            && asked.elapsed() >= EVERY
        {
            asked = Instant::now();
            for of in ["attempts?page_size=25", "spreads", "timeline", "operators", "logs?cursor=0"] {
                let answer = http_get(address, &format!("/api/v1/jobs/{job}/{of}"))?;
                bytes.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
            }
        }
    }
}
