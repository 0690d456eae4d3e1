//! One event in, the expected effects out: a file per group of handlers.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod commit;
#[cfg(test)]
mod doubts;
#[cfg(test)]
mod drains;
#[cfg(test)]
mod exclusions;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod links;
#[cfg(test)]
mod locality;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod placement;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod stragglers;
#[cfg(test)]
mod views;
