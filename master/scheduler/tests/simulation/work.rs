//! What happens on a host: its worker connects, runs attempts, reports, obeys, drains and starts anew.

use std::collections::{BTreeMap, VecDeque};

use hearth_common::{Absence, AttemptId, FailureCause, LinkScan, OutputLoss, TaskId, WorkerId};
use hearth_scheduler::{AttemptOutput, FinalOutput, Held, Launch, Winner};

use crate::cluster::{Connection, Happening, Life, OnHost, Report, Running, ToMaster, ToWorker};
use crate::content::{Content, Own, compute};
use crate::plan::{Script, host_name};
use crate::scan::{Scanned, scan_links};
use crate::world::World;

/// Longer than any run.
const NEVER_MS: u64 = 10_000_000;
const HEARTBEAT_MS: u64 = 2_000;
/// How long a reader waits for a service that says nothing, and for one that said nothing lately.
const SILENCE_MS: u64 = 6_000;
const PROBE_MS: u64 = 2_000;
const DOUBT_MS: u64 = 120_000;
/// The same for one that is lost, as the master told.
const LOST_MS: u64 = 500;
/// Unreadable outputs of one task that the simulation causes at most, so that only scripts exceed the limit.
const UNREADABLE_MAX: usize = 8;
/// The same for all tasks of a job, so that it gets done in time.
const UNREADABLE_PER_JOB_MAX: usize = 20;
/// Failures of one kind that the simulation causes at most per task, for the same reason.
const FAILURES_MAX: u32 = 2;

impl World {
    pub(crate) fn happen_on_host(&mut self, host: usize, what: OnHost) {
        let hung_until = self.hosts[host].hung_until;
        if hung_until > self.now {
            self.at(hung_until, Happening::OnHost { host, what });
            return;
        }
        match what {
            OnHost::Start => self.start_worker(host),
            OnHost::Connect(worker) => self.connect(host, worker),
            OnHost::Heartbeat { worker, link } => self.send_heartbeat(host, worker, link),
            OnHost::Receive { link, message } => self.receive(host, link, message),
            OnHost::Read(worker, attempt) => self.read_inputs(host, worker, attempt),
            OnHost::GiveUpReading(worker, attempt, winner) => self.give_up_reading(host, (worker, attempt), &winner),
            OnHost::End(worker, attempt) => self.end_attempt(host, worker, attempt),
            OnHost::Leave(worker) => self.leave(host, worker),
        }
    }

    fn life_of(&mut self, host: usize, worker: WorkerId) -> Option<&mut Life> {
        self.hosts[host].life.as_mut().filter(|life| life.worker == worker)
    }

    pub(crate) fn find_readable_host(&self, worker: WorkerId) -> Option<usize> {
        self.hosts.iter().position(|host| {
            let is_there = host.life.as_ref().is_some_and(|life| life.worker == worker);
            is_there && host.hung_until <= self.now && host.unreadable_until <= self.now
        })
    }

    fn start_worker(&mut self, host: usize) {
        if self.hosts[host].life.is_some() {
            return;
        }
        let worker = WorkerId::from_u128(u128::from(self.new_id()));
        let slots = self.rng.between(1, 3) as u32;
        self.hosts[host].life = Some(Life {
            worker,
            slots,
            link: None,
            running: BTreeMap::new(),
            queue: VecDeque::new(),
            outputs: BTreeMap::new(),
            reports: BTreeMap::new(),
            is_draining: false,
            doubted: BTreeMap::new(),
            absent: BTreeMap::new(),
        });
        self.connect(host, worker);
    }

    /// Ends the life on a host, and starts the next one after a while.
    pub(crate) fn end_life(&mut self, host: usize) {
        self.break_link(host);
        self.hosts[host].life = None;
        if self.now >= self.faults_until {
            self.wake_stragglers();
        }
        let wait = self.rng.between(100, 8_000);
        self.at(self.now + wait, Happening::OnHost { host, what: OnHost::Start });
    }

    fn connect(&mut self, host: usize, worker: WorkerId) {
        if self.is_down() {
            let wait = self.rng.between(0, 3_000);
            self.at(self.down_until + wait, Happening::OnHost { host, what: OnHost::Connect(worker) });
            return;
        }
        let cut_off_until = self.hosts[host].cut_off_until;
        if cut_off_until > self.now {
            self.at(cut_off_until, Happening::OnHost { host, what: OnHost::Connect(worker) });
            return;
        }
        let link = self.new_id();
        let (to_master_at, to_worker_at) = (self.now, self.now);
        self.connections.insert(link, Connection { host, to_master_at, to_worker_at, is_broken: false });
        let Some(life) = self.life_of(host, worker).filter(|life| life.link.is_none()) else { return };
        life.link = Some(link);
        let queued = life.queue.iter().map(|launch| launch.attempt);
        let held = Held {
            attempts: life.running.keys().copied().chain(queued).chain(life.reports.keys().copied()).collect(),
            shuffle_outputs: life.outputs.keys().copied().collect(),
        };
        let (slots, is_draining) = (life.slots, life.is_draining);
        let reports: Vec<_> = life.reports.iter().map(|(attempt, report)| (*attempt, report.clone())).collect();
        self.send(link, ToMaster::Hello { worker, slots, names: vec![host_name(host as u64)], held });
        if is_draining {
            self.send(link, ToMaster::Draining(worker));
        }
        for (attempt, report) in reports {
            self.send(link, ToMaster::Report { worker, attempt, report });
        }
        self.at(self.now + HEARTBEAT_MS, Happening::OnHost { host, what: OnHost::Heartbeat { worker, link } });
    }

    fn send(&mut self, link: u64, message: ToMaster) {
        let delay = self.rng.between(1, 50);
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&link) else { return };
        connection.to_master_at = connection.to_master_at.max(now + delay);
        let time = connection.to_master_at;
        self.at(time, Happening::ToMaster { link, message });
    }

    /// Breaks the connection of the worker on a host. The master may find out soon, or not before the lease ends.
    pub(crate) fn break_link(&mut self, host: usize) {
        let Some(life) = self.hosts[host].life.as_mut() else { return };
        let Some(link) = life.link.take() else { return };
        let worker = life.worker;
        let notice = if self.rng.percent(80) { self.rng.between(1, 2_000) } else { self.rng.between(5_000, 20_000) };
        let now = self.now;
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.is_broken = true;
            connection.to_master_at = connection.to_master_at.max(now + notice);
        }
        self.send(link, ToMaster::Broken(worker));
    }

    fn send_heartbeat(&mut self, host: usize, worker: WorkerId, link: u64) {
        if self.life_of(host, worker).is_some_and(|life| life.link == Some(link)) {
            self.send(link, ToMaster::Heartbeat(worker));
            self.at(self.now + HEARTBEAT_MS, Happening::OnHost { host, what: OnHost::Heartbeat { worker, link } });
        }
    }

    fn receive(&mut self, host: usize, link: u64, message: ToWorker) {
        let is_straggler = matches!(&message, ToWorker::Cancel(attempt) if self.is_straggler(*attempt));
        let is_too_late = self.rng.percent(25) && !is_straggler;
        let Some(life) = self.hosts[host].life.as_mut().filter(|life| life.link == Some(link)) else { return };
        match message {
            ToWorker::Launch(launch) if life.is_draining => {
                let attempt = launch.attempt;
                self.report(host, attempt, Report::Failed(FailureCause::WorkerDrains, Vec::new()));
            }
            ToWorker::Launch(launch) => {
                life.queue.push_back(launch);
                self.start_queued(host);
            }
            ToWorker::Cancel(attempt) => {
                life.queue.retain(|launch| launch.attempt != attempt);
                // An attempt that is about to end does not notice that it should stop.
                if !is_too_late {
                    life.running.remove(&attempt);
                }
                self.start_queued(host);
            }
            ToWorker::RemoveOutput(attempt) => drop(life.outputs.remove(&attempt)),
            ToWorker::RemoveJob(job) => life.outputs.retain(|attempt, _| attempt.task.job != job),
            ToWorker::Fence => self.end_life(host),
            ToWorker::Release => {
                let worker = life.worker;
                self.leave(host, worker);
            }
            ToWorker::SourceAbsent(source, absence) => {
                life.absent.insert(source, absence);
                self.hurry_readers(host, source);
            }
            ToWorker::Ack(attempt) => drop(life.reports.remove(&attempt)),
        }
    }

    fn start_queued(&mut self, host: usize) {
        while let Some(life) = self.hosts[host].life.as_mut()
            && life.running.len() < life.slots as usize
            && let Some(launch) = life.queue.pop_front()
        {
            let (worker, attempt) = (life.worker, launch.attempt);
            life.running.insert(attempt, Running { launch, waits_for: None, read: None });
            let wait = self.rng.between(1, 1_000);
            self.at(self.now + wait, Happening::OnHost { host, what: OnHost::Read(worker, attempt) });
        }
    }

    fn read_inputs(&mut self, host: usize, worker: WorkerId, attempt: AttemptId) {
        let Some(running) = self.life_of(host, worker).and_then(|life| life.running.get(&attempt)) else { return };
        let launch = running.launch.clone();
        if self.is_killer(attempt) {
            self.end_life(host);
            return;
        }
        let mut read = BTreeMap::new();
        for input in &launch.inputs {
            let mut contents = Vec::new();
            for winner in input.winners.iter() {
                if self.is_silent(host, winner.worker) {
                    if let Some(running) = self.life_of(host, worker).and_then(|it| it.running.get_mut(&attempt)) {
                        running.waits_for = Some(*winner);
                    }
                    let wait = self.doubt(host, winner.worker);
                    let what = OnHost::GiveUpReading(worker, attempt, *winner);
                    self.at(self.now + wait, Happening::OnHost { host, what });
                    return;
                }
                match self.read_output(host, &launch, winner) {
                    Ok(content) => contents.push(content),
                    Err(loss) => {
                        self.report(host, attempt, Report::Failed(lost(winner, loss), Vec::new()));
                        return;
                    }
                }
            }
            read.insert(input.stage, contents);
        }
        if let Some(running) = self.life_of(host, worker).and_then(|life| life.running.get_mut(&attempt)) {
            running.read = Some(read);
        }
        let wait =
            if self.is_straggler(attempt) && !self.is_cut_for_good() { NEVER_MS } else { self.rng.between(1, 3_000) };
        self.at(self.now + wait, Happening::OnHost { host, what: OnHost::End(worker, attempt) });
    }

    /// Another host's service takes the connection of a reader, and answers nothing.
    fn is_silent(&self, reader: usize, source: WorkerId) -> bool {
        let holds = |host: &&crate::cluster::Host| host.life.as_ref().is_some_and(|life| life.worker == source);
        let is_elsewhere = self.hosts[reader].life.as_ref().is_none_or(|life| life.worker != source);
        let is_quiet = |host: &crate::cluster::Host| host.silent_until.max(host.hung_until) > self.now;
        is_elsewhere && self.hosts.iter().find(holds).is_some_and(is_quiet)
    }

    /// Those who wait for a source that is absent do not wait long.
    fn hurry_readers(&mut self, host: usize, source: WorkerId) {
        let Some(life) = self.hosts[host].life.as_ref() else { return };
        let worker = life.worker;
        let waiting = life.running.iter().filter_map(|(attempt, running)| Some((*attempt, running.waits_for?)));
        let waiting: Vec<_> = waiting.filter(|(_, winner)| winner.worker == source).collect();
        let wait = patience_with(life.absent.get(&source).copied());
        for (attempt, winner) in waiting {
            self.at(self.now + wait, Happening::OnHost { host, what: OnHost::GiveUpReading(worker, attempt, winner) });
        }
    }

    /// How long a reader waits for such a service: long the first time, and then only as long as an answer takes.
    fn doubt(&mut self, reader: usize, source: WorkerId) -> u64 {
        let now = self.now;
        let Some(life) = self.hosts[reader].life.as_mut() else { return 0 };
        let told = patience_with(life.absent.get(&source).copied());
        let until = life.doubted.insert(source, now + DOUBT_MS);
        if until.is_some_and(|until| until > now) { PROBE_MS.min(told) } else { (SILENCE_MS + PROBE_MS).min(told) }
    }

    fn give_up_reading(&mut self, host: usize, (worker, attempt): (WorkerId, AttemptId), winner: &Winner) {
        if self.life_of(host, worker).is_some_and(|life| life.running.contains_key(&attempt)) {
            self.report(host, attempt, Report::Failed(lost(winner, OutputLoss::Unreached), Vec::new()));
        }
    }

    fn read_output(&mut self, host: usize, launch: &Launch, winner: &Winner) -> Result<Content, OutputLoss> {
        let task = winner.attempt.task;
        let script = self.plans[&launch.attempt.task.job].script;
        let is_unreadable = script == Script::UnreadableForever(task.stage);
        let is_flaky =
            is_unreadable || script == Script::FlakyReads && self.may_lose_read(task) && self.rng.percent(30);
        if is_flaky {
            return Err(OutputLoss::Gone);
        }
        let is_local = self.hosts[host].life.as_ref().is_some_and(|life| life.worker == winner.worker);
        let source = if is_local { Some(host) } else { self.find_readable_host(winner.worker) };
        let is_cut = |source: &usize| self.hosts[host].cut_from.get(source).is_some_and(|until| *until > self.now);
        let source = source.filter(|source| !is_cut(source)).ok_or(OutputLoss::Unreached)?;
        let life = self.hosts[source].life.as_ref();
        life.and_then(|life| life.outputs.get(&winner.attempt).cloned()).ok_or(OutputLoss::Gone)
    }

    fn may_lose_read(&self, task: TaskId) -> bool {
        let of_job = self.oracle.unreadable_count_of(task.job);
        self.oracle.unreadable_count(task) < UNREADABLE_MAX && of_job < UNREADABLE_PER_JOB_MAX
    }

    fn is_killer(&self, AttemptId { task, attempt }: AttemptId) -> bool {
        let script = self.plans[&task.job].script;
        let kills = script == Script::Killer(task.stage)
            || script == Script::FlakyKiller(task.stage) && matches!(attempt, 0 | 1 | 3 | 4);
        kills && task.partition == 0
    }

    /// It never ends; others of its stage do, so that this can be found out.
    pub(crate) fn is_straggler(&self, AttemptId { task, attempt }: AttemptId) -> bool {
        let is_first = attempt == 0 && task.partition == 0;
        let stage = self.scheduler.job(task.job).and_then(|job| job.stages().nth(task.stage.0 as usize));
        is_first
            && self.plans[&task.job].script == Script::Straggler(task.stage)
            && stage.is_none_or(|stage| stage.task_count() > 1)
    }

    fn end_attempt(&mut self, host: usize, worker: WorkerId, attempt: AttemptId) {
        let Some(running) = self.life_of(host, worker).and_then(|life| life.running.get_mut(&attempt)) else { return };
        let launch = running.launch.clone();
        let read = running.read.take().unwrap_or_default();
        let Scanned { mut scans, value, failure } = scan_links(&self.plans[&attempt.task.job], &launch);
        if let Some(cause) = failure {
            self.report(host, attempt, Report::Failed(cause, scans));
            return;
        }
        if let Some(cause) = self.failure_of(host, attempt) {
            self.interrupt(&mut scans);
            self.report(host, attempt, Report::Failed(cause, scans));
            return;
        }
        let own = Own { version: self.rng.next(), records: value };
        let plan = &self.plans[&attempt.task.job];
        let content = compute(plan, (attempt, launch.merged), &read, own);
        let stage = attempt.task.stage;
        let is_file = stage == plan.final_stage() && plan.graph.final_output() == FinalOutput::Files;
        let partition_bytes = plan.partition_bytes(stage, attempt.task.partition);
        let output = if is_file {
            self.staging.insert(attempt, content);
            AttemptOutput::Files
        } else {
            self.life_of(host, worker).map(|life| life.outputs.insert(attempt, content));
            AttemptOutput::Shuffle { partition_bytes }
        };
        self.report(host, attempt, Report::Finished(output, scans));
    }

    /// The attempt fails somewhere in its links, or after the last one.
    fn interrupt(&mut self, scans: &mut Vec<LinkScan>) {
        scans.truncate(self.rng.between(0, scans.len() as u64) as usize);
        if let Some(last) = scans.last_mut().filter(|_| self.rng.percent(50)) {
            last.read.end = None;
        }
    }

    fn failure_of(&mut self, host: usize, attempt: AttemptId) -> Option<FailureCause> {
        let task = attempt.task;
        if let Some(cause) = scripted_failure(self.plans[&task.job].script, attempt) {
            return Some(cause);
        }
        let chance = if self.hosts[host].sick_until > self.now { 80 } else { 8 };
        if self.now > self.faults_until || !self.rng.percent(chance) {
            return None;
        }
        let (message, directory) = ("planted".to_owned(), "/work".to_owned());
        let cause = match self.rng.between(0, 3) {
            0 => FailureCause::Internal { message },
            1 => FailureCause::Storage { message },
            2 => FailureCause::DiskFull { directory, message },
            _ => FailureCause::OutOfMemory { message },
        };
        let exhausted = ["out_of_memory", "disk_full"].map(|name| self.oracle.failure_count(task, name));
        let is_exhausted = exhausted.contains(&self.oracle.failure_count(task, cause.name()))
            && matches!(cause, FailureCause::DiskFull { .. } | FailureCause::OutOfMemory { .. });
        let before = if is_exhausted { exhausted.iter().sum() } else { self.oracle.failure_count(task, cause.name()) };
        (before < FAILURES_MAX).then_some(cause)
    }

    fn report(&mut self, host: usize, attempt: AttemptId, report: Report) {
        let Some(life) = self.hosts[host].life.as_mut() else { return };
        life.running.remove(&attempt);
        life.reports.insert(attempt, report.clone());
        let (worker, link) = (life.worker, life.link);
        if let Some(link) = link {
            self.send(link, ToMaster::Report { worker, attempt, report });
        }
        self.start_queued(host);
    }

    /// Asks the worker on a host to take no more attempts, finish what it runs, and go.
    pub(crate) fn drain(&mut self, host: usize) {
        let Some(life) = self.hosts[host].life.as_mut().filter(|life| !life.is_draining) else { return };
        life.is_draining = true;
        let (worker, link) = (life.worker, life.link);
        if let Some(link) = link {
            self.send(link, ToMaster::Draining(worker));
        }
        if self.rng.percent(30) {
            // Somebody does not wait until it may.
            let wait = self.rng.between(500, 10_000);
            self.at(self.now + wait, Happening::OnHost { host, what: OnHost::Leave(worker) });
        }
    }

    fn leave(&mut self, host: usize, worker: WorkerId) {
        let Some(life) = self.life_of(host, worker) else { return };
        if let Some(link) = life.link {
            self.send(link, ToMaster::Gone(worker));
        }
        self.end_life(host);
    }
}

fn scripted_failure(script: Script, AttemptId { task, attempt }: AttemptId) -> Option<FailureCause> {
    let message = "planted".to_owned();
    let storage = FailureCause::Storage { message: message.clone() };
    let failures = [
        (Script::TaskError(task.stage), FailureCause::task("planted")),
        (Script::InternalForever(task.stage), FailureCause::internal("planted")),
        (Script::ExhaustedForever(task.stage), FailureCause::OutOfMemory { message }),
        (Script::StorageForever(task.stage), storage.clone()),
    ];
    let is_between_kills = script == Script::FlakyKiller(task.stage) && attempt == 2;
    let scripted = failures.into_iter().find(|(of, _)| *of == script).map(|(_, cause)| cause);
    scripted.or(is_between_kills.then_some(storage)).filter(|_| task.partition == 0)
}

/// How long a reader waits at most for a source of which the master told that.
const fn patience_with(absence: Option<Absence>) -> u64 {
    match absence {
        None => NEVER_MS,
        Some(Absence::Silent) => PROBE_MS,
        Some(Absence::Lost) => LOST_MS,
    }
}

fn lost(winner: &Winner, loss: OutputLoss) -> FailureCause {
    let AttemptId { task, attempt } = winner.attempt;
    FailureCause::LostShuffleOutput {
        stage: task.stage,
        partition: task.partition,
        attempt,
        worker: winner.worker,
        loss,
        message: "planted".to_owned(),
    }
}
