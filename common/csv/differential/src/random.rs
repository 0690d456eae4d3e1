//! Random texts and small changes to them, the same ones for the same seed.

/// A sequence of numbers that look random (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

/// What CSV is made of.
const PIECES: [&[u8]; 24] = [
    b"a",
    b"bc",
    b"7",
    b"-12",
    b",",
    b",",
    b"\n",
    b"\n",
    b"\r\n",
    b"\"",
    b"\"\"",
    b"\"x\",",
    b",\"y\n z\"\n",
    b"\r",
    b"'",
    b"'q'",
    b";",
    b"\t",
    b"#",
    b"\\",
    b"\\\"",
    b" ",
    "é".as_bytes(),
    b"\xff",
];

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `end`, which is one at least.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % end.max(1) as u64).unwrap_or_default()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Happens once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Makes some changes: pieces of CSV put in, bytes taken out, replaced or repeated.
    pub fn change(&mut self, text: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(text.len() + 1);
            let to = (at + self.below(9)).min(text.len());
            match self.below(5) {
                0 => drop(text.drain(at..to)),
                1 if at < text.len() => text[at] = self.byte(),
                2 => {
                    let repeated = text[at..to].to_vec();
                    text.splice(at..at, repeated);
                }
                _ => {
                    let piece = *self.pick(&PIECES);
                    text.splice(at..at, piece.iter().copied());
                }
            }
        }
    }
}
