//! A thousand random files, cut at every byte: two splits give what one gives.

use anyhow::{Context, Result, ensure};
use hearth_differential::{Random, SplitsCase};

const FILES: u64 = 1000;
const TEXT_BYTES_MAX: usize = 320;

#[test]
fn files_can_be_cut_at_every_byte() -> Result<()> {
    let (mut cuts, mut wrong, mut with_rejects, mut failing) = (0, 0, 0, 0);
    for seed in 0..FILES {
        let input = file(&mut Random::new(seed));
        let case = SplitsCase::of(&input)?.context("make a case of a file")?;
        let met = case.check_every_cut().with_context(|| format!("file {seed}"))?;
        cuts += met.cuts;
        wrong += met.wrong_guesses;
        with_rejects += u64::from(met.rejects > 0);
        failing += u64::from(met.fails);
    }
    // Files that are all alike, or guesses that are all right, would prove nothing.
    let is_varied = cuts > 100_000 && wrong > 5_000 && with_rejects > 100 && (100..FILES / 2).contains(&failing);
    ensure!(is_varied, "{cuts} cuts, {wrong} wrong guesses, {with_rejects} files with rejects, {failing} that fail");
    Ok(())
}

/// Four bytes that choose the dialect, and a text that is written in it. Every third text is well-formed, the others were changed.
fn file(random: &mut Random) -> Vec<u8> {
    let choices = [random.byte(), random.byte(), random.byte(), 0];
    let mut text = Vec::new();
    let length = random.below(TEXT_BYTES_MAX);
    let columns = 1 + usize::from(choices[1] >> 3 & 3) % 3;
    let writer = Writer {
        delimiter: b",;\t|"[usize::from(choices[0] & 3)],
        quote: [Some(b'"'), Some(b'"'), Some(b'\''), None][usize::from(choices[0] >> 2 & 3)],
        has_escape: choices[0] & 1 << 4 != 0,
        has_comment: choices[0] & 1 << 5 != 0,
    };
    if choices[0] & 1 << 7 != 0 {
        let names = [&b"a"[..], b"b", b"c"];
        text.extend_from_slice(&names[..columns].join(&writer.delimiter));
        text.push(b'\n');
    }
    while text.len() < length {
        writer.write_record(random, columns, &mut text);
    }
    if random.once_in(3) {
        text.pop();
    }
    if !random.once_in(3) {
        random.change(&mut text);
    }
    [&choices[..], &text].concat()
}

/// Writes records, and knows nothing of how they are read.
struct Writer {
    delimiter: u8,
    quote: Option<u8>,
    has_escape: bool,
    has_comment: bool,
}

impl Writer {
    fn write_record(&self, random: &mut Random, columns: usize, text: &mut Vec<u8>) {
        match random.below(20) {
            0 => {}
            1 if self.has_comment => text.extend_from_slice(b"# it's a \"comment\", no record"),
            _ => {
                for number in 0..columns {
                    if number > 0 {
                        text.push(self.delimiter);
                    }
                    self.write_field(random, text);
                }
            }
        }
        text.extend_from_slice(if random.once_in(4) { b"\r\n" } else { b"\n" });
    }

    fn write_field(&self, random: &mut Random, text: &mut Vec<u8>) {
        match (random.below(4), self.quote) {
            (0, _) => text.extend_from_slice(random.below(100_000).to_string().as_bytes()),
            (1, Some(quote)) => {
                text.push(quote);
                for _ in 0..random.below(24) {
                    match *random.pick(b"xy\n\r,;\t|\"'\\# ") {
                        byte if byte == quote && self.has_escape && random.once_in(2) => {
                            text.extend_from_slice(&[b'\\', byte]);
                        }
                        byte if byte == quote => text.extend_from_slice(&[byte, byte]),
                        b'\\' if self.has_escape => text.extend_from_slice(b"\\\\"),
                        byte => text.push(byte),
                    }
                }
                text.push(quote);
            }
            (2, _) => {}
            _ => text.extend((0..random.below(9)).map(|_| *random.pick(b"abcde f"))),
        }
    }
}
