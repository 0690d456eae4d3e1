//! Every kernel of the scanner against single steps, in one chunk and in three.

use hearth_scan::{Dialect, Index, Kernel, Problem, ProblemKind, Scanner, State};

use crate::Difference;
use crate::case::Choices;

/// What a scan finds, with positions from the first chunk's start.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    separators: Vec<usize>,
    record_ends: Vec<usize>,
    problems: Vec<(usize, ProblemKind)>,
    line_feeds: u64,
    state: State,
}

/// Scans the text of a case with every kernel.
///
/// # Errors
/// One finds something else than single steps do.
pub fn kernels(input: &[u8]) -> Result<(), Difference> {
    let Some(choices) = Choices::new(input) else { return Ok(()) };
    let start = (choices.dialect(), choices.state());
    let mut cuts = [choices.position(2), choices.position(3)];
    cuts.sort_unstable();
    let expected = scan(choices.text, start, (Kernel::Steps, &[]));
    for kernel in [Kernel::Best, Kernel::Words, Kernel::Steps] {
        for cuts in [&[][..], &cuts] {
            let found = scan(choices.text, start, (kernel, cuts));
            let shown = || {
                let text = String::from_utf8_lossy(choices.text);
                format!("{kernel:?} from {:?} cut at {cuts:?} of {text:?}, {:?}", start.1, start.0)
            };
            Difference::between(&found, &expected, shown)?;
        }
    }
    Ok(())
}

fn scan(text: &[u8], (dialect, start): (Dialect, State), (kernel, cuts): (Kernel, &[usize])) -> Found {
    let mut scanner = Scanner::with_kernel(dialect, start, kernel);
    let mut index = Index::new();
    let (mut separators, mut record_ends, mut problems, mut line_feeds) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut from = 0;
    for to in cuts.iter().copied().chain([text.len()]) {
        scanner.scan(&text[from..to], &mut index);
        let at = |position: &u32| from + *position as usize;
        separators.extend(index.separators()[1..].iter().map(at));
        record_ends.extend(index.record_ends().iter().map(|entry| at(&index.separators()[*entry as usize])));
        problems.extend(index.problems().iter().map(|Problem { position, kind }| (at(position), *kind)));
        line_feeds += index.line_feeds();
        from = to;
    }
    Found { separators, record_ends, problems, line_feeds, state: scanner.state() }
}
