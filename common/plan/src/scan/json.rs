//! Reads the JSON lines of one input split.

mod place;

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
use hearth_common::{FailureCause, InputFormat, InputSplit, Place};
use hearth_storage::{SplitLines, open_split};

use super::rows::{external, in_content};
use place::PendingLines;

/// How the files of a table are read.
pub(super) struct JsonTable {
    /// Columns to read; others are passed over.
    pub(super) schema: SchemaRef,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
}

struct SplitRecords {
    table: Arc<JsonTable>,
    split: InputSplit,
    lines: SplitLines,
    decoder: Decoder,
    chunk: Bytes,
    /// What the decoder has and has not given back; `None` before the first byte.
    pending: Option<PendingLines>,
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

    fn reader(&self) -> ReaderBuilder {
        ReaderBuilder::new(Arc::clone(&self.schema))
    }

    async fn open(self: &Arc<Self>, split: InputSplit, context: &TaskContext) -> Result<SplitRecords> {
        let lines = open_split(&context.runtime_env(), &split).await.map_err(|error| external(error.into()))?;
        let decoder = self.reader().with_batch_size(self.batch_rows).build_decoder()?;
        let (table, chunk) = (Arc::clone(self), Bytes::new());
        Ok(SplitRecords { table, split, lines, decoder, chunk, pending: None, ended: false })
    }
}

impl SplitRecords {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.ended {
            if self.chunk.is_empty() {
                match self.lines.next().await.map_err(|error| external(error.into()))? {
                    Some(chunk) => self.take(chunk),
                    None => self.ended = true,
                }
            }
            let used = self.decoder.decode(&self.chunk).map_err(|error| self.describe(&error))?;
            if let Some(pending) = &mut self.pending {
                pending.add(self.chunk.slice(..used));
            }
            self.chunk.advance(used);
            if !self.chunk.is_empty() {
                break;
            }
        }
        self.flush()
    }

    fn take(&mut self, chunk: Bytes) {
        if self.pending.is_none() {
            let start = self.lines.position() - chunk.len() as u64;
            self.pending = Some(PendingLines::new(start, self.split.start == 0));
        }
        self.chunk = chunk;
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        let batch = self.decoder.flush().map_err(|error| self.describe(&error))?;
        if let Some(pending) = &mut self.pending {
            pending.clear();
        }
        Ok(batch)
    }

    /// With the place of the first line that is bad, or else with the file alone.
    fn describe(&mut self, error: &ArrowError) -> DataFusionError {
        // What the decoder stumbled over is in the chunk at hand, if it is not in what was taken already.
        if let Some(pending) = &mut self.pending {
            pending.add(std::mem::take(&mut self.chunk));
        }
        let bad = self.pending.as_ref().and_then(|pending| pending.find_bad(|| self.table.reader()));
        let (line, byte) = bad.as_ref().map_or((None, None), |bad| (bad.line, Some(bad.byte)));
        let text = bad.as_ref().map_or(error, |bad| &bad.error).to_string();
        let text = text.strip_prefix("Json error: ").unwrap_or(&text);
        let cause = FailureCause::Task {
            message: format!(
                "cannot read a JSON record: {text}; each line must be one JSON object of the table's columns"
            ),
            place: Some(Place { file: self.split.url.clone(), line, byte, column: None }),
        };
        external(in_content(cause, (&InputFormat::Json, self.split.compression)))
    }
}
