//! What a scrape is written on: metrics with their names, words and labels, in seconds and not in microseconds.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::metrics::{BOUNDS_MICROS, Latency};

/// The labels of one of a family's members, with their names.
pub type Labels<const N: usize> = [(&'static str, String); N];

/// A sheet under way. Counters are named without the `_total` that they end with on paper.
pub struct Sheet<'a>(pub DescriptorEncoder<'a>);

impl Sheet<'_> {
    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// Several of them, told apart by labels.
    pub fn gauges<const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        cells: impl IntoIterator<Item = (Labels<N>, V)>,
    ) -> Result<(), Error>
    where
        Labels<N>: EncodeLabelSet,
    {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        cells.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    /// Something that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// Several of them, told apart by labels.
    pub fn counters<const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        cells: impl IntoIterator<Item = (Labels<N>, V)>,
    ) -> Result<(), Error>
    where
        Labels<N>: EncodeLabelSet,
    {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        let encode = |(labels, value)| family.encode_family(&labels)?.encode_counter::<NoLabelSet, V, f64>(&value, None);
        cells.into_iter().try_for_each(encode)
    }

    /// How long something took.
    pub fn histogram(&mut self, name: &str, help: &str, times: &Times<'_>) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(times.seconds(), times.count(), &times.buckets(), None)
    }

    /// Several of them, told apart by labels.
    pub fn histograms<'t, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        cells: impl IntoIterator<Item = (Labels<N>, Times<'t>)>,
    ) -> Result<(), Error>
    where
        Labels<N>: EncodeLabelSet,
    {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        cells.into_iter().try_for_each(|(labels, times)| {
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(times.seconds(), times.count(), &times.buckets(), None)
        })
    }
}

/// Measurements in buckets, the last of which has no bound.
pub struct Times<'a> {
    /// The upper bounds, in microseconds.
    pub bounds: &'a [u64],
    /// How many fell into each, and into the one above all.
    pub counts: Vec<u64>,
    /// All of them together, in microseconds.
    pub micros: u64,
}

impl Times<'_> {
    /// Several shards' cells as one.
    pub fn sum<'a>(all: impl Iterator<Item = &'a Latency>) -> Times<'static> {
        let mut sum = Times { bounds: &BOUNDS_MICROS, counts: vec![0; BOUNDS_MICROS.len() + 1], micros: 0 };
        for latency in all {
            latency.buckets().zip(&mut sum.counts).for_each(|(count, sum)| *sum += count);
            sum.micros += latency.sum_micros();
        }
        sum
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}
