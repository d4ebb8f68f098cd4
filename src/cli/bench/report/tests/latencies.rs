//! Histograms: nothing is lost by writing, reading or adding.

use proptest::prelude::*;

use super::*;

fn of(micros: &[u64]) -> Latency {
    let mut latency = Latency::default();
    micros.iter().for_each(|micros| latency.record_micros(*micros, 1));
    latency
}

fn micros() -> impl Strategy<Value = Vec<u64>> {
    let one = prop_oneof![0..2000u64, 0..1_000_000u64, 0..1_000_000_000u64, Just(u64::MAX)];
    proptest::collection::vec(one, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn written_and_read_it_is_the_same(micros in micros()) {
        let latency = of(&micros);
        let text = serde_json::to_string(&latency).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Latency>(&text).unwrap(), &latency);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(json["count"].as_u64().unwrap(), micros.len() as u64);
        prop_assert_eq!(json["percentiles"].is_null(), micros.is_empty());
        prop_assert_eq!(json["percentiles"]["p99_us"].as_u64(), latency.micros_at(0.99));
    }

    #[test]
    fn the_sum_is_that_of_all_times_together(one in micros(), other in micros()) {
        let mut sum = of(&one);
        sum.add(&of(&other));
        prop_assert_eq!(sum, of(&[one, other].concat()));
    }

    #[test]
    fn a_percentile_is_exact_to_three_digits(mut micros in proptest::collection::vec(0..600_000_000u64, 1..200), share in 0.001..1.0f64) {
        let told = of(&micros).micros_at(share).unwrap() as f64;
        micros.sort_unstable();
        let rank = (share * micros.len() as f64).ceil() as usize;
        let truth = micros[rank.clamp(1, micros.len()) - 1] as f64;
        prop_assert!((told - truth).abs() <= truth * 0.001 + 1.0, "{} for {}", told, truth);
    }
}

#[test]
fn nought_is_kept_and_what_is_too_long_counts_at_the_bound() {
    let latency = of(&[0, 600_000_001]);
    assert_eq!((latency.count(), latency.min_micros(), latency.micros_at(0.5)), (2, Some(0), Some(0)));
    assert!((600_000_000..601_000_000).contains(&latency.micros_at(1.0).unwrap()));
    assert_eq!(of(&[]).micros_at(0.5), None);
}

#[test]
fn a_cleared_one_is_like_new() {
    let mut latency = of(&[1, 2, 3]);
    latency.clear();
    assert_eq!(latency, Latency::default());
}
