//! Reads the row groups of a Parquet file that start in one input split. DataFusion's reader does all of it.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hearth_common::InputSplit;
use hearth_storage::{Location, check_unchanged, file_of};

use super::ScanSpec;
use super::rows::external;
use crate::cause_of;
use crate::error::name_file;

pub(super) fn read(
    spec: Arc<ScanSpec>,
    split: InputSplit,
    context: Arc<TaskContext>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let url = split.url.clone();
    let opened = async move { open(&spec, &split, context).await };
    stream::once(opened).try_flatten().map_err(move |error| external(name_file(cause_of(&error), &url))).boxed()
}

async fn open(
    spec: &ScanSpec,
    split: &InputSplit,
    context: Arc<TaskContext>,
) -> Result<datafusion::execution::SendableRecordBatchStream> {
    let meta =
        check_unchanged(&context.runtime_env(), &file_of(split)).await.map_err(|error| external(error.into()))?;
    let location = Location::parse(&split.url).map_err(|error| external(error.into()))?;
    let mut file = PartitionedFile::new_from_meta(meta);
    if split.start > 0 || split.end < split.file_bytes {
        file = file.with_range(offset(split.start)?, offset(split.end)?);
    }
    let mut source = ParquetSource::new(Arc::clone(&spec.file_schema));
    if !spec.filters.is_empty() {
        source = source.with_predicate(conjunction(spec.filters.iter().cloned()));
    }
    let store_url = location.store_url().map_err(|error| external(error.into()))?;
    let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
        .with_file(file)
        .with_projection_indices(spec.projection.clone())?
        .with_limit(spec.limit)
        .build();
    DataSourceExec::from_data_source(config).execute(0, context)
}

fn offset(position: u64) -> Result<i64> {
    i64::try_from(position).map_err(|error| DataFusionError::Execution(error.to_string()))
}
