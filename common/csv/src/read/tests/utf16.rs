//! A file in UTF-16 is read as the same file in UTF-8.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn utf16_is_read_as_utf8(
        pieces in vec(prop::sample::select(vec![
            "x", ",", "\n", "\r\n", "\"", "\"\"", "\"q\",r\n", "\"m\nn\",o\n", "é", "コ", "🦀", "\u{feff}", "\r", "7,y\n", "#\n",
        ]), 0..60),
        has_mark in any::<bool>(),
        puts_aside in any::<bool>(),
    ) {
        let mark = if has_mark { "\u{feff}" } else { "" };
        let text = format!("{mark}id,name\n{}", pieces.concat());
        let utf8 = Case { puts_aside, ..Case::new(text.clone(), TYPED) }.with(|options| options.comment = Some(b'#'));
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let expected = utf8.content();
        let mut ways = vec![(Encoding::Utf16Le, &little), (Encoding::Utf16Be, &big)];
        if has_mark {
            ways.extend([(Encoding::Utf16, &little), (Encoding::Utf16, &big)]);
        }
        for (encoding, bytes) in ways {
            let mut case = Case { text: bytes.clone(), puts_aside, ..Case::new("", TYPED) };
            case.options = CsvOptions { encoding, ..utf8.options.clone() };
            prop_assert_eq!(case.content(), expected.clone(), "{:?} {:?}", encoding, text);
        }
    }
}
