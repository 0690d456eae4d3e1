//! The output of a job file.

use hearth_common::{Compression, OutputFormat, OutputMode, OutputSpec};

use super::JobFileError;
use super::document::Table;
use super::origin::absolute_location;

pub(super) fn output_of(table: &Table<'_>) -> Result<OutputSpec, JobFileError> {
    table.check_keys(&["path", "format", "mode", "partition_by", "compression", "file_bytes_max"])?;
    let path = table.get("path").ok_or_else(|| {
        table.error("the output has no path; add path = \"...\", or leave [output] out to get the result as a table")
    })?;
    let text = path.text()?;
    if text.trim().is_empty() {
        return Err(path.error("the path of the output is empty"));
    }
    let formats = [("parquet", OutputFormat::Parquet), ("csv", OutputFormat::Csv), ("json", OutputFormat::Json)];
    let modes = [("error", OutputMode::Error), ("overwrite", OutputMode::Overwrite), ("append", OutputMode::Append)];
    let compressions = [
        ("zstd", Compression::Zstd),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("none", Compression::None),
    ];
    Ok(OutputSpec {
        path: absolute_location(&text, &table.source().origin.directory),
        format: table.get("format").map_or(Ok(OutputFormat::default()), |value| value.choice(&formats))?,
        mode: table.get("mode").map_or(Ok(OutputMode::default()), |value| value.choice(&modes))?,
        partition_by: table.get("partition_by").map_or(Ok(Vec::new()), |value| value.texts())?,
        compression: table
            .get("compression")
            .map_or(Ok(Compression::default()), |value| value.choice(&compressions))?,
        file_bytes_max: table.get("file_bytes_max").map_or(Ok(OutputSpec::FILE_BYTES_MAX), |value| value.size())?,
    })
}
