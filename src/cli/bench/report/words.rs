//! Numbers as people read them: three digits, a unit that suits, commas in whole numbers. Knows nothing of reports.

/// Microseconds in the unit that suits them: `850 µs`, `1.23 ms`, `12.3 s`.
pub fn time(micros: f64) -> String {
    match micros {
        micros if micros < 999.5 => format!("{micros:.0} µs"),
        micros if micros < 999_500.0 => format!("{} ms", three(micros / 1e3)),
        micros => format!("{} s", three(micros / 1e6)),
    }
}

/// Bytes as B, KiB, MiB or GiB; growth may be negative.
pub fn bytes(bytes: f64) -> String {
    let (sign, size) = (if bytes < 0.0 { "-" } else { "" }, bytes.abs());
    match size {
        size if size < 1023.5 => format!("{sign}{size:.0} B"),
        size if size < 1_048_064.0 => format!("{sign}{} KiB", three(size / 1024.0)),
        size if size < 1_073_217_536.0 => format!("{sign}{} MiB", three(size / 1_048_576.0)),
        size => format!("{sign}{} GiB", three(size / 1_073_741_824.0)),
    }
}

/// A whole number with a comma after every three digits.
pub fn count(number: impl TryInto<i128>) -> String {
    let number = number.try_into().unwrap_or(i128::MAX);
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that need not be whole: three digits when small, whole with commas from 100 on or when it is whole.
pub fn number(number: f64) -> String {
    if number.abs() < 99.95 && number != number.trunc() { three(number) } else { count(number.round() as i128) }
}

/// A share of a hundred.
pub fn percent(percent: f64) -> String {
    format!("{} %", three(percent))
}

/// A noun with its number: `1 member`, `2 members`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Three digits: `1.23`, `12.3`, `123`.
fn three(number: f64) -> String {
    match number.abs() {
        size if size < 9.995 => format!("{number:.2}"),
        size if size < 99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_never_round_up_to_a_thousand() {
        let said = [0.4, 850.0, 999.4, 999.6, 1234.0, 12_340.0, 999_400.0, 999_600.0, 61_000_000.0].map(time);
        assert_eq!(said, ["0 µs", "850 µs", "999 µs", "1.00 ms", "1.23 ms", "12.3 ms", "999 ms", "1.00 s", "61.0 s"]);
    }

    #[test]
    fn sizes_keep_their_sign() {
        let said = [0.0, 1023.0, 1023.9, 4096.0, -45.1 * 1_048_576.0, 1_048_575.0, 3e9].map(bytes);
        assert_eq!(said, ["0 B", "1023 B", "1.00 KiB", "4.00 KiB", "-45.1 MiB", "1.00 MiB", "2.79 GiB"]);
    }

    #[test]
    fn whole_numbers_have_commas() {
        assert_eq!([0, 999, 1000, -1_234_567].map(count), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!([1.0, 1.5, 99.94, 99.96, 12_345.6].map(number), ["1", "1.50", "99.9", "100", "12,346"]);
        assert_eq!(
            (percent(12.34), counted(1, "member"), counted(2000, "room")),
            ("12.3 %".into(), "1 member".into(), "2,000 rooms".into())
        );
    }
}
