//! What happens to all connections at once in the middle of a test: they are cut, or their server is killed and started again.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::plan::Upset;
use super::report::Span;
use super::room::{Presence, Role};
use super::test::{Pumped, Test};

/// Time for the connections of a server that was killed to end.
const END_MAX: Duration = Duration::from_secs(10);

impl Test {
    /// Lets it happen after its calm, and waits until all are back.
    pub(super) fn upset(&mut self, upset: Upset, from: Instant) -> anyhow::Result<()> {
        let calm = match upset {
            Upset::Cut { calm, .. } | Upset::Restart { calm } => calm,
        };
        if self.pump(from + calm, |_| false)? == Pumped::Stopped {
            return Ok(());
        }
        self.crew.wishes.coming = Span::Return;
        for room in &mut self.crew.rooms {
            if matches!(room.role, Role::Bystander { .. }) {
                room.role = Role::Bystander { calm: false };
            }
        }
        let slowest = match upset {
            Upset::Cut { jitter, .. } => {
                self.cut_all(jitter);
                jitter
            }
            Upset::Restart { .. } => {
                self.restart()?;
                Duration::ZERO
            }
        };
        self.pump(self.patience_ends() + slowest, Self::all_here).map(drop)
    }

    fn cut_all(&mut self, jitter: Duration) {
        self.fleet.let_in(usize::MAX);
        let cut = Instant::now();
        for member in 0..self.plan.layout.members {
            if self.crew.members[member].presence != Presence::Here {
                continue;
            }
            self.fleet.cut(member);
            self.crew.members[member].presence = Presence::Lost;
            self.fleet.come(member, cut + jitter.mul_f64(fastrand::f64()));
        }
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.fleet.let_in(usize::MAX);
        let own = self.site.own.as_mut().context("only a server of its own can be restarted: give no address")?;
        self.crew.wishes.loss = true;
        own.kill();
        self.pump(Instant::now() + END_MAX, |test| test.crew.here() == 0)?;
        if let Some(own) = &mut self.site.own {
            own.start_again()?;
            self.clock.meter.follow(own.process());
        }
        self.crew.wishes.loss = false;
        Ok(())
    }
}
