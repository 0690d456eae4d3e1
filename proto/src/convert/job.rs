//! Job descriptions.

use std::collections::BTreeMap;

use hearth_common::{
    ByteSize, ColumnSpec, Compression, CsvOptions, Encoding, ExtraColumns, InputCompression, InputFormat, InputSpec,
    JobSettings, JobSpec, JobState, MissingColumns, OnError, OutputFormat, OutputMode, OutputSpec, Priority,
    RejectLimit,
};

use super::error::{ConvertError, parsed, required, unknown_value};
use crate::wire::{self, input, reject_limit};

/// Both directions of an enum whose variants have the same names on the wire.
macro_rules! wire_enum {
    ($name:ident, $read:ident, { $($variant:ident),+ }) => {
        impl From<$name> for wire::$name {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => Self::$variant,)+
                }
            }
        }

        pub(crate) fn $read(field: &'static str, value: i32) -> Result<$name, ConvertError> {
            match wire::$name::try_from(value) {
                $(Ok(wire::$name::$variant) => Ok($name::$variant),)+
                Ok(wire::$name::Unspecified) | Err(_) => Err(unknown_value(field, value)),
            }
        }
    };
}
pub(super) use wire_enum;

wire_enum!(InputCompression, input_compression_of, { Auto, None, Gzip, Bzip2, Zstd });
wire_enum!(Encoding, encoding_of, { Utf8, Latin1, Utf16, Utf16Le, Utf16Be });
wire_enum!(MissingColumns, missing_columns_of, { Error, Null });
wire_enum!(ExtraColumns, extra_columns_of, { Error, Ignore });
wire_enum!(OutputFormat, output_format_of, { Parquet, Csv, Json });
wire_enum!(OutputMode, output_mode_of, { Error, Overwrite, Append });
wire_enum!(Compression, compression_of, { Zstd, Snappy, Lz4, None });
wire_enum!(JobState, job_state_of, { Queued, Planning, Running, Committing, Done, Failed, Cancelled });

impl TryFrom<wire::JobSpec> for JobSpec {
    type Error = ConvertError;

    /// Also checks what [`JobSpec::validate`] checks.
    fn try_from(message: wire::JobSpec) -> Result<Self, ConvertError> {
        let mut inputs = BTreeMap::new();
        for mut input in message.inputs {
            let name = std::mem::take(&mut input.name);
            let spec = InputSpec::try_from(input)?;
            if inputs.insert(name.clone(), spec).is_some() {
                return Err(ConvertError::new("JobSpec.inputs", format!("there are two inputs named `{name}`")));
            }
        }
        let job = Self {
            name: message.name,
            query: message.query,
            inputs,
            output: message.output.map(OutputSpec::try_from).transpose()?,
            settings: message.settings.map(JobSettings::from).unwrap_or_default(),
        };
        job.validate().map_err(|error| ConvertError::new("JobSpec", error))?;
        Ok(job)
    }
}

impl From<JobSpec> for wire::JobSpec {
    fn from(job: JobSpec) -> Self {
        let JobSpec { name, query, inputs, output, settings } = job;
        let named = |(name, input): (String, InputSpec)| wire::Input { name, ..input.into() };
        Self {
            name,
            query,
            inputs: inputs.into_iter().map(named).collect(),
            output: output.map(wire::Output::from),
            settings: Some(settings.into()),
        }
    }
}

impl TryFrom<wire::Input> for InputSpec {
    type Error = ConvertError;

    fn try_from(message: wire::Input) -> Result<Self, ConvertError> {
        let format = match required("Input.format", message.format)? {
            input::Format::Csv(options) => InputFormat::Csv(options.try_into()?),
            input::Format::Json(wire::JsonFormat {}) => InputFormat::Json,
            input::Format::Parquet(wire::ParquetFormat {}) => InputFormat::Parquet,
        };
        let columns: Vec<_> = message.schema.into_iter().map(ColumnSpec::try_from).collect::<Result<_, _>>()?;
        let schema = (!columns.is_empty()).then_some(columns);
        let on_error = on_error_of(message.on_error, message.max_rejects)?;
        let compression = input_compression_of("Input.compression", message.compression)?;
        Ok(Self { paths: message.paths, format, compression, schema, on_error })
    }
}

fn on_error_of(value: i32, limit: Option<wire::RejectLimit>) -> Result<OnError, ConvertError> {
    use reject_limit::Limit;
    match (wire::OnError::try_from(value), limit) {
        (Ok(wire::OnError::Fail), None) => Ok(OnError::Fail),
        (Ok(wire::OnError::Fail), Some(_)) => {
            Err(ConvertError::new("Input.max_rejects", "it is for inputs that reject records"))
        }
        (Ok(wire::OnError::Reject), limit) => {
            let limit = match required("Input.max_rejects", limit.and_then(|limit| limit.limit))? {
                Limit::Records(max) => RejectLimit::Records(max),
                Limit::Millionths(max) => RejectLimit::Millionths(max),
            };
            Ok(OnError::Reject(limit))
        }
        (Ok(wire::OnError::Unspecified) | Err(_), _) => Err(unknown_value("Input.on_error", value)),
    }
}

impl From<RejectLimit> for wire::RejectLimit {
    fn from(limit: RejectLimit) -> Self {
        use reject_limit::Limit;
        let limit = match limit {
            RejectLimit::Records(max) => Limit::Records(max),
            RejectLimit::Millionths(max) => Limit::Millionths(max),
        };
        Self { limit: Some(limit) }
    }
}

/// The name stands outside of [`InputSpec`], so it is left empty.
impl From<InputSpec> for wire::Input {
    fn from(input: InputSpec) -> Self {
        let InputSpec { paths, format, compression, schema, on_error } = input;
        let format = match format {
            InputFormat::Csv(options) => input::Format::Csv(options.into()),
            InputFormat::Json => input::Format::Json(wire::JsonFormat {}),
            InputFormat::Parquet => input::Format::Parquet(wire::ParquetFormat {}),
        };
        let (on_error, max_rejects) = match on_error {
            OnError::Fail => (wire::OnError::Fail, None),
            OnError::Reject(limit) => (wire::OnError::Reject, Some(limit.into())),
        };
        let column = |column: ColumnSpec| wire::Column { name: column.name, r#type: column.value_type.to_string() };
        Self {
            name: String::new(),
            paths,
            format: Some(format),
            schema: schema.into_iter().flatten().map(column).collect(),
            on_error: on_error.into(),
            max_rejects,
            compression: wire::InputCompression::from(compression).into(),
        }
    }
}

impl TryFrom<wire::Column> for ColumnSpec {
    type Error = ConvertError;

    fn try_from(message: wire::Column) -> Result<Self, ConvertError> {
        Ok(Self { value_type: parsed("Column.type", &message.r#type)?, name: message.name })
    }
}

impl TryFrom<wire::CsvFormat> for CsvOptions {
    type Error = ConvertError;

    fn try_from(message: wire::CsvFormat) -> Result<Self, ConvertError> {
        let mark = |field, value: Option<u32>| value.map(|value| byte_of(field, value)).transpose();
        Ok(Self {
            header: message.header,
            delimiter: byte_of("CsvFormat.delimiter", message.delimiter)?,
            quote: mark("CsvFormat.quote", message.quote)?,
            escape: mark("CsvFormat.escape", message.escape)?,
            comment: mark("CsvFormat.comment", message.comment)?,
            null_values: message.null_values,
            trim: message.trim,
            encoding: encoding_of("CsvFormat.encoding", message.encoding)?,
            date_format: message.date_format,
            timestamp_format: message.timestamp_format,
            missing_columns: missing_columns_of("CsvFormat.missing_columns", message.missing_columns)?,
            extra_columns: extra_columns_of("CsvFormat.extra_columns", message.extra_columns)?,
            max_record_bytes: ByteSize(message.max_record_bytes),
        })
    }
}

fn byte_of(field: &'static str, value: u32) -> Result<u8, ConvertError> {
    u8::try_from(value).map_err(|_| ConvertError::new(field, format!("{value} is not the code of an ASCII character")))
}

impl From<CsvOptions> for wire::CsvFormat {
    fn from(options: CsvOptions) -> Self {
        Self {
            header: options.header,
            delimiter: options.delimiter.into(),
            quote: options.quote.map(u32::from),
            escape: options.escape.map(u32::from),
            comment: options.comment.map(u32::from),
            null_values: options.null_values,
            trim: options.trim,
            encoding: wire::Encoding::from(options.encoding).into(),
            date_format: options.date_format,
            timestamp_format: options.timestamp_format,
            missing_columns: wire::MissingColumns::from(options.missing_columns).into(),
            extra_columns: wire::ExtraColumns::from(options.extra_columns).into(),
            max_record_bytes: options.max_record_bytes.0,
        }
    }
}

impl TryFrom<wire::Output> for OutputSpec {
    type Error = ConvertError;

    fn try_from(message: wire::Output) -> Result<Self, ConvertError> {
        Ok(Self {
            path: message.path,
            format: output_format_of("Output.format", message.format)?,
            mode: output_mode_of("Output.mode", message.mode)?,
            partition_by: message.partition_by,
            compression: compression_of("Output.compression", message.compression)?,
            file_bytes_max: ByteSize(message.file_bytes_max),
        })
    }
}

impl From<OutputSpec> for wire::Output {
    fn from(output: OutputSpec) -> Self {
        let OutputSpec { path, format, mode, partition_by, compression, file_bytes_max } = output;
        Self {
            path,
            format: wire::OutputFormat::from(format).into(),
            mode: wire::OutputMode::from(mode).into(),
            partition_by,
            compression: wire::Compression::from(compression).into(),
            file_bytes_max: file_bytes_max.0,
        }
    }
}

impl From<wire::Settings> for JobSettings {
    fn from(message: wire::Settings) -> Self {
        let default = Self::default();
        let size = |value: Option<u64>, default: ByteSize| value.map_or(default, ByteSize);
        Self {
            split_bytes: message.split_bytes.map(ByteSize),
            shuffle_partitions: message.shuffle_partitions,
            merge_bytes: size(message.merge_bytes, default.merge_bytes),
            broadcast_bytes_max: size(message.broadcast_bytes_max, default.broadcast_bytes_max),
            result_bytes_max: size(message.result_bytes_max, default.result_bytes_max),
            deadline_seconds: message.deadline_seconds,
            slots_max: message.slots_max,
            priority: match message.priority {
                ..=-1 => Priority::Low,
                0 => Priority::Normal,
                1.. => Priority::High,
            },
        }
    }
}

impl From<JobSettings> for wire::Settings {
    fn from(settings: JobSettings) -> Self {
        let JobSettings {
            split_bytes,
            shuffle_partitions,
            merge_bytes,
            broadcast_bytes_max,
            result_bytes_max,
            deadline_seconds,
            slots_max,
            priority,
        } = settings;
        Self {
            split_bytes: split_bytes.map(|size| size.0),
            shuffle_partitions,
            merge_bytes: Some(merge_bytes.0),
            broadcast_bytes_max: Some(broadcast_bytes_max.0),
            result_bytes_max: Some(result_bytes_max.0),
            deadline_seconds,
            slots_max,
            priority: match priority {
                Priority::Low => -1,
                Priority::Normal => 0,
                Priority::High => 1,
            },
        }
    }
}
