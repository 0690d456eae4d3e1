//! A stored result on its way to a client, in the form that was asked for.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::LineDelimitedWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use bytes::Bytes;
use futures::Stream;
use hearth_plan::type_name;
use hearth_proto::convert::ResultFormat;
use hearth_proto::wire;
use serde_json::json;
use tonic::Status;

use crate::results::{self, ReadError};

/// Size of a message of the answer.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
enum RenderError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("write the result: {0}")]
    Write(#[from] ArrowError),
}

/// Reads and renders a result; its size is bounded by the job's `result_bytes_max`.
pub(super) async fn open(
    file: PathBuf,
    format: ResultFormat,
) -> Result<impl Stream<Item = Result<wire::ResultChunk, Status>> + Send + 'static, Status> {
    let rendered = tokio::task::spawn_blocking(move || {
        let (schema, batches) = results::read(&file)?;
        Ok::<_, RenderError>(render(&schema, &batches, format)?)
    });
    let bytes = match rendered.await {
        Ok(Ok(bytes)) => Bytes::from(bytes),
        Ok(Err(error)) => return Err(Status::data_loss(error.to_string())),
        Err(error) => return Err(Status::internal(format!("render the result: {error}"))),
    };
    let starts = (0..bytes.len().max(1)).step_by(CHUNK_BYTES);
    let chunks = starts.map(move |start| {
        let end = bytes.len().min(start + CHUNK_BYTES);
        Ok(wire::ResultChunk { data: bytes.slice(start..end) })
    });
    Ok(futures::stream::iter(chunks))
}

fn render(schema: &SchemaRef, batches: &[RecordBatch], format: ResultFormat) -> Result<Vec<u8>, ArrowError> {
    match format {
        ResultFormat::ArrowIpc => {
            let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
            batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.finish()?;
            writer.into_inner()
        }
        ResultFormat::Table => {
            let table = pretty_format_batches_with_schema(SchemaRef::clone(schema), batches)?;
            Ok(format!("{table}\n").into_bytes())
        }
        ResultFormat::Json => {
            let mut writer = LineDelimitedWriter::new(Vec::new());
            writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
            Ok(writer.into_inner())
        }
        ResultFormat::Schema => {
            let column = |field: &FieldRef| json!({ "name": field.name(), "type": type_name(field.data_type()) });
            let columns = schema.fields().iter().map(|field| format!("{}\n", column(field)));
            Ok(columns.collect::<String>().into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use futures::StreamExt;
    use hearth_plan::frame::frame_header;

    use super::*;

    async fn fetch(rows: &[(&str, i64)], format: ResultFormat) -> Vec<u8> {
        let fields = vec![Field::new("email", DataType::Utf8, true), Field::new("freq", DataType::Int64, false)];
        let schema = Arc::new(Schema::new(fields));
        let emails = StringArray::from_iter_values(rows.iter().map(|(email, _)| *email));
        let counts = Int64Array::from_iter_values(rows.iter().map(|(_, count)| *count));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(emails), Arc::new(counts)]).unwrap();
        let payload = render(&schema, &[batch], ResultFormat::ArrowIpc).unwrap();
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("result.arrow");
        std::fs::write(&file, [frame_header(&payload).unwrap().as_slice(), &payload].concat()).unwrap();
        let mut chunks = open(file, format).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.unwrap().data);
        }
        bytes
    }

    #[tokio::test]
    async fn comes_in_the_form_that_was_asked_for() {
        let rows = [("a@x", 3), ("b@x", 1)];
        let table = "+-------+------+\n| email | freq |\n+-------+------+\n| a@x   | 3    |\n| b@x   | 1    |\n+-------+------+\n";
        assert_eq!(String::from_utf8(fetch(&rows, ResultFormat::Table).await).unwrap(), table);
        let json = "{\"email\":\"a@x\",\"freq\":3}\n{\"email\":\"b@x\",\"freq\":1}\n";
        assert_eq!(String::from_utf8(fetch(&rows, ResultFormat::Json).await).unwrap(), json);
        let schema = "{\"name\":\"email\",\"type\":\"string\"}\n{\"name\":\"freq\",\"type\":\"int64\"}\n";
        assert_eq!(String::from_utf8(fetch(&rows, ResultFormat::Schema).await).unwrap(), schema);
        assert_eq!(String::from_utf8(fetch(&[], ResultFormat::Schema).await).unwrap(), schema);
        let ipc = fetch(&rows, ResultFormat::ArrowIpc).await;
        let (schema, batches) = hearth_plan::frame::decode_payload(Bytes::from(ipc)).unwrap();
        assert_eq!((schema.fields().len(), batches[0].num_rows()), (2, 2));
    }

    #[tokio::test]
    async fn a_result_without_rows_still_has_its_columns() {
        let table = String::from_utf8(fetch(&[], ResultFormat::Table).await).unwrap();
        assert!(table.contains("| email | freq |"), "{table}");
        assert_eq!(fetch(&[], ResultFormat::Json).await, b"");
    }

    #[tokio::test]
    async fn a_damaged_result_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("result.arrow");
        std::fs::write(&file, [7; 40]).unwrap();
        assert_eq!(open(file, ResultFormat::Json).await.err().unwrap().code(), tonic::Code::DataLoss);
    }
}
