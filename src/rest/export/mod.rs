//! The node's counts as Prometheus reads them: cells of all shards added up, labels from fixed lists only. What each means to
//! an operator is in `docs/metrics.md`, and a test holds the two together.

mod process;
mod sheet;
mod text;

use std::collections::BTreeMap;
use std::fmt::{self, Error};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use sheet::{Sheet, Times};
pub use text::Format;

use super::audit::Audit;
use crate::group::node::Node;
use crate::metrics::{CLOSE_CODES, Count, Refused, ShardMetrics};
use crate::protocol::request::Cmd;
use crate::store::{SYNC_BOUNDS_MICROS, TroubleKind};

/// What a scrape reads.
pub struct Export {
    node: Arc<Node>,
    audit: Audit,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Export")
    }
}

impl Collector for Export {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let sheet = &mut Sheet(encoder);
        process::put(sheet)?;
        self.put_node(sheet)?;
        self.put_shards(sheet)?;
        self.put_connections(sheet)?;
        self.put_answers(sheet)?;
        self.put_groups(sheet)?;
        self.put_store(sheet)
    }
}

impl Export {
    /// Everything that is counted.
    pub fn new(node: Arc<Node>, audit: Audit) -> Self {
        Self { node, audit }
    }

    fn sum(&self, cell: fn(&ShardMetrics) -> &Count) -> u64 {
        self.node.metrics.iter().map(|shard| cell(shard).get()).sum()
    }

    fn put_node(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let build = [([("version", env!("CARGO_PKG_VERSION").to_owned())], 1)];
        sheet.gauges("tallycast_build_info", "Always 1; the version of the program is its label", build)?;
        let draining = i64::from(self.node.draining.load(Relaxed));
        sheet.gauge("tallycast_draining", "1 from the signal that stops the gateway on, else 0", draining)?;
        let help = "1 where the last SIGHUP was obeyed, or none has come yet; 0 where it was not";
        sheet.gauge("tallycast_reload_success", help, i64::from(!self.node.reload.has_failed()))?;
        let help = "Unix time of the last reading of the configuration that was obeyed";
        sheet.gauge("tallycast_reload_success_timestamp_seconds", help, self.node.reload.succeeded_at())
    }

    fn put_shards(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let label = |shard: usize| [("shard", shard.to_string())];
        let shards = &self.node.metrics;
        let busy = shards.iter().enumerate().map(|(shard, cells)| (label(shard), cells.busy().as_secs_f64()));
        sheet.counters("tallycast_shard_busy_seconds", "Time in which a shard's thread did not wait", busy)?;
        let mail = shards.iter().enumerate().map(|(shard, cells)| (label(shard), cells.mail.get()));
        sheet.gauges("tallycast_mailbox_commands", "Commands that wait for their groups", mail)?;
        let letters = self.node.inboxes.iter().enumerate().map(|(shard, inbox)| (label(shard), inbox.depth() as i64));
        sheet.gauges("tallycast_inbox_letters", "Letters that wait for a shard", letters)?;
        let stalled: i64 = shards.iter().map(|shard| shard.stalled.get()).sum();
        sheet.gauge("tallycast_stalled_connections", "Connections that do not take what is sent to them", stalled)
    }

    fn put_connections(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let shards = &self.node.metrics;
        let open: i64 = shards.iter().map(|shard| shard.connections.load(Relaxed)).sum();
        sheet.gauge("tallycast_connections", "Open WebSocket connections", open)?;
        sheet.counter("tallycast_connections_opened", "WebSocket connections opened", self.sum(|s| &s.opened))?;
        sheet.counter("tallycast_accept_errors", "Attempts to accept a connection that failed", self.sum(|s| &s.accept_errors))?;
        let refused = |why: &Refused| shards.iter().map(|shard| shard.refused[*why as usize].get()).sum::<u64>();
        let cells = Refused::ALL.iter().map(|why| ([("reason", why.label().to_owned())], refused(why)));
        sheet.counters("tallycast_connections_refused", "Connections refused before they were a WebSocket, by reason", cells)?;
        let count = |at: usize| shards.iter().map(|shard| shard.closes[at].get()).sum::<u64>();
        let cells = CLOSE_CODES.iter().enumerate().map(|(at, code)| ([("code", code.to_string())], count(at)));
        sheet.counters("tallycast_closes", "Connections closed by the server, by close code", cells)?;
        sheet.counter("tallycast_sent_bytes", "Bytes sent on WebSocket connections", self.sum(|s| &s.bytes_sent))?;
        sheet.counter("tallycast_received_bytes", "Bytes received on WebSocket connections", self.sum(|s| &s.bytes_received))
    }

    fn put_answers(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let mut cells = BTreeMap::new();
        for (cmd, code, count) in self.node.metrics.iter().flat_map(|shard| shard.answers.iter()) {
            *cells.entry((cmd.map_or("none", |cmd| cmd.name()), code.number())).or_insert(0) += count;
        }
        let cells = cells.into_iter().map(|((cmd, code), count)| ([("cmd", cmd.to_owned()), ("code", code.to_string())], count));
        sheet.counters("tallycast_answers", "Answers given, by command and code", cells)?;
        let times = |cmd: &Cmd| Times::sum(self.node.metrics.iter().map(|shard| &shard.answer_times[*cmd as usize]));
        let cells = Cmd::ALL.iter().map(|cmd| ([("cmd", cmd.name().to_owned())], times(cmd))).filter(|(_, times)| times.count() > 0);
        sheet.histograms("tallycast_answer_seconds", "From reading a request to its answer, by command", cells)?;
        let (answers, times) = {
            let calls = self.node.calls();
            let times: Vec<_> = calls.times.iter().map(|(command, times)| (*command, Times::sum(std::iter::once(times)))).collect();
            (calls.answers.clone(), times)
        };
        let cell = |((command, code), count): ((&str, u32), u64)| ([("command", command.to_owned()), ("code", code.to_string())], count);
        sheet.counters("tallycast_rest_answers", "REST calls answered, by command and code", answers.into_iter().map(cell))?;
        let cells = times.into_iter().map(|(command, times)| ([("command", command.to_owned())], times));
        sheet.histograms("tallycast_rest_answer_seconds", "From the head of a REST call to its answer, by command", cells)?;
        sheet.counter("tallycast_audit_lost_lines", "Lines of the audit that could not be written", self.audit.lost())
    }

    fn put_groups(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let (node, shards) = (&self.node, &self.node.metrics);
        let groups: i64 = shards.iter().map(|shard| shard.groups.load(Relaxed)).sum();
        sheet.gauge("tallycast_groups", "Groups in memory", groups)?;
        sheet.gauge("tallycast_users", "Users online or with calls that still count", node.users.len() as i64)?;
        sheet.gauge("tallycast_replay_answers", "Answers kept for repeats", node.replays.load(Relaxed) as i64)?;
        let commits = Times::sum(shards.iter().map(|shard| &shard.commit));
        sheet.histogram("tallycast_commit_seconds", "From taking a batch to its commit", &commits)?;
        let pushes = Times::sum(shards.iter().map(|shard| &shard.push));
        sheet.histogram("tallycast_push_seconds", "From a commit until every member was reached", &pushes)?;
        sheet.counter("tallycast_pushes_sent", "Pushes sent to members", self.sum(|s| &s.pushes_sent))?;
        let help = "Pushes that a newer value of the same key replaced";
        sheet.counter("tallycast_pushes_conflated", help, self.sum(|s| &s.pushes_conflated))
    }

    fn put_store(&self, sheet: &mut Sheet) -> Result<(), Error> {
        let stats = self.node.store.stats();
        for (name, help, value) in [
            ("tallycast_store_journal_bytes", "Bytes of the journal on disk", stats.journal.bytes),
            ("tallycast_store_table_bytes", "Bytes of the table on disk", stats.table.bytes),
            ("tallycast_store_segments", "Journal segments on disk", stats.journal.segments),
            ("tallycast_store_unmerged_bytes", "Bytes of the journal that are not in the table yet", stats.journal.unmerged_bytes),
        ] {
            sheet.gauge(name, help, value)?;
        }
        sheet.counter("tallycast_store_records", "Records committed", stats.journal.records)?;
        sheet.counter("tallycast_store_blocks", "Blocks written to the journal", stats.journal.blocks)?;
        sheet.counter("tallycast_store_merges", "Merges of the journal into the table", stats.table.merges)?;
        sheet.counter("tallycast_store_merges_without_space", "Merges that found no space", stats.table.merges_full)?;
        let help = "Attempts to prepare a segment of the journal that failed";
        sheet.counter("tallycast_store_preparations_failed", help, stats.journal.preparations_failed)?;
        let troubles = self.node.store.troubles();
        let is_there = |kind: &TroubleKind| i64::from(troubles.iter().any(|trouble| trouble.kind == *kind));
        let cells = TroubleKind::ALL.iter().map(|kind| ([("trouble", kind.name().to_owned())], is_there(kind)));
        sheet.gauges("tallycast_store_trouble", "1 while the store has this trouble, else 0", cells)?;
        let syncs = Times { bounds: &SYNC_BOUNDS_MICROS, counts: stats.syncs.buckets.to_vec(), micros: stats.syncs.micros };
        sheet.histogram("tallycast_store_sync_seconds", "Syncs of the journal", &syncs)
    }
}
