//! The web address over snapshots that no test could bring about with processes: a thousand workers, ten thousand attempts, every
//! kind of job.

mod contract;
mod large;
mod scene;
mod schema;
