//! How several processes become one test: they meet in the room itself. Each adds 1 to a counter when it is ready, when it is
//! done, and when it has compared; the pushes of these counters tell everybody when all are there.

use serde_json::{Value, json};

/// More parts would need more counters than a group may have.
pub(super) const PARTS_MAX: usize = 16;

/// A moment at which all parts wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Ready,
    Done,
    Compared,
}

const STAGES: [(Stage, &str); 3] = [(Stage::Ready, "bench-ready"), (Stage::Done, "bench-done"), (Stage::Compared, "bench-compared")];

/// Which part this process is, of how many, and how many have come how far.
#[derive(Debug, Clone)]
pub(super) struct Meeting {
    /// Counted from 1.
    pub part: usize,
    pub parts: usize,
    reached: [i64; STAGES.len()],
}

impl Meeting {
    pub(super) fn new(part: usize, parts: usize) -> Self {
        Self { part, parts, reached: [0; STAGES.len()] }
    }

    /// Takes the counters of a snapshot.
    pub(super) fn read(&mut self, counters: &Value) {
        for ((_, key), reached) in STAGES.iter().zip(&mut self.reached) {
            *reached = counters[*key].as_i64().unwrap_or_default().max(*reached);
        }
    }

    /// Takes one counter of a push.
    pub(super) fn read_one(&mut self, key: &Value, value: &Value) {
        if let Some(key) = key.as_str() {
            self.read(&json!({key: value}));
        }
    }

    /// Whether all parts have come so far.
    pub(super) fn all(&self, stage: Stage) -> bool {
        self.parts == 1 || self.count(stage) >= self.parts as i64
    }

    /// How many parts have come so far.
    pub(super) fn count(&self, stage: Stage) -> i64 {
        STAGES.iter().zip(self.reached).find(|((other, _), _)| *other == stage).map_or(0, |(_, reached)| reached)
    }

    /// Whether the room holds what an earlier test has left, so that nobody could be waited for.
    pub(super) fn is_used_up(&self) -> bool {
        self.count(Stage::Ready) >= self.parts as i64 || self.count(Stage::Done) > 0
    }

    /// The request by which this part tells the others.
    pub(super) fn tell(&self, stage: Stage, room: &str, run: &str) -> String {
        let key = STAGES.iter().find(|(other, _)| *other == stage).map_or("", |(_, key)| key);
        json!({"id": 3, "cmd": "increaseGroupCounter", "groupID": room, "key": key, "value": 1, "opID": format!("{run}-{key}")}).to_string()
    }
}
