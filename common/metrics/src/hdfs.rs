//! HDFS as this process met it, over all clusters that it used.

use std::fmt;

use hearth_storage::Storage;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::collect::{counter, counters};

#[derive(Debug)]
pub(crate) struct HdfsFigures {
    pub(crate) storage: Storage,
}

impl Collector for HdfsFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.storage.hdfs_counts();
        let encoder = &mut encoder;
        counter(encoder, ("hdfs_namenode_calls", "Calls to NameNodes"), counts.namenode_calls)?;
        let other = counts.namenode_errors.saturating_sub(counts.namenode_timeouts);
        let errors = [("timeout", counts.namenode_timeouts), ("other", other)];
        counters(encoder, ("hdfs_namenode_errors", "Calls to NameNodes that failed, by kind", "kind"), &errors)?;
        counter(encoder, ("hdfs_waits", "Waits for a NameNode, or for the end of safe mode"), counts.waits)?;
        let repeated = [
            ("connection", counts.reconnects),
            ("read", counts.files_reopened),
            ("upload", counts.uploads_repeated),
            ("upload_with_one_replica", counts.uploads_with_one_replica),
            ("change_settled_by_looking", counts.settled_by_looking),
            ("short_circuit", counts.short_circuit_failures),
        ];
        counters(encoder, ("hdfs_repairs", "What failed and was begun again, by what it was", "of"), &repeated)?;
        let through = counts.bytes_read.saturating_sub(counts.bytes_read_here);
        let read = [("datanode", through), ("short_circuit", counts.bytes_read_here)];
        counters(encoder, ("hdfs_read_bytes", "Bytes that were read, by the way they came", "by"), &read)?;
        counter(encoder, ("hdfs_written_bytes", "Bytes of files that were written and closed"), counts.bytes_written)
    }
}
