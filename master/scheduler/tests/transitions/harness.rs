//! Events and effects as short text, so that a test reads like a table.
//!
//! Jobs and workers are numbers. An attempt is `job/stage/partition.attempt`; `@2` says on which worker.

use std::time::Duration;

use hearth_common::{
    AttemptId, FailureCause, JobId, LinkEnd, LinkScan, LinkSpan, OutputLoss, StageId, TaskId, WorkerId,
};
use hearth_scheduler::{
    AttemptOutput, CommitOutcome, Effect, Event, FinalOutput, Held, HostBytes, InputKind, JobGraph, JobLimits,
    KnownStart, Launch, Link, Millis, Scheduler, SchedulerConfig, StageInput, StageSpec, TaskLayout, Winner,
};

/// A scheduler and the time.
pub(crate) struct Harness {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: u64,
}

impl Harness {
    pub(crate) fn new(config: SchedulerConfig) -> Self {
        Self { scheduler: Scheduler::new(config), now: 0 }
    }

    /// Two workers hold one output each, and each runs a task that reads both.
    pub(crate) fn two_stages(slots: [u32; 2]) -> Self {
        let mut harness = Self::running(&slots, files(vec![fixed(2, &[]), fixed(2, &[0])]));
        harness.finish("1/0/0.0@1");
        check(
            harness.finish("1/0/1.0@2"),
            &["launch 1/1/0.0@1 reads 0/0.0@1 0/1.0@2", "launch 1/1/1.0@2 reads 0/0.0@1 0/1.0@2"],
        );
        harness
    }

    /// Workers 1, 2, … with so many slots each, and job 1 planned.
    pub(crate) fn running(slots: &[u32], graph: JobGraph) -> Self {
        let mut harness = Self::new(SchedulerConfig::default());
        for (number, slots) in (1..).zip(slots) {
            harness.connect(number, *slots, held(&[], &[]));
        }
        harness.submit(1);
        harness.planned(1, graph);
        harness
    }

    /// Gives an event; tells the effects but those that announce changes.
    pub(crate) fn handle(&mut self, event: Event) -> Vec<String> {
        let mut effects = Vec::new();
        self.scheduler.handle(Millis(self.now), event, &mut effects);
        self.scheduler.check_invariants().expect("invariants hold");
        let is_news = |effect: &&Effect| !matches!(effect, Effect::JobChanged { .. });
        effects.iter().filter(is_news).map(show_effect).collect()
    }

    /// Lets time pass, and ticks.
    pub(crate) fn pass(&mut self, wait: Duration) -> Vec<String> {
        self.now += u64::try_from(wait.as_millis()).expect("a short wait");
        self.handle(Event::Tick)
    }

    /// The same, while a worker is heard of every second.
    pub(crate) fn pass_with_heartbeats(&mut self, number: u32, wait_ms: u64) -> Vec<String> {
        let end = self.now + wait_ms;
        let mut effects = Vec::new();
        while self.now < end {
            effects.extend(self.beat(number));
            effects.extend(self.pass(Duration::from_millis((end - self.now).min(1_000))));
        }
        effects
    }

    pub(crate) fn submit(&mut self, number: u32) -> Vec<String> {
        let limits = JobLimits { slots_max: None, merge_bytes: 100, ..JobLimits::default() };
        self.handle(Event::JobSubmitted { job: job(number), limits })
    }

    pub(crate) fn planned(&mut self, number: u32, graph: JobGraph) -> Vec<String> {
        self.handle(Event::JobPlanned { job: job(number), graph })
    }

    pub(crate) fn cancel(&mut self, number: u32) -> Vec<String> {
        self.handle(Event::CancelRequested { job: job(number) })
    }

    pub(crate) fn connect(&mut self, number: u32, slots: u32, held: Held) -> Vec<String> {
        self.handle(Event::WorkerConnected { worker: worker(number), slots, names: vec![format!("h{number}")], held })
    }

    pub(crate) fn disconnect(&mut self, number: u32) -> Vec<String> {
        self.handle(Event::WorkerDisconnected { worker: worker(number) })
    }

    pub(crate) fn beat(&mut self, number: u32) -> Vec<String> {
        self.handle(Event::Heartbeat { worker: worker(number) })
    }

    /// An attempt, given as `1/0/0.0@1`, left 10 bytes in each of two shuffle partitions.
    pub(crate) fn finish(&mut self, text: &str) -> Vec<String> {
        self.finish_with(text, &[10, 10])
    }

    pub(crate) fn finish_with(&mut self, text: &str, partition_bytes: &[u64]) -> Vec<String> {
        let Winner { attempt, worker } = winner(text);
        let output = AttemptOutput::Shuffle { partition_bytes: partition_bytes.to_vec() };
        self.handle(Event::AttemptFinished { attempt, worker, output, scans: Vec::new() })
    }

    pub(crate) fn finish_files(&mut self, text: &str) -> Vec<String> {
        self.finish_files_of(text, &[])
    }

    /// The same, by an attempt that read links: see [`scan`].
    pub(crate) fn finish_files_of(&mut self, text: &str, scans: &[&str]) -> Vec<String> {
        let (Winner { attempt, worker }, output) = (winner(text), AttemptOutput::Files);
        self.handle(Event::AttemptFinished { attempt, worker, output, scans: parse_scans(scans) })
    }

    /// An attempt that read links left 10 bytes in each of two shuffle partitions.
    pub(crate) fn finish_scans(&mut self, text: &str, scans: &[&str]) -> Vec<String> {
        let Winner { attempt, worker } = winner(text);
        let output = AttemptOutput::Shuffle { partition_bytes: vec![10, 10] };
        self.handle(Event::AttemptFinished { attempt, worker, output, scans: parse_scans(scans) })
    }

    pub(crate) fn fail(&mut self, text: &str, cause: FailureCause) -> Vec<String> {
        self.fail_scans(text, cause, &[])
    }

    /// The same, by an attempt that read links.
    pub(crate) fn fail_scans(&mut self, text: &str, cause: FailureCause, scans: &[&str]) -> Vec<String> {
        let Winner { attempt, worker } = winner(text);
        self.handle(Event::AttemptFailed { attempt, worker, cause, scans: parse_scans(scans) })
    }

    pub(crate) fn commit_ended(&mut self, number: u32, outcome: CommitOutcome) -> Vec<String> {
        self.handle(Event::CommitEnded { job: job(number), outcome })
    }
}

/// Compares the effects of an event with those expected.
#[track_caller]
pub(crate) fn check(effects: Vec<String>, expected: &[&str]) {
    assert_eq!(effects, expected);
}

/// What a worker says it has, when it connects.
pub(crate) fn held(attempts: &[&str], outputs: &[&str]) -> Held {
    let parse = |texts: &[&str]| texts.iter().map(|text| attempt(text)).collect();
    Held { attempts: parse(attempts), shuffle_outputs: parse(outputs) }
}

pub(crate) fn job(number: u32) -> JobId {
    JobId::from_u128(u128::from(number))
}

pub(crate) fn worker(number: u32) -> WorkerId {
    WorkerId::from_u128(u128::from(number))
}

pub(crate) fn attempt(text: &str) -> AttemptId {
    let numbers: Vec<u32> = text.split(['/', '.']).map(|number| number.parse().expect("a number")).collect();
    let [number, stage, partition, attempt] = numbers[..] else { panic!("`{text}` is not an attempt") };
    AttemptId { task: TaskId { job: job(number), stage: StageId(stage), partition }, attempt }
}

pub(crate) fn winner(text: &str) -> Winner {
    let (name, number) = text.split_once('@').expect("a worker");
    Winner { attempt: attempt(name), worker: worker(number.parse().expect("a number")) }
}

/// What an attempt found out about a link: `1: 105..210/3` says that link 1 was read from byte 105 to 210, 3 lines; without
/// the end it failed there. `| 120..230/2` after it is what would have been, had the link begun inside quotes.
fn scan(text: &str) -> LinkScan {
    let (link, spans) = text.split_once(": ").expect("a link");
    let (read, quoted) = spans.split_once(" | ").map_or((spans, None), |(read, quoted)| (read, Some(quoted)));
    LinkScan { link: link.parse().expect("a number"), read: span(read), quoted: quoted.map(span) }
}

fn span(text: &str) -> LinkSpan {
    let number = |text: &str| text.parse().expect("a number");
    let (start, end) = text.split_once("..").expect("a span");
    let end = end.split_once('/').map(|(byte, lines)| LinkEnd { byte: number(byte), lines: number(lines) });
    LinkSpan { start: number(start), end }
}

fn parse_scans(texts: &[&str]) -> Vec<LinkScan> {
    texts.iter().map(|text| scan(text)).collect()
}

/// The failure of a reader that could not read that output.
pub(crate) fn unreadable(text: &str) -> FailureCause {
    lost_to(text, OutputLoss::Gone)
}

/// The failure of a reader that got no connection to the worker of that output.
pub(crate) fn unreached(text: &str) -> FailureCause {
    lost_to(text, OutputLoss::Unreached)
}

fn lost_to(text: &str, loss: OutputLoss) -> FailureCause {
    let Winner { attempt: AttemptId { task, attempt }, worker } = winner(text);
    let TaskId { stage, partition, .. } = task;
    FailureCause::LostShuffleOutput { stage, partition, attempt, worker, loss, message: String::new() }
}

pub(crate) fn out_of_memory() -> FailureCause {
    FailureCause::OutOfMemory { message: "sort".to_owned() }
}

pub(crate) fn storage() -> FailureCause {
    FailureCause::Storage { message: "slow".to_owned() }
}

/// A stage of so many tasks, with two shuffle partitions, that reads those stages by shuffle partition.
pub(crate) fn fixed(tasks: u32, inputs: &[u32]) -> StageSpec {
    StageSpec {
        tasks: TaskLayout::Fixed { tasks },
        inputs: partitioned(inputs),
        shuffle_partitions: 2,
        determinate: true,
        links: Vec::new(),
        homes: Vec::new(),
    }
}

/// A stage whose tasks prefer those hosts: `"12"` stands for workers 1 and 2, which are on hosts `h1` and `h2`.
pub(crate) fn homed(homes: &[&str]) -> StageSpec {
    let host = |number: char| HostBytes { host: format!("H{number}"), bytes: 10 };
    let homes = homes.iter().map(|hosts| hosts.chars().map(host).collect()).collect::<Vec<Vec<_>>>();
    StageSpec { homes: homes.clone(), ..fixed(homes.len() as u32, &[]) }
}

/// The same, but its tasks are merged from two shuffle partitions.
pub(crate) fn merged(inputs: &[u32]) -> StageSpec {
    StageSpec { tasks: TaskLayout::Merged { partitions: 2 }, ..fixed(1, inputs) }
}

/// A link of 100 bytes.
pub(crate) fn link(task: u32, start: u64, follows: bool) -> Link {
    Link { task, start, end: start + 100, follows }
}

/// A stage of so many tasks, each of which reads one link of 100 bytes of the same file.
pub(crate) fn chain(tasks: u32) -> StageSpec {
    linked(tasks, (0..tasks).map(|task| link(task, u64::from(task) * 100, task > 0)).collect())
}

pub(crate) fn linked(tasks: u32, links: Vec<Link>) -> StageSpec {
    StageSpec { links, ..fixed(tasks, &[]) }
}

pub(crate) fn indeterminate(stage: StageSpec) -> StageSpec {
    StageSpec { determinate: false, ..stage }
}

fn partitioned(inputs: &[u32]) -> Vec<StageInput> {
    inputs.iter().map(|stage| StageInput { stage: StageId(*stage), kind: InputKind::Partitioned }).collect()
}

pub(crate) fn files(stages: Vec<StageSpec>) -> JobGraph {
    JobGraph::new(stages, FinalOutput::Files).expect("a graph")
}

pub(crate) fn result(stages: Vec<StageSpec>) -> JobGraph {
    JobGraph::new(stages, FinalOutput::Result).expect("a graph")
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::RejectJob { job, reason } => format!("reject {}: {reason}", number(job)),
        Effect::Plan { job } => format!("plan {}", number(job)),
        Effect::Launch(launch) => show_launch(launch),
        Effect::CancelAttempt { worker, attempt } => format!("cancel {}@{}", show_attempt(attempt), number(worker)),
        Effect::Commit { job, winners } => format!("commit {}: {}", number(job), show_winners(winners)),
        Effect::DiscardOutput { job } => format!("discard {}", number(job)),
        Effect::RemoveShuffleOutput { worker, attempt } => {
            format!("remove {}@{}", show_attempt(attempt), number(worker))
        }
        Effect::RemoveJobShuffle { worker, job } => format!("remove {}@{}", number(job), number(worker)),
        Effect::FenceWorker { worker } => format!("fence {}", number(worker)),
        Effect::TellReader { reader, source, absence } => {
            format!("tell {} that {} is {absence:?}", number(reader), number(source))
        }
        Effect::ReleaseWorker { worker } => format!("release {}", number(worker)),
        Effect::HubChosen { job, hub, cut } => {
            format!("hub {}@{}: {} misses {}", number(job), number(hub), number(&cut.reader), number(&cut.source))
        }
        Effect::JobChanged { job } => format!("changed {}", number(job)),
        Effect::JobEnded { job, failure: None } => format!("done {}", number(job)),
        Effect::JobEnded { job, failure: Some(cause) } => format!("failed {}: {cause}", number(job)),
    }
}

fn show_launch(launch: &Launch) -> String {
    let merged = launch.merged.as_ref().map(|range| format!(" merges {range:?}")).unwrap_or_default();
    let reads: String = launch.inputs.iter().map(|input| format!(" reads {}", show_winners(&input.winners))).collect();
    let starts: String = launch.starts.iter().map(show_start).collect();
    format!("launch {}@{}{merged}{reads}{starts}", show_attempt(&launch.attempt), number(&launch.worker))
}

/// ` 1=210:4` tells that the records of link 1 start at byte 210, line 4.
fn show_start(KnownStart { link, start }: &KnownStart) -> String {
    format!(" {link}={}:{}", start.byte, start.line)
}

fn show_winners(winners: &[Winner]) -> String {
    let show = |winner: &Winner| {
        let AttemptId { task, attempt } = winner.attempt;
        format!("{}/{}.{attempt}@{}", task.stage, task.partition, number(&winner.worker))
    };
    winners.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn show_attempt(AttemptId { task, attempt }: &AttemptId) -> String {
    format!("{}/{}/{}.{attempt}", number(&task.job), task.stage, task.partition)
}

/// Ids are small numbers in tests; the last digits of their text tell them.
fn number(id: &impl ToString) -> String {
    let text = id.to_string();
    let last = text.rsplit('-').next().unwrap_or_default().to_owned();
    u64::from_str_radix(&last, 16).expect("a number").to_string()
}
