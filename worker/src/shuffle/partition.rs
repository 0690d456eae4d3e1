//! Which shuffle partition a row belongs to.
//!
//! The function must be the same for every stage, worker and engine build of one version: both sides of a join and all
//! attempts of a task have to agree on it. It is DataFusion's own for hash partitioning.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::hash_utils::create_hashes;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;

/// Gives every row of a batch its shuffle partition.
#[derive(Debug)]
pub(super) struct Partitioner {
    hash_exprs: Vec<Arc<dyn PhysicalExpr>>,
    partitions: u32,
    hashes: Vec<u64>,
}

impl Partitioner {
    pub(super) fn new(hash_exprs: Vec<Arc<dyn PhysicalExpr>>, partitions: u32) -> Self {
        Self { hash_exprs, partitions: partitions.max(1), hashes: Vec::new() }
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The shuffle partition of each row.
    pub(super) fn assign(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        if self.partitions == 1 {
            return Ok(vec![0; batch.num_rows()]);
        }
        let keys = self
            .hash_exprs
            .iter()
            .map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        self.hashes.clear();
        self.hashes.resize(batch.num_rows(), 0);
        create_hashes(&keys, REPARTITION_RANDOM_STATE.random_state(), &mut self.hashes)?;
        let partitions = u64::from(self.partitions);
        Ok(self.hashes.iter().map(|hash| u32::try_from(hash % partitions).unwrap_or(0)).collect())
    }
}
