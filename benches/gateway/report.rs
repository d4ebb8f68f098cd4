//! The table on standard output: a figure, and the goal beside it.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Begins a measurement.
pub fn title(name: &str, what: &str) {
    println!("\n{name}: {what}");
}

/// One figure; the goal may be empty.
pub fn line(label: &str, figure: impl AsRef<str>, goal: &str) {
    println!("  {label:<50} {:>28}   {goal}", figure.as_ref());
}

/// A time in the unit that suits it.
pub fn time(duration: Duration) -> String {
    match duration.as_micros() {
        micros if micros < 10_000 => format!("{micros} us"),
        micros if micros < 10_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// Bytes in kB (1,000) or MiB.
pub fn bytes(bytes: f64) -> String {
    if bytes.abs() < 100_000.0 { format!("{:.2} kB", bytes / 1e3) } else { format!("{:.2} MiB", bytes / 1_048_576.0) }
}

/// A whole number with a comma after every three digits.
pub fn count(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The median of several rounds, and how far they lie apart.
pub fn median(rounds: &[f64]) -> String {
    let middle = middle(rounds);
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] | [_] => count(middle),
        [low, .., high] => format!("{} ({} - {})", count(middle), count(*low), count(*high)),
    }
}

/// The median alone.
pub fn middle(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A histogram of microseconds, up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

/// Takes a time into a histogram.
pub fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record((took.as_micros() as u64).max(1));
}

/// A quantile as a time.
pub fn quantile(histogram: &Histogram<u64>, q: f64) -> Duration {
    Duration::from_micros(histogram.value_at_quantile(q))
}

/// The two quantiles that are always told.
pub fn quantiles(histogram: &Histogram<u64>) -> String {
    format!("{} / {}", time(quantile(histogram, 0.5)), time(quantile(histogram, 0.99)))
}
