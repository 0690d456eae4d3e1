//! Reads the JSON lines of one input split.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::Decoder;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hearth_common::{FailureCause, InputSplit, Place};
use hearth_storage::{SplitLines, open_split};

use super::rows::external;

/// How the files of a table are read.
pub(super) struct JsonTable {
    /// Columns to read; others are passed over.
    pub(super) schema: SchemaRef,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
}

struct SplitRecords {
    split: InputSplit,
    lines: SplitLines,
    decoder: Decoder,
    chunk: Bytes,
    ended: bool,
}

impl JsonTable {
    pub(super) fn read(
        self: &Arc<Self>,
        split: InputSplit,
        context: Arc<TaskContext>,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let table = Arc::clone(self);
        let opened = async move {
            let records = table.open(split, &context).await?;
            let batches = stream::try_unfold(records, |mut records| async move {
                let batch = records.next().await?;
                Ok(batch.map(|batch| (batch, records)))
            });
            Ok::<_, DataFusionError>(batches)
        };
        stream::once(opened).try_flatten().boxed()
    }

    async fn open(&self, split: InputSplit, context: &TaskContext) -> Result<SplitRecords> {
        let lines = open_split(&context.runtime_env(), &split).await.map_err(|error| external(error.into()))?;
        let builder = ReaderBuilder::new(Arc::clone(&self.schema)).with_batch_size(self.batch_rows);
        Ok(SplitRecords { split, lines, decoder: builder.build_decoder()?, chunk: Bytes::new(), ended: false })
    }
}

impl SplitRecords {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.ended {
            if self.chunk.is_empty() {
                match self.lines.next().await.map_err(|error| external(error.into()))? {
                    Some(chunk) => self.chunk = chunk,
                    None => self.ended = true,
                }
            }
            let used = self.decoder.decode(&self.chunk).map_err(|error| self.describe(&error))?;
            self.chunk.advance(used);
            if !self.chunk.is_empty() {
                break;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        self.decoder.flush().map_err(|error| self.describe(&error))
    }

    /// The decoder counts lines from the split's first one, so the place is the split's range of bytes.
    fn describe(&self, error: &ArrowError) -> DataFusionError {
        let text = error.to_string();
        let text = text.strip_prefix("Json error: ").unwrap_or(&text);
        let range = format!("in bytes {} to {} of the file", self.split.start, self.split.end);
        external(FailureCause::Task {
            message: format!(
                "cannot read a JSON record {range}: {text}; each line must be one JSON object of the table's columns"
            ),
            place: Some(Place { file: self.split.url.clone(), ..Place::default() }),
        })
    }
}
