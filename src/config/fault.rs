//! What is wrong with a configuration: every fault has a place, and none shows a secret.

use std::fmt;
use std::sync::Arc;

/// Where a value was given. A later one beats an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: the default.
    Default,
    /// In the file of this name, in this line (from 1; 0 stands for the whole file).
    File(Arc<str>, usize),
    /// In this environment variable.
    Environment(String),
    /// By this flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name, 0) => f.write_str(name),
            Self::File(name, line) => write!(f, "{name}, line {line}"),
            Self::Environment(variable) => write!(f, "environment, {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Origin {
    /// Whether `self` beats a value from `other`.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.rank() >= other.rank()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(..) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

/// One thing that is wrong, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting's path; empty when the fault is of a whole source.
    pub path: String,
    /// What is wrong, in plain words.
    pub message: String,
    /// Where it was given.
    pub origin: Origin,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.path.as_str()) {
            (Origin::Default, path) => write!(f, "{path}: {}", self.message),
            (origin, "") => write!(f, "{} ({origin})", self.message),
            (origin, path) => write!(f, "{path}: {} ({origin})", self.message),
        }
    }
}

/// All that is wrong with a configuration, by origin: never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(faults)
    }

    /// Each fault, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has 1 fault:")?,
            n => write!(f, "the configuration has {n} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Longer names are compared with nothing: the comparison takes the product of both lengths.
const NAME_BYTES_MAX: usize = 200;

/// The nearest of the known names, when it is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let near_enough = (name.len() / 4).clamp(2, 5);
    let best = known.map(|k| (distance(name, k), k)).min_by_key(|(d, _)| *d)?;
    (best.0 <= near_enough).then_some(best.1)
}

/// Letters to insert, delete, change or swap with their neighbour to get from one name to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["limits.ping_every", "limits.pong_deadline", "listen"];
        let offer = |name| nearest(name, known.into_iter());
        assert_eq!(offer("limits.ping_evry"), Some("limits.ping_every"));
        assert_eq!(offer("limit.ping_evrey"), Some("limits.ping_every"));
        assert_eq!(offer("Lisetn"), Some("listen"));
        assert_eq!(offer("colour"), None);
        assert_eq!(offer(""), None);
    }
}
