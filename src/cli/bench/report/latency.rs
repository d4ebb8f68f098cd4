//! A histogram of times in microseconds, exact to three digits. It can be written, read again and added to another without
//! losing anything; it knows nothing of what was timed.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest time that is told apart from longer ones: 10 minutes. Longer ones count as this.
const MICROS_MAX: u64 = 600_000_000;

/// More buckets than a histogram of three digits up to 10 minutes can have.
const BUCKETS_MAX: usize = 25_000;

/// Times in microseconds, three digits exact, from 0 to 10 minutes (more counts as that).
#[derive(Debug, Clone, PartialEq)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("the bounds are constants in the right order"))
    }
}

impl Latency {
    /// Takes one time.
    pub fn record(&mut self, took: Duration) {
        self.record_micros(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), 1);
    }

    /// Takes the same time in microseconds `times` times.
    pub fn record_micros(&mut self, micros: u64, times: u64) {
        self.0.saturating_record_n(micros.min(MICROS_MAX), times);
    }

    /// Adds all that another histogram holds.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// Forgets everything, and keeps the memory: for a histogram of each second.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many times were taken.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time in microseconds within which `share` (0 to 1) of all lie; None when nothing was taken.
    pub fn micros_at(&self, share: f64) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share))
    }

    /// The shortest time in microseconds; None when nothing was taken.
    pub fn min_micros(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.min())
    }

    /// The mean in microseconds; None when nothing was taken.
    pub fn mean_micros(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.mean())
    }

    /// Each bucket that holds something: its highest time in microseconds, and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

/// As it is written. Only the buckets are read again: all the rest follows from them.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(skip_deserializing)]
    count: u64,
    #[serde(skip_deserializing)]
    percentiles: Option<Percentiles>,
    buckets_us: Vec<(u64, u64)>,
}

#[derive(Serialize, Default)]
struct Percentiles {
    min_us: u64,
    mean_us: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    #[serde(rename = "p99.9_us")]
    p99_9_us: u64,
    max_us: u64,
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = |share| self.0.value_at_quantile(share);
        let percentiles = (!self.0.is_empty()).then(|| Percentiles {
            min_us: self.0.min(),
            mean_us: (self.0.mean() * 10.0).round() / 10.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: at(1.0),
        });
        Written { count: self.count(), percentiles, buckets_us: self.buckets().collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        if written.buckets_us.len() > BUCKETS_MAX {
            return Err(D::Error::custom(format!("a histogram has at most {BUCKETS_MAX} buckets")));
        }
        let mut latency = Self::default();
        for (micros, count) in written.buckets_us {
            latency.record_micros(micros, count);
        }
        Ok(latency)
    }
}
