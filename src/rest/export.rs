//! The node's counts as Prometheus reads them: cells of all shards added up, labels from fixed lists only.

use std::fmt::{self, Error};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::group::node::Node;
use crate::metrics::{BOUNDS_MICROS, CLOSE_CODES, Count, Latency, ShardMetrics};
use crate::store::SYNC_BOUNDS_MICROS;

/// What a scrape reads.
pub struct Export(pub Arc<Node>);

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Export")
    }
}

impl Collector for Export {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let node = &*self.0;
        let shards = &node.metrics;
        let sum = |cell: fn(&ShardMetrics) -> &Count| shards.iter().map(|shard| cell(shard).get()).sum::<u64>();
        let gauge = |cell: fn(&ShardMetrics) -> i64| shards.iter().map(cell).sum::<i64>();
        put_gauge(&mut encoder, "tallycast_connections", "Open WebSocket connections", gauge(|s| s.connections.load(Relaxed)))?;
        put_gauge(&mut encoder, "tallycast_groups", "Groups in memory", gauge(|s| s.groups.load(Relaxed)))?;
        put_gauge(&mut encoder, "tallycast_users", "Users online or with calls that still count", node.users.len() as i64)?;
        put_gauge(&mut encoder, "tallycast_replay_answers", "Answers kept for repeats", node.replays.load(Relaxed) as i64)?;
        put_answers(&mut encoder, shards)?;
        put_calls(&mut encoder, node)?;
        put_closes(&mut encoder, shards)?;
        put_latency(&mut encoder, "tallycast_commit_seconds", "From taking a batch to its commit", shards.iter().map(|s| &s.commit))?;
        put_latency(
            &mut encoder,
            "tallycast_push_seconds",
            "From a commit until every member was reached",
            shards.iter().map(|s| &s.push),
        )?;
        for (name, help, value) in [
            ("tallycast_pushes_sent", "Pushes sent to members", sum(|s| &s.pushes_sent)),
            ("tallycast_pushes_conflated", "Pushes that a newer value of the same key replaced", sum(|s| &s.pushes_conflated)),
            ("tallycast_sent_bytes", "Bytes sent on WebSocket connections", sum(|s| &s.bytes_sent)),
            ("tallycast_received_bytes", "Bytes received on WebSocket connections", sum(|s| &s.bytes_received)),
        ] {
            put_counter(&mut encoder, name, help, value)?;
        }
        put_store(&mut encoder, node)
    }
}

fn put_gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: i64) -> Result<(), Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn put_counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn put_family<const N: usize>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    cells: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
) -> Result<(), Error>
where
    [(&'static str, String); N]: EncodeLabelSet,
{
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in cells {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
    }
    Ok(())
}

fn put_answers(encoder: &mut DescriptorEncoder, shards: &[ShardMetrics]) -> Result<(), Error> {
    let mut cells = std::collections::BTreeMap::new();
    for (cmd, code, count) in shards.iter().flat_map(|shard| shard.answers.iter()) {
        *cells.entry((cmd.map_or("none", |cmd| cmd.name()), code.number())).or_insert(0) += count;
    }
    let cells = cells.into_iter().map(|((cmd, code), count)| ([("cmd", cmd.to_owned()), ("code", code.to_string())], count));
    put_family(encoder, "tallycast_answers", "Answers given, by command and code", cells)
}

fn put_calls(encoder: &mut DescriptorEncoder, node: &Node) -> Result<(), Error> {
    let cell = |((command, code), count): ((&str, u32), u64)| ([("command", command.to_owned()), ("code", code.to_string())], count);
    put_family(encoder, "tallycast_rest_answers", "REST calls answered, by command and code", node.calls().into_iter().map(cell))
}

fn put_closes(encoder: &mut DescriptorEncoder, shards: &[ShardMetrics]) -> Result<(), Error> {
    let count = |at: usize| shards.iter().map(|shard| shard.closes[at].get()).sum::<u64>();
    let cells = CLOSE_CODES.iter().enumerate().map(|(at, code)| ([("code", code.to_string())], count(at)));
    let cells: std::collections::BTreeMap<_, _> = cells.collect();
    put_family(encoder, "tallycast_closes", "Connections closed by the server, by close code", cells)
}

fn put_latency<'a>(encoder: &mut DescriptorEncoder, name: &str, help: &str, all: impl Iterator<Item = &'a Latency>) -> Result<(), Error> {
    let (mut counts, mut micros) = ([0; BOUNDS_MICROS.len() + 1], 0);
    for latency in all {
        latency.buckets().zip(&mut counts).for_each(|(count, sum)| *sum += count);
        micros += latency.sum_micros();
    }
    put_histogram(encoder, name, help, &BOUNDS_MICROS, &counts, micros)
}

fn put_histogram(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    bounds: &[u64],
    counts: &[u64],
    micros: u64,
) -> Result<(), Error> {
    let seconds = |micros: u64| micros as f64 / 1e6;
    let bounds = bounds.iter().map(|bound| seconds(*bound)).chain([f64::MAX]);
    let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
    let mut histogram = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    histogram.encode_histogram::<NoLabelSet>(seconds(micros), counts.iter().sum(), &buckets, None)
}

fn put_store(encoder: &mut DescriptorEncoder, node: &Node) -> Result<(), Error> {
    let stats = node.store.stats();
    for (name, help, value) in [
        ("tallycast_store_journal_bytes", "Bytes of the journal on disk", stats.journal.bytes),
        ("tallycast_store_table_bytes", "Bytes of the table on disk", stats.table.bytes),
        ("tallycast_store_segments", "Journal segments on disk", stats.journal.segments),
        ("tallycast_store_unmerged_bytes", "Bytes of the journal that are not in the table yet", stats.journal.unmerged_bytes),
    ] {
        put_gauge(encoder, name, help, value as i64)?;
    }
    put_counter(encoder, "tallycast_store_records", "Records committed", stats.journal.records)?;
    put_counter(encoder, "tallycast_store_blocks", "Blocks written to the journal", stats.journal.blocks)?;
    put_counter(encoder, "tallycast_store_merges", "Merges of the journal into the table", stats.table.merges)?;
    let name = "tallycast_store_sync_seconds";
    put_histogram(encoder, name, "Syncs of the journal", &SYNC_BOUNDS_MICROS, &stats.syncs.buckets, stats.syncs.micros)
}
