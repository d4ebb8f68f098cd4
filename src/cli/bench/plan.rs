//! What a test is to do, as values: rooms and members, who writes and when, and what happens meanwhile. Each subcommand comes to
//! one of these; nothing is done here.

use std::time::Duration;

use super::crew::Pace;
use super::report::Parameter;

/// A test.
pub(super) struct Plan {
    pub scenario: &'static str,
    /// As they are shown in the report.
    pub parameters: Vec<Parameter>,
    pub layout: Layout,
    pub writing: Writing,
    pub event: Option<Upset>,
    pub times: Times,
    pub part: Part,
}

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub warm_up: Duration,
    pub measured: Duration,
    /// For everybody to come, and at the end for the last answers and values.
    pub patience: Duration,
}

/// Rooms and who is in them.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The id of the only room, or what the ids of several begin with.
    pub room: Option<String>,
    pub rooms: usize,
    /// In all rooms together; room by room in turn.
    pub members: usize,
    /// In a room of their own, apart from those.
    pub bystanders: usize,
    /// Users that the members are, in turn. A user with several connections is one member to the server.
    pub users: usize,
    /// Clients on their way in at once.
    pub at_once_max: usize,
}

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    /// So many of the members; 0: nobody writes while it is measured, and each room gets one write at the end, as a proof.
    pub writers: usize,
    pub pace: Pace,
    /// Writes a second in the bystanders' room.
    pub bystander_rate: f64,
}

/// What happens to the connections.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upset {
    /// All are cut, after so much calm, and come back within this time.
    Cut { calm: Duration, jitter: Duration },
    /// The server of the test is killed and started again, after so much calm.
    Restart { calm: Duration },
}

/// This process's share of a test of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
}

impl Part {
    /// The whole test.
    pub(super) const WHOLE: Self = Self { number: 1, of: 1 };

    /// Reads `2/3`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let most = super::meeting::PARTS_MAX;
        let read = text.split_once('/').and_then(|(number, of)| Some(Self { number: number.parse().ok()?, of: of.parse().ok()? }));
        match read {
            Some(part) if (1..=most).contains(&part.of) && (1..=part.of).contains(&part.number) => Ok(part),
            _ => Err(format!("a part looks like 2/3: the second of three, of at most {most}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_of_numbers() {
        assert_eq!(Part::parse("2/3"), Ok(Part { number: 2, of: 3 }));
        for text in ["", "1", "0/1", "2/1", "1/0", "1/17", "a/b", "1/2/3"] {
            assert!(Part::parse(text).is_err(), "{text}");
        }
    }
}
