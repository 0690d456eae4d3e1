//! Data that the crates' encoders wrote comes back whatever the chunks; what is damaged never passes for less data.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const COMPRESSIONS: [FileCompression; 3] = [FileCompression::Gzip, FileCompression::Bzip2, FileCompression::Zstd];

fn member(compression: FileCompression, content: &[u8]) -> Vec<u8> {
    match compression {
        FileCompression::None => content.to_vec(),
        FileCompression::Gzip => {
            let mut encoder = flate2::GzBuilder::new()
                .filename("a.csv")
                .comment("made by a test")
                .write(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        FileCompression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        FileCompression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn file(compression: FileCompression, members: &[Vec<u8>]) -> Vec<u8> {
    members.iter().flat_map(|content| member(compression, content)).collect()
}

/// Decodes a file that comes in chunks of `chunk_bytes`.
fn decode(compression: FileCompression, stored: &[u8], chunk_bytes: usize) -> Result<Vec<u8>, String> {
    let mut decompressor = Decompressor::new(compression, "f".to_owned(), 0);
    let mut content = Vec::new();
    let mut take = |chunk: Option<Bytes>| {
        let chunk = chunk?;
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_BYTES);
        content.extend_from_slice(&chunk);
        Some(())
    };
    for stored in stored.chunks(chunk_bytes) {
        decompressor.push(Bytes::copy_from_slice(stored));
        while take(decompressor.next().map_err(|error| error.to_string())?).is_some() {}
    }
    while take(decompressor.end().map_err(|error| error.to_string())?).is_some() {}
    Ok(content)
}

/// Lines that compress about as real ones do.
fn lines(count: u64) -> Vec<u8> {
    let line = |number: u64| format!("{number},{},name {}\n", number.wrapping_mul(0x9E37_79B9) % 1000, number % 7);
    (0..count).map(line).collect::<String>().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_comes_back(
        members in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..5),
        repeats in 1..400_usize,
        chunk_bytes in 1..5000_usize,
    ) {
        // Some members are larger than what is given at once.
        let members: Vec<Vec<u8>> = members.iter().map(|member| member.repeat(repeats)).collect();
        let content = members.concat();
        for compression in COMPRESSIONS {
            let stored = file(compression, &members);
            prop_assert_eq!(decode(compression, &stored, chunk_bytes), Ok(content.clone()));
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(
        mut stored in proptest::collection::vec(any::<u8>(), 1..500),
        chunk_bytes in 1..100_usize,
    ) {
        for (compression, magic) in COMPRESSIONS.into_iter().zip([&[0x1F, 0x8B, 8][..], b"BZh91AY&SY", &[0x28, 0xB5, 0x2F, 0xFD]]) {
            let _ = decode(compression, &stored, chunk_bytes);
            stored.splice(..0, magic.iter().copied());
            let _ = decode(compression, &stored, chunk_bytes);
        }
    }
}

#[test]
fn a_truncated_file_is_an_error_at_every_byte() {
    let members = [lines(100), lines(3)];
    for compression in COMPRESSIONS {
        let stored = file(compression, &members);
        let between = member(compression, &members[0]).len();
        for length in 0..stored.len() {
            let found = decode(compression, &stored[..length], 64);
            if length == between {
                assert_eq!(found.as_ref(), Ok(&members[0]), "a file may end where a member does");
                continue;
            }
            let error = found.unwrap_err();
            assert!(error.starts_with("cannot read f: its ") && error.contains(" is truncated: "), "{length}: {error}");
            assert!(length == 0 || error.ends_with(&format!("the file ends at byte {length}")), "{length}: {error}");
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let members = [lines(60), lines(3)];
    for compression in COMPRESSIONS {
        let stored = file(compression, &members);
        for (position, bit) in (0..stored.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
            let mut damaged = stored.clone();
            damaged[position] ^= 1 << bit;
            if let Ok(content) = decode(compression, &damaged, 100) {
                assert!(content == members.concat(), "{compression:?}: byte {position}, bit {bit}");
            }
        }
    }
}

#[test]
fn what_follows_a_member_must_be_one() {
    for compression in COMPRESSIONS {
        let mut stored = member(compression, b"a\n1\n");
        let end = stored.len();
        for garbage in [&b"\0"[..], b"x,y\n", b"\0\0\0\0\0\0\0\0"] {
            stored.truncate(end);
            stored.extend_from_slice(garbage);
            for chunk_bytes in [1, end, end + 1, 1000] {
                let error = decode(compression, &stored, chunk_bytes).unwrap_err();
                let expected = format!(
                    "cannot read f: its {} data is corrupt: it ends at byte {end}, but the file goes on with something else",
                    compression.name()
                );
                assert_eq!(error, expected);
            }
        }
    }
}

#[test]
fn plain_text_is_told() {
    let error = decode(FileCompression::Gzip, b"id,name\n", 100).unwrap_err();
    let expected =
        "cannot read f: its gzip data is corrupt at its first byte; set compression = \"none\" if the file is not gzip";
    assert_eq!(error, expected);
}

#[test]
fn wrong_checksums_are_corrupt() {
    for compression in COMPRESSIONS {
        let mut stored = member(compression, &lines(10));
        // The last bytes of bzip2 may be bits that mean nothing; those of the others are length or checksum.
        let position = stored.len() - 3;
        stored[position] ^= 0x55;
        let error = decode(compression, &stored, 100).unwrap_err();
        assert!(error.contains("is corrupt at byte ") || error.contains("is truncated"), "{error}");
    }
}

#[test]
fn frames_without_data_are_passed_over() {
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frame = member(FileCompression::Zstd, b"rows");
    let stored = [&skippable[..], &frame, &skippable, &frame].concat();
    for chunk_bytes in 1..stored.len() {
        assert_eq!(decode(FileCompression::Zstd, &stored, chunk_bytes), Ok(b"rowsrows".to_vec()));
    }
}

#[test]
fn empty_members_are_no_end() {
    for compression in COMPRESSIONS {
        let stored = file(compression, &[vec![], b"a".to_vec(), vec![], vec![], b"b".to_vec(), vec![]]);
        assert_eq!(decode(compression, &stored, 7), Ok(b"ab".to_vec()));
        assert_eq!(decode(compression, &member(compression, b""), 7), Ok(vec![]));
    }
}

#[test]
fn a_bomb_is_stopped() {
    let zeros = vec![0; 96 << 20];
    for compression in [FileCompression::Bzip2, FileCompression::Zstd] {
        let stored = member(compression, &zeros);
        let error = decode(compression, &stored, 1 << 20).unwrap_err();
        let expected =
            format!("cannot read f: its {} data expands to more than 1000 times its size (", compression.name());
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.ends_with("decompress the file before if that is right"), "{error}");
    }
    // Inflate reaches 1,032 times, which is within what is free.
    let gzip = member(FileCompression::Gzip, &zeros);
    assert_eq!(decode(FileCompression::Gzip, &gzip, 1 << 20).map(|content| content.len()), Ok(zeros.len()));
}

#[test]
fn the_content_may_begin_later() {
    let content = lines(60_000);
    for compression in COMPRESSIONS {
        let stored = member(compression, &content);
        for skip in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, content.len(), content.len() + 1] {
            let mut decompressor = Decompressor::new(compression, "f".to_owned(), skip as u64);
            decompressor.push(Bytes::from(stored.clone()));
            let mut found = Vec::new();
            while let Some(chunk) = decompressor.next().unwrap() {
                found.extend_from_slice(&chunk);
            }
            while let Some(chunk) = decompressor.end().unwrap() {
                found.extend_from_slice(&chunk);
            }
            assert_eq!(found, &content[skip.min(content.len())..]);
        }
    }
}
