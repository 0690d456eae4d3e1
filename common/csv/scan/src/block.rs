//! The structure of 64 bytes at once, from the bits of their marks.

use crate::masks::{Masks, RareMasks};
use crate::state::State;

/// What a block amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Delimiters and line feeds outside quotes.
    pub(crate) separators: u64,
    /// The line feeds among them.
    pub(crate) ends: u64,
    /// The state after the block.
    pub(crate) next: State,
}

/// Resolves a block that begins in `state`; `None` where a rule is broken, a quote is plain text, or the state is one that
/// only single steps understand.
#[inline(always)]
pub(crate) fn resolve(masks: Masks, state: State) -> Option<Block> {
    let Masks { delimiter, quote, line_feed, carriage_return } = masks;
    let was_quoted = match state {
        State::Quoted => u64::MAX,
        State::RecordStart | State::FieldStart | State::Unquoted | State::Closed | State::CarriageReturn => 0,
        State::Escaped | State::Comment | State::AfterQuote => return None,
    };
    // Bit i: byte i is inside quotes, an opening quote being inside and a closing one outside.
    let inside = prefix_xor(quote) ^ was_quoted;
    let separators = (delimiter | line_feed) & !inside;
    let ends = line_feed & !inside;
    let returns = carriage_return & !inside;
    let opening = quote & inside;
    let closing = quote & !inside;
    let starts_field = matches!(state, State::RecordStart | State::FieldStart | State::Closed);
    let may_open = separators << 1 | closing << 1 | u64::from(starts_field);
    let after_closing = closing << 1 | u64::from(matches!(state, State::Closed));
    let after_return = returns << 1 | u64::from(matches!(state, State::CarriageReturn));
    let broken = (opening & !may_open)
        | (after_closing & !(delimiter | line_feed | carriage_return | quote))
        | (after_return & !line_feed);
    if broken != 0 {
        return None;
    }
    Some(Block { separators, ends, next: last_state(inside, closing, separators, (ends, returns)) })
}

/// The same for a dialect with escapes or comments; `None` also where a comment begins or ends.
#[inline(always)]
pub(crate) fn resolve_rare(masks: Masks, rare: RareMasks, state: State) -> Option<Block> {
    if matches!(state, State::Comment) {
        return (masks.line_feed == 0).then_some(Block { separators: 0, ends: 0, next: State::Comment });
    }
    let is_escaped = matches!(state, State::Escaped);
    // Outside quotes an escape is text, and so is the quote after it: it is no field's first byte. So it is right to pass over
    // every quote after an escape, wherever that is.
    let escaped = bytes_after_escapes(rare.escape, u64::from(is_escaped));
    let masks = Masks { quote: masks.quote & !escaped, ..masks };
    let mut block = resolve(masks, if is_escaped { State::Quoted } else { state })?;
    // What precedes the first comment is right, so that none is missed.
    let starts_record = block.ends << 1 | u64::from(matches!(state, State::RecordStart));
    if rare.comment & starts_record != 0 {
        return None;
    }
    if matches!(block.next, State::Quoted) && rare.escape & !escaped & LAST != 0 {
        block.next = State::Escaped;
    }
    Some(block)
}

/// Bit `i` of the result: byte `i` follows an escape that does not itself follow one. `first` is 1 where byte 0 does.
#[inline(always)]
const fn bytes_after_escapes(escapes: u64, first: u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    if escapes == 0 {
        return first;
    }
    let escapes = escapes & !first;
    // Langdale and Lemire, Parsing Gigabytes of JSON per Second, 3.1.1: a carry through a run of escapes tells whether its
    // length is odd.
    let after = escapes << 1 | first;
    let starts_odd = escapes & !EVEN & !after;
    let carried = starts_odd.wrapping_add(escapes);
    (EVEN ^ (carried << 1)) & after
}

const LAST: u64 = 1 << 63;

#[inline(always)]
const fn last_state(inside: u64, closing: u64, separators: u64, (ends, returns): (u64, u64)) -> State {
    if inside & LAST != 0 {
        State::Quoted
    } else if ends & LAST != 0 {
        State::RecordStart
    } else if separators & LAST != 0 {
        State::FieldStart
    } else if closing & LAST != 0 {
        State::Closed
    } else if returns & LAST != 0 {
        State::CarriageReturn
    } else {
        State::Unquoted
    }
}

/// Bit `i` of the result is the parity of bits 0 to `i`.
#[inline(always)]
const fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    bits
}
