//! The crate against a real HDFS: every operation, every kind of failure, and servers that die or hang.

#[cfg(test)]
mod broken_names;
#[cfg(test)]
mod broken_nodes;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod short_circuit;
#[cfg(test)]
mod store;
#[cfg(test)]
mod writing;
