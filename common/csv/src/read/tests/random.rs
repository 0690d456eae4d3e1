//! Random records, good and bad: the same in splits of every size.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What the `csv` crate writes is read back, and every split size gives the same.
    #[test]
    fn what_another_writer_writes_is_read_back(
        rows in vec(("[a\",\n\r é]{0,7}", "[a\"\n]{0,3}"), 0..12),
        always in any::<bool>(),
        crlf in any::<bool>(),
    ) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().quote_style(style).terminator(end).from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        for (a, b) in &rows {
            writer.write_record([a, b]).unwrap();
        }
        let null = |text: &str| if text.is_empty() && !always { "NULL".to_owned() } else { text.to_owned() };
        let expected: Vec<String> = rows.iter().map(|(a, b)| format!("{}|{}", null(a), null(b))).collect();
        let mut case = Case::new(writer.into_inner().unwrap(), TEXTS);
        prop_assert_eq!(case.rows(), Ok(expected));
        case.check_splits();
    }

    /// Whatever the bytes are, every split size gives the same rows or the same error.
    #[test]
    fn any_text_is_the_same_in_splits(pieces in vec(prop::sample::select(vec![
        "x", ",", "\n", "\r\n", "\"", "\"\"", "a,b\n", "\"q\",r\n", "\"m\nn\",o\n", "é", "\r",
    ]), 0..25)) {
        Case::new("a,b\n".to_owned() + &pieces.concat(), TEXTS).check_splits();
        Case::new("a,b\n".to_owned() + &pieces.concat(), TEXTS).putting_aside().check_splits();
    }

    /// A file with records of all kinds, good and bad: rows and rejects are what each record is by itself, in splits of every size.
    #[test]
    fn every_record_is_a_row_or_a_reject(kinds in vec(0..7_usize, 0..20)) {
        let mut text = b"id,name\n".to_vec();
        let mut expected = Content::default();
        let mut line = 2;
        for kind in kinds {
            let (record, row, reason): (&[u8], &str, &str) = match kind {
                0 => (b"1,x", "1|x", ""),
                1 => (b"2,\"y\n\"", "2|y\n", ""),
                2 => (b"", "", ""),
                3 => (b"3,\"\n\",z", "", ": the record has 3 fields, expected 2"),
                4 => (b"4,\"\n\"z", "", ": text follows the closing quote of a field"),
                5 => (b"five,\"\n5,x\n\"", "", "id: `five` is not of type int64"),
                _ => (b"6,\"\n\xff\"", "", ": byte 0xff is not UTF-8"),
            };
            if !row.is_empty() {
                expected.rows.push(row.to_owned());
            } else if !reason.is_empty() {
                expected.rejects.push(format!("{line}:{}:{reason}: {}", text.len(), String::from_utf8_lossy(record)));
            }
            line += 1 + record.iter().filter(|byte| **byte == b'\n').count();
            text.extend_from_slice(record);
            text.push(b'\n');
        }
        let mut case = Case::new(text, TYPED).putting_aside();
        prop_assert_eq!(case.content(), Ok(expected));
        case.check_splits();
    }
}
