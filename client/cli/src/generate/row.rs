//! One generated row as bytes. Each is a function of the seed and its number alone, so that any range of rows can be made by itself.

use super::DataFormat;

/// What users do. Equally likely, so that the number of groups can be computed from rows and users.
const ACTIONS: [&[u8]; 6] = [b"login", b"view", b"click", b"search", b"cart", b"purchase"];

/// Rows are spread over one day, in order.
const DAY_SECONDS: u64 = 86_400;
const DATE: &[u8] = b"2026-01-15 ";

/// What all rows have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) rows: u64,
    pub(super) users: u64,
    pub(super) seed: u64,
    pub(super) format: DataFormat,
}

/// A row is never longer, in bytes.
pub(super) const ROW_BYTES_MAX: usize = 160;

/// First line of a CSV file.
pub(super) const CSV_HEADER: &[u8] = b"email,timestamp,action\n";

impl Rows {
    /// Appends row `number`.
    pub(super) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let mixed = mix(self.seed, number);
        let user = scale(mixed >> 20, 44, self.users);
        let action = scale(mixed & 0xf_ffff, 20, ACTIONS.len() as u64);
        let second = scale_rows(number, self.rows);
        match self.format {
            DataFormat::Csv => {
                write_email(user, out);
                out.push(b',');
                write_time(second, out);
                out.push(b',');
                out.extend_from_slice(action_name(action));
                out.push(b'\n');
            }
            DataFormat::Json => {
                out.extend_from_slice(b"{\"email\":\"");
                write_email(user, out);
                out.extend_from_slice(b"\",\"timestamp\":\"");
                write_time(second, out);
                out.extend_from_slice(b"\",\"action\":\"");
                out.extend_from_slice(action_name(action));
                out.extend_from_slice(b"\"}\n");
            }
        }
    }
}

fn action_name(action: u64) -> &'static [u8] {
    usize::try_from(action).ok().and_then(|action| ACTIONS.get(action)).copied().unwrap_or_default()
}

/// SplitMix64 (Steele, Lea, Flood 2014) at position `number`: a well-mixed number for each row without any state.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `limit`, from `bits` random bits.
fn scale(random: u64, bits: u32, limit: u64) -> u64 {
    let scaled = (u128::from(random) * u128::from(limit)) >> bits;
    u64::try_from(scaled).unwrap_or(0)
}

fn scale_rows(number: u64, rows: u64) -> u64 {
    let second = match number.checked_mul(DAY_SECONDS) {
        Some(seconds) => seconds / rows.max(1),
        None => number / (rows / DAY_SECONDS).max(1),
    };
    second % DAY_SECONDS
}

fn write_email(user: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"user");
    write_number(user, out);
    out.extend_from_slice(b"@example.com");
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = digit(number % 10);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn write_time(second: u64, out: &mut Vec<u8>) {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    out.extend_from_slice(DATE);
    let two = |number: u64| [digit(number / 10), digit(number % 10)];
    let ([h, i], [m, n], [s, t]) = (two(hour), two(minute), two(second));
    out.extend_from_slice(&[h, i, b':', m, n, b':', s, t]);
}

fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn text(rows: &Rows, number: u64) -> String {
        let mut out = Vec::new();
        rows.write(number, &mut out);
        assert!(out.len() <= ROW_BYTES_MAX);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_what_they_were() {
        let rows = Rows { rows: 1000, users: 100_000, seed: 1, format: DataFormat::Csv };
        assert_eq!(text(&rows, 0), "user95570@example.com,2026-01-15 00:00:00,view\n");
        assert_eq!(text(&rows, 999), "user83758@example.com,2026-01-15 23:58:33,click\n");
        let json = Rows { format: DataFormat::Json, ..rows };
        let row: serde_json::Value = serde_json::from_str(&text(&json, 0)).unwrap();
        assert_eq!(row["timestamp"], "2026-01-15 00:00:00");
    }

    #[test]
    fn every_user_and_action_occurs() {
        let rows = Rows { rows: 10_000, users: 100, seed: 7, format: DataFormat::Csv };
        let groups: BTreeSet<_> = (0..rows.rows)
            .map(|number| {
                let row = text(&rows, number);
                let fields: Vec<_> = row.trim_end().split(',').map(str::to_owned).collect();
                (fields[0].clone(), fields[2].clone())
            })
            .collect();
        assert_eq!(groups.len(), 600);
    }

    #[test]
    fn the_largest_row_fits() {
        let rows = Rows { rows: u64::MAX, users: 1 << 40, seed: u64::MAX, format: DataFormat::Json };
        for number in [0, 1, u64::MAX - 1, u64::MAX] {
            assert!(text(&rows, number).ends_with("\"}\n"));
        }
    }
}
