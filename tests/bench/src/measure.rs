//! Wall time, CPU time and peak memory of one run.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::proc;

/// Time between two looks at the memory of a run.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(25);

/// What one run cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From start to exit, in seconds.
    pub(crate) wall_seconds: f64,
    /// Of all processes that took part, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Largest sum of the resident memory of all processes, in bytes. Pages they share count in each.
    pub(crate) memory_bytes: u64,
}

/// Runs a command to its end. `servers` are running processes that work for it and count as well.
pub(crate) fn measure(command: &mut Command, servers: &[u32]) -> Result<(Cost, String)> {
    let servers_before = servers_cpu_seconds(servers);
    let children_before = proc::ended_children_cpu_seconds();
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("start {command:?}"))?;
    let roots: Vec<u32> = servers.iter().copied().chain([child.id()]).collect();
    let over = AtomicBool::new(false);
    let (output, wall, sampled) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(&roots, servers, &over));
        let output = child.wait_with_output();
        let wall = started.elapsed();
        over.store(true, Ordering::Relaxed);
        (output, wall, sampler.join().unwrap_or_default())
    });
    let output = output?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    // What a child did not wait for itself is seen by the samples alone.
    let children = (proc::ended_children_cpu_seconds() - children_before).max(sampled.cpu_seconds);
    let cost = Cost {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: children + servers_cpu_seconds(servers) - servers_before,
        memory_bytes: sampled.memory_bytes,
    };
    Ok((cost, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn servers_cpu_seconds(servers: &[u32]) -> f64 {
    servers.iter().map(|process| proc::cpu_seconds(&process.to_string())).sum()
}

/// Watches a run until it is over: memory of all its processes, CPU time of those that are not servers.
fn sample(roots: &[u32], servers: &[u32], over: &AtomicBool) -> Cost {
    let (mut cost, mut cpu_seconds) = (Cost::default(), BTreeMap::new());
    while !over.load(Ordering::Relaxed) {
        let family = proc::family(roots);
        cost.memory_bytes = cost.memory_bytes.max(family.iter().map(|process| proc::resident_bytes(*process)).sum());
        for process in family.into_iter().filter(|process| !servers.contains(process)) {
            let seconds = cpu_seconds.entry(process).or_insert(0.0_f64);
            *seconds = seconds.max(proc::cpu_seconds(&process.to_string()));
        }
        std::thread::sleep(SAMPLE_INTERVAL);
    }
    cost.cpu_seconds = cpu_seconds.values().sum();
    cost
}
