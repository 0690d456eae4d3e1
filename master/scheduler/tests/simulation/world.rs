//! One run: a clock, what will happen, the scheduler, its owner and the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_common::{JobId, WorkerId};
use hearth_scheduler::mutation::Mutation;
use hearth_scheduler::{Effect, Event, ExclusionPolicy, Millis, Scheduler, SchedulerConfig, StragglerPolicy};

use crate::chains::count_wrong_guesses;
use crate::cluster::{Connection, Happening, Host, OnHost};
use crate::content::Content;
use crate::exclusions::barred_workers;
use crate::input::Input;
use crate::kept::Kept;
use crate::oracle::Oracle;
use crate::plan::{JobPlan, Script};
use crate::restart::Stall;
use crate::rng::{Rng, mix};

/// A job that has not ended so long after the last fault hangs.
const HANG_MS: u64 = 900_000;
/// Messages that are on their way when the last job ends have arrived by then.
const SETTLE_MS: u64 = 40_000;

/// A run.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    pub(crate) scheduler: Scheduler,
    pub(crate) oracle: Oracle,
    pub(crate) plans: BTreeMap<JobId, JobPlan>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// Which connection the master uses for a worker.
    pub(crate) links: BTreeMap<WorkerId, u64>,
    /// Files in staging, by attempt.
    pub(crate) staging: BTreeMap<hearth_common::AttemptId, Content>,
    pub(crate) commits: BTreeMap<JobId, Vec<hearth_scheduler::Winner>>,
    pub(crate) faults_until: u64,
    pub(crate) next_id: u64,
    pub(crate) violation: Option<String>,
    pub(crate) config: SchedulerConfig,
    pub(crate) kept: Kept,
    pub(crate) stall: Option<Box<Stall>>,
    /// The master is gone until then.
    pub(crate) down_until: u64,
    /// Connections before this one were to a master that is gone.
    pub(crate) first_link: u64,
    pub(crate) restarts: u64,
    pub(crate) events: u64,
    trace: u64,
    is_traced: bool,
    has_mutation: bool,
    agenda: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) jobs_done: u64,
    pub(crate) jobs_failed: u64,
    /// Attempts that were not the first of their task.
    pub(crate) attempts_again: u64,
    /// Attempts that were launched beside a slow one.
    pub(crate) seconds: u64,
    /// Attempts that ended after a wrong guess.
    pub(crate) wrong_guesses: u64,
    /// Attempts that ended before it was known whether they had guessed right.
    pub(crate) unproved: u64,
    /// How often the master was killed.
    pub(crate) restarts: u64,
    /// Readers that got no connection.
    pub(crate) unreached: u64,
    /// Depends on every effect.
    pub(crate) trace: u64,
}

/// Runs one seed, with a planted bug or without.
pub(crate) fn run(seed: u64, mutation: Option<Mutation>) -> Result<Summary, String> {
    World::new(seed, mutation).finish(seed)
}

/// Runs one seed in which nothing goes wrong. Every task must run once, and again at most once per link that was not read from
/// its true start.
pub(crate) fn run_without_faults(seed: u64) -> Result<Summary, String> {
    let mut world = World::new(seed, None);
    world.faults_until = 0;
    for plan in world.plans.values_mut() {
        plan.script = Script::Normal;
        plan.limits.deadline = None;
        plan.inputs.values_mut().for_each(Input::mend);
    }
    let wrong_guesses: u64 = world.plans.values().map(count_wrong_guesses).sum();
    world.agenda.retain(|_, happening| !matches!(happening, Happening::Deliver(_)));
    let summary = world.finish(seed)?;
    if summary.attempts_again - summary.seconds <= wrong_guesses && summary.jobs_failed == 0 {
        return Ok(summary);
    }
    Err(format!("seed {seed}: {summary:?}"))
}

impl World {
    fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut rng = Rng::new(mix(seed));
        let running_jobs_max = rng.between(1, 4) as usize;
        let queued_jobs_max = rng.between(1, 5) as usize;
        let exclusion = ExclusionPolicy {
            jobs_max: rng.between(1, 2) as u32,
            duration: Duration::from_millis(rng.between(2_000, 30_000)),
            ..ExclusionPolicy::default()
        };
        let priority_lead = Duration::from_millis(rng.between(0, 10_000));
        // Attempts that never end with nothing to compare them with have their second ones late: too late to hide what is planted.
        let lonely_runtime_min = if mutation.is_some() { Duration::MAX } else { Duration::from_secs(600) };
        let config = SchedulerConfig {
            stragglers: StragglerPolicy { lonely_runtime_min, ..StragglerPolicy::default() },
            drain_wait: Duration::from_millis(rng.between(0, 20_000)),
            priority_lead,
            restart_grace: Duration::from_millis(rng.between(4_000, 30_000)),
            exclusion,
            running_jobs_max,
            queued_jobs_max,
            mutation,
            ..SchedulerConfig::default()
        };
        let hosts = (0..rng.between(2, 5)).map(|_| Host::default()).collect();
        let mut world = Self {
            now: 0,
            scheduler: Scheduler::new(config.clone()),
            config,
            kept: Kept::default(),
            stall: None,
            down_until: 0,
            first_link: 0,
            restarts: 0,
            oracle: Oracle::new(running_jobs_max, priority_lead),
            plans: BTreeMap::new(),
            hosts,
            connections: BTreeMap::new(),
            links: BTreeMap::new(),
            staging: BTreeMap::new(),
            commits: BTreeMap::new(),
            faults_until: rng.between(10_000, 60_000),
            next_id: 1,
            violation: None,
            events: 0,
            trace: 0,
            has_mutation: mutation.is_some(),
            is_traced: std::env::var_os("HEARTH_SIM_TRACE").is_some(),
            agenda: BTreeMap::new(),
            sequence: 0,
            rng,
        };
        world.set_agenda();
        world
    }

    fn set_agenda(&mut self) {
        for number in 0..self.rng.between(1, 6) {
            let mut plan = JobPlan::random(&mut self.rng, number);
            let is_slow = |plan: &JobPlan| matches!(plan.script, Script::Straggler(_));
            if is_slow(&plan) && self.plans.values().any(is_slow) {
                // Two of them could take all slots there are.
                plan.script = Script::Normal;
            }
            let (id, submit_at) = (plan.id, plan.submit_at);
            if let Script::Cancel(after) = plan.script {
                self.at(submit_at + after, Happening::Deliver(Event::CancelRequested { job: id }));
            }
            self.plans.insert(id, plan);
            self.at(submit_at, Happening::Submit(id));
        }
        for host in 0..self.hosts.len() {
            let wait = self.rng.between(0, 5_000);
            self.at(wait, Happening::OnHost { host, what: OnHost::Start });
        }
        self.at(self.faults_until, Happening::FaultsEnd);
        self.at(1_000, Happening::Fault);
    }

    pub(crate) fn at(&mut self, time: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((time.max(self.now), self.sequence), happening);
    }

    pub(crate) fn drop_happenings(&mut self, is_dropped: impl Fn(&Happening) -> bool) {
        self.agenda.retain(|_, happening| !is_dropped(happening));
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn finish(mut self, seed: u64) -> Result<Summary, String> {
        self.live();
        match self.violation.take() {
            Some(problem) => Err(format!("seed {seed}, at {} ms: {problem}", self.now)),
            None => Ok(self.summary()),
        }
    }

    fn live(&mut self) {
        let mut ended_at = None;
        while self.violation.is_none() {
            let next = self.agenda.first_key_value().map(|((time, _), _)| *time);
            let tick =
                self.scheduler.next_deadline().filter(|_| !self.is_down()).map(|deadline| deadline.0.max(self.now));
            if ended_at.is_none() && self.has_ended() {
                ended_at = Some(self.now.max(self.faults_until));
            }
            let time = next.into_iter().chain(tick).min().unwrap_or(u64::MAX);
            if ended_at.is_some_and(|ended_at| time > ended_at + SETTLE_MS) {
                self.check_end();
                return;
            }
            if time > self.faults_until + HANG_MS {
                self.fail(format!("jobs hang: {:?}", self.oracle.jobs));
                return;
            }
            self.now = time;
            if next.is_some_and(|next| tick.is_none_or(|tick| next <= tick)) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(happening);
                }
            } else {
                self.handle(Event::Tick);
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.plans
            .keys()
            .all(|job| self.oracle.jobs.get(job).is_some_and(|seen| seen.is_refused || seen.ended.is_some()))
    }

    fn check_end(&mut self) {
        for host in &self.hosts {
            let Some(life) = &host.life else { continue };
            if life.is_draining {
                self.violation = Some(format!("worker {} drains for ever", life.worker));
            }
            // A host that hangs twice may hear of a cancellation before the launch; what never ends is then left running.
            let mut running = life.running.keys().filter(|attempt| !self.is_straggler(**attempt));
            let left = (life.outputs.keys().next(), running.next(), life.queue.front());
            if left != (None, None, None) {
                self.violation = Some(format!("worker {} is left with {left:?}", life.worker));
            }
        }
        if let Some(job) = self.scheduler.jobs().next() {
            self.violation = Some(format!("job {} is remembered after its end", job.id()));
        }
    }

    pub(crate) fn fail(&mut self, problem: String) {
        self.violation.get_or_insert(problem);
    }

    /// Gives an event to the scheduler, and carries its effects out.
    pub(crate) fn handle(&mut self, event: Event) {
        self.events += 1;
        if self.is_traced {
            println!("{} {event:?}", self.now);
        }
        self.oracle.now = self.now;
        self.oracle.barred = std::mem::take(&mut self.oracle.barred_by_now);
        self.oracle.on_event(&event, &self.plans);
        let mut effects = Vec::new();
        self.scheduler.handle(Millis(self.now), event.clone(), &mut effects);
        self.oracle.barred_by_now = barred_workers(&self.scheduler);
        self.oracle.note_unfit(&self.scheduler);
        for effect in &effects {
            self.note(effect);
            if let Err(problem) = self.oracle.on_effect(effect, &self.plans) {
                self.fail(problem);
            }
        }
        self.oracle.on_hello_over();
        if let Err(problem) = self.oracle.check_told(&self.scheduler) {
            self.fail(problem);
        }
        self.store_and_act(event, effects);
        if let Err(problem) = self.oracle.check_waiting(&self.scheduler, &self.plans) {
            self.fail(problem);
        }
        if let Err(problem) = self.oracle.check_deadlines(&self.plans) {
            self.fail(problem);
        }
        if let Err(problem) = self.oracle.check_exclusions(&self.scheduler) {
            self.fail(problem);
        }
        if let Err(problem) = self.oracle.check_cuts(&self.scheduler) {
            self.fail(problem);
        }
        if let Err(problem) = self.oracle.check_idle(&self.scheduler, &self.plans) {
            self.fail(problem);
        }
        // A planted bug must show from outside: a recount would find some of them too easily.
        if !self.has_mutation
            && let Err(problem) = self.scheduler.check_invariants()
        {
            self.fail(problem);
        }
    }

    fn note(&mut self, effect: &Effect) {
        let text = format!("{} {effect:?}", self.now);
        if self.is_traced {
            println!("    {text}");
        }
        let sum = text.bytes().fold(self.trace, |sum, byte| sum.wrapping_mul(0x0100_0000_01B3) ^ u64::from(byte));
        self.trace = sum;
    }

    fn summary(&self) -> Summary {
        let count = |is_failed: bool| {
            let ended = self.oracle.jobs.values().filter_map(|seen| seen.ended.as_ref());
            ended.filter(|failure| failure.is_some() == is_failed).count() as u64
        };
        Summary {
            events: self.events,
            jobs_done: count(false),
            jobs_failed: count(true),
            attempts_again: self.oracle.attempts_again(),
            seconds: self.oracle.seconds,
            wrong_guesses: self.oracle.links.wrong_count,
            unproved: self.oracle.links.unproved_count,
            restarts: self.restarts,
            unreached: self.oracle.unreached.values().copied().map(u64::from).sum(),
            trace: self.trace,
        }
    }
}
