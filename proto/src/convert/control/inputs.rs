//! What an attempt reads: conversions in both ways.

use hearth_common::{
    FileCompression, InputSplit, JobSpec, LeafInput, LeafKey, RecordStart, ShuffleInput, ShuffleSource, SplitLink,
    StageId, TaskInputs,
};

use super::from_worker::check_address;
use crate::convert::ConvertError;
use crate::convert::error::{parsed, required, unknown_value};
use crate::convert::job::wire_enum;
use crate::wire;

wire_enum!(FileCompression, file_compression_of, { None, Gzip, Bzip2, Zstd });

pub(super) fn task_inputs(leaves: Vec<wire::Leaf>) -> Result<TaskInputs, ConvertError> {
    let mut inputs = TaskInputs::new();
    for wire::Leaf { leaf, partition, input } in leaves {
        let input = required("input", input)?.try_into()?;
        if inputs.insert(LeafKey { leaf, partition }, input).is_some() {
            return Err(ConvertError::new("leaves", format!("partition {partition} of leaf {leaf} is there twice")));
        }
    }
    Ok(inputs)
}

pub(super) fn leaves(inputs: TaskInputs) -> Vec<wire::Leaf> {
    let leaf = |(key, input): (LeafKey, LeafInput)| wire::Leaf {
        leaf: key.leaf,
        partition: key.partition,
        input: Some(input.into()),
    };
    inputs.into_iter().map(leaf).collect()
}

impl TryFrom<wire::leaf::Input> for LeafInput {
    type Error = ConvertError;

    fn try_from(input: wire::leaf::Input) -> Result<Self, ConvertError> {
        Ok(match input {
            wire::leaf::Input::Splits(wire::Splits { splits }) => {
                Self::Splits(splits.into_iter().map(InputSplit::try_from).collect::<Result<_, _>>()?)
            }
            wire::leaf::Input::Shuffle(shuffle) => Self::Shuffle(shuffle.try_into()?),
        })
    }
}

impl From<LeafInput> for wire::leaf::Input {
    fn from(input: LeafInput) -> Self {
        match input {
            LeafInput::Splits(splits) => {
                Self::Splits(wire::Splits { splits: splits.into_iter().map(Into::into).collect() })
            }
            LeafInput::Shuffle(shuffle) => Self::Shuffle(shuffle.into()),
        }
    }
}

impl TryFrom<wire::InputSplit> for InputSplit {
    type Error = ConvertError;

    fn try_from(split: wire::InputSplit) -> Result<Self, ConvertError> {
        let wire::InputSplit { url, file_bytes, modified_ms, start, end, link, compression } = split;
        if url.is_empty() {
            return Err(ConvertError::new("url", "must not be empty"));
        }
        if start > end || end > file_bytes {
            return Err(ConvertError::new(
                "end",
                format!("bytes {start} to {end} are not within {file_bytes} bytes of {url}"),
            ));
        }
        let compression = file_compression_of("compression", compression)?;
        if compression.is_some() && (start > 0 || end < file_bytes || link.is_some()) {
            return Err(ConvertError::new("compression", format!("{url} is compressed, but cut into pieces")));
        }
        let link = link.map(SplitLink::try_from).transpose()?;
        if let Some(RecordStart { byte, .. }) = link.and_then(|link| link.known)
            && !(start..=file_bytes).contains(&byte)
        {
            let problem = format!("byte {byte} of {url} is not within {start} to {file_bytes}");
            return Err(ConvertError::new("known", problem));
        }
        Ok(Self { url, file_bytes, modified_ms, compression, start, end, link })
    }
}

impl From<InputSplit> for wire::InputSplit {
    fn from(split: InputSplit) -> Self {
        let InputSplit { url, file_bytes, modified_ms, compression, start, end, link } = split;
        let compression = wire::FileCompression::from(compression).into();
        Self { url, file_bytes, modified_ms, start, end, link: link.map(Into::into), compression }
    }
}

impl TryFrom<wire::Shuffle> for ShuffleInput {
    type Error = ConvertError;

    fn try_from(shuffle: wire::Shuffle) -> Result<Self, ConvertError> {
        let wire::Shuffle { stage, first, end, sources } = shuffle;
        if first > end || end > JobSpec::SHUFFLE_PARTITIONS_MAX {
            let max = JobSpec::SHUFFLE_PARTITIONS_MAX;
            return Err(ConvertError::new(
                "end",
                format!("shuffle partitions {first} to {end} are not a range within 0 to {max}"),
            ));
        }
        let sources = sources.into_iter().map(ShuffleSource::try_from).collect::<Result<_, _>>()?;
        Ok(Self { stage: StageId(stage), first, end, sources })
    }
}

impl From<ShuffleInput> for wire::Shuffle {
    fn from(shuffle: ShuffleInput) -> Self {
        let ShuffleInput { stage, first, end, sources } = shuffle;
        Self { stage: stage.0, first, end, sources: sources.into_iter().map(Into::into).collect() }
    }
}

impl TryFrom<wire::ShuffleSource> for ShuffleSource {
    type Error = ConvertError;

    fn try_from(source: wire::ShuffleSource) -> Result<Self, ConvertError> {
        let wire::ShuffleSource { partition, attempt, worker_id, address } = source;
        check_address("address", &address)?;
        let worker = parsed("worker_id", &worker_id)?;
        Ok(Self { partition, attempt, worker, address })
    }
}

impl From<ShuffleSource> for wire::ShuffleSource {
    fn from(source: ShuffleSource) -> Self {
        let ShuffleSource { partition, attempt, worker, address } = source;
        Self { partition, attempt, worker_id: worker.to_string(), address }
    }
}
