//! Every kernel gives the answer of single steps, for any bytes, any chunks and any start; and that answer is the `csv` crate's.

use hearth_scan::{Dialect, Index, Kernel, Problem, Scanner, State};
use proptest::collection::vec;
use proptest::prelude::*;

/// Separators with their meaning, problems, line feeds and the last state, with positions from the first chunk's start.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    separators: Vec<usize>,
    record_ends: Vec<usize>,
    problems: Vec<(usize, hearth_scan::ProblemKind)>,
    line_feeds: u64,
    state: State,
}

fn scan(text: &[u8], (dialect, start): (Dialect, State), kernel: Kernel, cuts: &[usize]) -> Found {
    let mut scanner = Scanner::with_kernel(dialect, start, kernel);
    let mut index = Index::new();
    let mut found =
        Found { separators: vec![], record_ends: vec![], problems: vec![], line_feeds: 0, state: scanner.state() };
    let mut from = 0;
    for to in cuts.iter().copied().chain([text.len()]) {
        let to = to.clamp(from, text.len());
        scanner.scan(&text[from..to], &mut index);
        let at = |position: &u32| from + *position as usize;
        found.separators.extend(index.separators()[1..].iter().map(at));
        found.record_ends.extend(index.record_ends().iter().map(|entry| at(&index.separators()[*entry as usize])));
        let problem = |Problem { position, kind }: &Problem| (at(position), *kind);
        found.problems.extend(index.problems().iter().map(problem));
        found.line_feeds += index.line_feeds();
        from = to;
    }
    found.state = scanner.state();
    found
}

fn states() -> impl Strategy<Value = State> {
    prop::sample::select(vec![
        State::RecordStart,
        State::FieldStart,
        State::Unquoted,
        State::Quoted,
        State::Escaped,
        State::Closed,
        State::AfterQuote,
        State::CarriageReturn,
        State::Comment,
    ])
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let quote = prop::sample::select(vec![Some(b'"'), Some(b'\''), None]);
    let delimiter = prop::sample::select(vec![b',', b'\t', b';']);
    let escape = prop::sample::select(vec![None, Some(b'\\')]);
    let comment = prop::sample::select(vec![None, Some(b'#')]);
    (delimiter, quote, escape, comment, any::<bool>()).prop_map(|(delimiter, quote, escape, comment, trim)| Dialect {
        delimiter,
        quote,
        escape,
        comment,
        trim,
    })
}

/// Bytes among which marks are common, in runs that make well-formed stretches likely too.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a",
        "bc",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\"",
        "\"\"",
        "\"x\",",
        ",\"y\n z\"\n",
        "\r",
        "'",
        "'q'",
        ";",
        "\t",
        "#",
        "\\",
        "\\\"",
        "\\\\",
        ",\"an escaped \\\" quote, and one more: \\\"\"",
        "\n# a comment, with \"quotes\n",
        " ",
        "\"z\" \t",
        "0123456789",
        "é",
        "a plain field that is longer than most,",
        "\u{0}",
    ]);
    vec(piece, 0..120).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn kernels_agree(text in texts(), dialect in dialects(), start in states(), cuts in vec(0..2000_usize, 0..4)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let expected = scan(&text, (dialect, start), Kernel::Steps, &[]);
        for kernel in [Kernel::Best, Kernel::Words, Kernel::Steps] {
            prop_assert_eq!(&scan(&text, (dialect, start), kernel, &cuts), &expected, "{:?} cut at {:?}", kernel, cuts);
        }
    }

    #[test]
    fn arbitrary_bytes_agree(text in vec(any::<u8>(), 0..400), start in states()) {
        let dialect = Dialect::default();
        let expected = scan(&text, (dialect, start), Kernel::Steps, &[]);
        for kernel in [Kernel::Best, Kernel::Words] {
            prop_assert_eq!(&scan(&text, (dialect, start), kernel, &[]), &expected, "{:?}", kernel);
        }
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        rows in vec(vec("[a\",\n\r ;x]{0,9}", 1..6), 0..40),
        always in any::<bool>(),
    ) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new().flexible(true).quote_style(style).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = writer.into_inner().unwrap();
        for kernel in [Kernel::Best, Kernel::Words] {
            prop_assert_eq!(&read(&text, kernel), &rows);
        }
    }
}

/// The fields of a well-formed text.
fn read(text: &[u8], kernel: Kernel) -> Vec<Vec<String>> {
    let mut scanner = Scanner::with_kernel(Dialect::default(), State::RecordStart, kernel);
    let mut index = Index::new();
    scanner.scan(text, &mut index);
    assert_eq!(index.problems(), []);
    assert_eq!(scanner.state(), State::RecordStart);
    let field = |pair: &[u32]| {
        let bytes = &text[pair[0].wrapping_add(1) as usize..pair[1] as usize];
        let text = String::from_utf8_lossy(bytes).into_owned();
        match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => inner.replace("\"\"", "\""),
            None => text,
        }
    };
    let mut first = 0;
    let record = |end: &u32| {
        let entries = &index.separators()[first..=*end as usize];
        first = *end as usize;
        entries.windows(2).map(field).collect()
    };
    index.record_ends().iter().map(record).collect()
}

#[test]
fn says_what_breaks_the_rules() {
    let check = |text: &str, expected: &[(usize, hearth_scan::ProblemKind)]| {
        for kernel in [Kernel::Best, Kernel::Words, Kernel::Steps] {
            // Far into the chunk, so that blocks see it too.
            let long = "plain text,".repeat(9) + "\n" + text + &"\nmore,text".repeat(9);
            let found = scan(long.as_bytes(), (Dialect::default(), State::RecordStart), kernel, &[]);
            let shifted: Vec<_> = found.problems.iter().map(|(at, kind)| (at - 100, *kind)).collect();
            assert_eq!(shifted, expected, "{text:?} {kernel:?}");
        }
    };
    use hearth_scan::ProblemKind::{CarriageReturn, TextAfterQuote};
    check("a,\"b\"c,d", &[(5, TextAfterQuote)]);
    check("\"b\" ,d", &[(3, TextAfterQuote)]);
    check("a\rb,c", &[(2, CarriageReturn)]);
    check("a\r\r\n", &[(2, CarriageReturn)]);
    check("5\" pipe,\"6\"\" pipe\"", &[]);
    check("\"a\rb\",\"\"\r", &[]);
}

#[test]
fn blanks_behind_a_closing_quote_are_forgiven_where_fields_are_trimmed() {
    let check = |text: &str, delimiter: u8, problems: &[usize], separators: usize| {
        let dialect = Dialect { delimiter, trim: true, ..Dialect::default() };
        for kernel in [Kernel::Best, Kernel::Words, Kernel::Steps] {
            let long = "plain text\n".repeat(9) + text + &"\nmore text".repeat(9);
            let found = scan(long.as_bytes(), (dialect, State::RecordStart), kernel, &[]);
            let shifted: Vec<usize> = found.problems.iter().map(|(at, _)| at - 99).collect();
            assert_eq!((&shifted[..], found.separators.len() - 18), (problems, separators), "{text:?} {kernel:?}");
        }
    };
    check("\"a\" ,\"b,\"\t \t", b',', &[], 1);
    check("\"a\" \r", b',', &[], 0);
    check("\"a\" \"b\",c", b',', &[4], 1);
    check("\"a\" b,c", b',', &[4], 1);
    check("\"a\" \t\"b\"", b'\t', &[], 1);
}

#[test]
fn a_last_record_without_a_line_end_can_be_ended() {
    let mut scanner = Scanner::new(Dialect::default(), State::RecordStart);
    let mut index = Index::new();
    scanner.scan(b"a,b\nc,d", &mut index);
    assert_eq!((index.separators(), index.record_ends()), (&[u32::MAX, 1, 3, 5][..], &[2][..]));
    index.end_record(7);
    assert_eq!((index.separators(), index.record_ends()), (&[u32::MAX, 1, 3, 5, 7][..], &[2, 4][..]));
    scanner.scan(b"", &mut index);
    assert_eq!((index.separators(), index.record_ends()), (&[u32::MAX][..], &[][..]));
}
