//! Bytes per second of the scan, by dialect and kernel, on a text of user actions in memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hearth_scan::{Dialect, Index, Kernel, Scanner, State};

const TEXT_BYTES: usize = 100_000_000;
const CHUNK_BYTES: usize = 128 << 10;

fn text(record: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT_BYTES + 200);
    let mut number = 0;
    while text.len() < TEXT_BYTES {
        text.extend_from_slice(record(number).as_bytes());
        number += 1;
    }
    text
}

fn dialects(criterion: &mut Criterion) {
    let plain = text(|number| format!("user{number}@example.com,2026-01-15T10:20:{:02}Z,click\n", number % 60));
    let escaped = text(|number| format!("{number},\"a \\\"quoted\\\" word, and a path: C:\\\\new\",click\n"));
    let commented = text(|number| match number % 20 {
        0 => "# the next twenty, \"as they are\"\n".to_owned(),
        _ => format!("{number},plain # text,click\n"),
    });
    let default = Dialect::default();
    let escape = Dialect { escape: Some(b'\\'), ..default };
    let comment = Dialect { comment: Some(b'#'), ..default };
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10).throughput(Throughput::Bytes(TEXT_BYTES as u64));
    for (name, text, dialect) in [
        ("plain text", &plain, default),
        ("plain text, escape set", &plain, escape),
        ("plain text, comment set", &plain, comment),
        ("escapes", &escaped, escape),
        ("comments", &commented, comment),
    ] {
        for kernel in [Kernel::Best, Kernel::Words, Kernel::Steps] {
            group.bench_function(format!("{name}, {kernel:?}"), |bencher| {
                let mut index = Index::new();
                bencher.iter(|| {
                    let mut scanner = Scanner::with_kernel(dialect, State::RecordStart, kernel);
                    for chunk in text.chunks(CHUNK_BYTES) {
                        scanner.scan(chunk, &mut index);
                        black_box(index.separators());
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, dialects);
criterion_main!(benches);
