//! What the answers to one counter's writes told, write by write. Each adds 1, so a value tells which write it was: a sum that
//! is right proves nothing where one write was lost and another one counted twice.

use super::room::Held;

/// Values that are remembered beyond twice the writes there were: what is further away is wrong in any case.
const SLACK: u64 = 4096;

/// The answers to one counter's writes.
#[derive(Default)]
pub(super) struct Ledger {
    /// By the value above the first one, less 1: the version that an answer told with it; 0: none did.
    versions: Vec<u64>,
    /// Answers whose value or version cannot be, or was told before.
    impossible: u64,
}

impl Ledger {
    /// An answer told this of a counter that began there; so many writes have been sent.
    pub(super) fn told(&mut self, initial: Held, told: Held, sent: u64) {
        let step = told.value.checked_sub(initial.value).and_then(|step| u64::try_from(step).ok()).unwrap_or_default();
        if step == 0 || told.version <= initial.version || step > 2 * sent + SLACK {
            self.impossible += 1;
            return;
        }
        let at = step as usize - 1;
        if self.versions.len() <= at {
            self.versions.resize(at + 1, 0);
        }
        match self.versions[at] {
            0 => self.versions[at] = told.version,
            _ => self.impossible += 1,
        }
    }

    /// How many answers contradict another one, or the counter at the end: a value was told twice, or there are fewer versions
    /// between two values than writes.
    pub(super) fn contradictions(&self, initial: Held, last: Held) -> u64 {
        let steps = |held: Held| i128::from(held.value) - i128::from(initial.value);
        let told = self.versions.iter().zip(1..).filter(|(version, _)| **version > 0).map(|(version, step)| (step, *version));
        let end = (!self.versions.is_empty()).then(|| (steps(last), last.version));
        let mut before = (0, initial.version);
        let mut wrong = self.impossible;
        for (step, version) in told.chain(end) {
            let fits = step >= before.0 && i128::from(version) - i128::from(before.1) >= step - before.0;
            wrong += u64::from(!fits);
            before = (step, version);
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(value: i64, version: u64) -> Held {
        Held { value, version }
    }

    fn contradictions(told: &[(i64, u64)], last: (i64, u64)) -> u64 {
        let (mut ledger, initial) = (Ledger::default(), held(100, 10));
        told.iter().for_each(|(value, version)| ledger.told(initial, held(*value, *version), 10));
        ledger.contradictions(initial, held(last.0, last.1))
    }

    #[test]
    fn answers_that_add_up_contradict_nothing() {
        assert_eq!(contradictions(&[], (100, 10)), 0);
        assert_eq!(contradictions(&[(101, 11), (103, 13), (102, 12)], (103, 13)), 0, "in any order");
        assert_eq!(contradictions(&[(101, 15), (103, 29)], (104, 31)), 0, "others write to the same group, and an answer may be lost");
    }

    #[test]
    fn a_value_or_a_version_that_cannot_be_is_found() {
        for (told, last, why) in [
            (&[(101, 11), (101, 11)][..], (102, 12), "one answer for two writes"),
            (&[(101, 11), (101, 12)], (102, 12), "one value for two writes"),
            (&[(101, 11), (102, 11)], (102, 12), "one version for two writes"),
            (&[(101, 12), (102, 11)], (102, 12), "a version that goes back"),
            (&[(101, 11), (103, 12)], (103, 13), "two writes in one version"),
            (&[(101, 11), (102, 12), (103, 13)], (102, 12), "a value that was never reached"),
            (&[(100, 11)], (100, 11), "a write that added nothing"),
            (&[(101, 10)], (101, 11), "a version of before"),
            (&[(1_000_000, 1_000_000)], (101, 11), "a value far away"),
            (&[(i64::MIN, 12)], (101, 11), "a value beyond all numbers"),
        ] {
            assert!(contradictions(told, last) > 0, "{why}");
        }
    }
}
