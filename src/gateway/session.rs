//! What a connection is allowed at this moment. Pure: frames and the time go in, a verdict comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Limits;
use crate::domain::throttle::{Throttle, Window};
use crate::protocol::close::Close;
use crate::users::User;

const MINUTE_MILLIS: u64 = 60_000;
/// Seconds over which the frame rate is looked at.
const RATE_SECONDS: u64 = 3;

/// Nobody is left unlooked at for more seconds than this.
const LOOK_AHEAD_MAX: u64 = 3600;

/// Who is logged in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: Arc<User>,
    /// Unix seconds at which his UserSig runs out.
    pub expires_at: u64,
}

/// What the time has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A ping is to be sent.
    Ping,
    /// The UserSig has run out.
    Expired,
    /// The connection is to be closed.
    Close(Close),
}

/// One connection's standing.
#[derive(Debug)]
pub struct Session {
    /// Who is logged in.
    pub login: Option<Login>,
    /// Since when nobody is.
    nobody_since: Instant,
    heard_at: Instant,
    pinged_at: Option<Instant>,
    faults: Throttle,
    rate_second: u64,
    rates: [u64; RATE_SECONDS as usize],
    frames_counted: u64,
    began: Instant,
}

impl Session {
    /// A connection that has just shaken hands.
    pub fn new(now: Instant) -> Self {
        Self {
            login: None,
            nobody_since: now,
            heard_at: now,
            pinged_at: None,
            faults: Throttle::default(),
            rate_second: 0,
            rates: [0; RATE_SECONDS as usize],
            frames_counted: 0,
            began: now,
        }
    }

    /// Something was heard.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// It has taken something of what waited for it: whoever reads is there, though nothing may be heard from them meanwhile.
    pub fn has_read(&mut self, at: Instant) {
        if at > self.heard_at {
            self.heard(at);
        }
    }

    /// So many frames have begun in all. Error: more of them than allowed over three seconds.
    pub fn frames(&mut self, in_all: u64, limits: &Limits, now: Instant) -> Result<(), Close> {
        let fresh = in_all - std::mem::replace(&mut self.frames_counted, in_all);
        if limits.frames_per_second_max == 0 || fresh == 0 {
            return Ok(());
        }
        let second = now.duration_since(self.began).as_secs();
        for passed in 0..(second - self.rate_second).min(RATE_SECONDS) {
            self.rates[((second - passed) % RATE_SECONDS) as usize] = 0;
        }
        self.rate_second = second;
        self.rates[(second % RATE_SECONDS) as usize] += fresh;
        let allowed = u64::from(limits.frames_per_second_max) * RATE_SECONDS;
        if self.rates.iter().sum::<u64>() > allowed { Err(Close::TOO_MANY_FRAMES) } else { Ok(()) }
    }

    /// A faulty frame came in. Error: one more than allowed in a minute; it is not answered.
    pub fn fault(&mut self, limits: &Limits, now: Instant) -> Result<(), Close> {
        let micros = now.duration_since(self.began).as_micros() as u64;
        self.faults
            .admit(Window { calls_max: limits.faults_per_minute_max, millis: MINUTE_MILLIS }, micros)
            .map_err(|_| Close::TOO_MANY_FAULTS)
    }

    /// Nobody is logged in from now on.
    pub fn log_out(&mut self, now: Instant) -> Option<Login> {
        self.nobody_since = now;
        self.login.take()
    }

    /// When the time may bring something, if nothing is heard until then; `unix` is in seconds.
    pub fn next_look(&self, limits: &Limits, now: Instant, unix: u64) -> Instant {
        let after = |since: Instant, deadline: Duration| (!deadline.is_zero()).then(|| since + deadline);
        let login = match &self.login {
            None => after(self.nobody_since, limits.login_deadline),
            Some(login) => Some(now + Duration::from_secs(login.expires_at.saturating_add(1).saturating_sub(unix).min(LOOK_AHEAD_MAX))),
        };
        let silence = match self.pinged_at {
            Some(pinged) => after(pinged, limits.pong_deadline),
            None => after(self.heard_at, limits.ping_every),
        };
        login.into_iter().chain(silence).min().unwrap_or(now + Duration::from_secs(LOOK_AHEAD_MAX))
    }

    /// What the time has brought. `unix` is in seconds.
    pub fn tick(&mut self, limits: &Limits, now: Instant, unix: u64) -> Due {
        let over = |since: Instant, deadline: Duration| !deadline.is_zero() && now.duration_since(since) >= deadline;
        match &self.login {
            None if over(self.nobody_since, limits.login_deadline) => return Due::Close(Close::NO_LOGIN),
            Some(login) if unix > login.expires_at => return Due::Expired,
            _ => {}
        }
        match self.pinged_at {
            Some(pinged) if over(pinged, limits.pong_deadline) => Due::Close(Close::SILENT),
            None if over(self.heard_at, limits.ping_every) => {
                self.pinged_at = Some(now);
                Due::Ping
            }
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::UserId;
    use crate::users::{ConnId, Users};

    fn limits() -> Limits {
        Limits {
            connections_max: 0,
            refusals_max: 0,
            frames_per_second_max: 100,
            frame_bytes_max: 32768,
            frame_bytes_max_before_login: 8192,
            faults_per_minute_max: 20,
            login_deadline: Duration::from_secs(10),
            handshake_deadline: Duration::from_secs(5),
            head_bytes_max: 16384,
            headers_max: 64,
            ping_every: Duration::from_secs(25),
            pong_deadline: Duration::from_secs(10),
            stall_deadline: Duration::from_secs(10),
            groups_owned_max: 100,
            groups_per_connection_max: 128,
            user_list_max: 100,
        }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_login_must_come_in_time_and_again_after_a_logout() {
        let (limits, start) = (limits(), Instant::now());
        let mut session = Session::new(start);
        assert_eq!(session.tick(&limits, start + seconds(9), 0), Due::Nothing);
        assert_eq!(session.next_look(&limits, start, 0), start + seconds(10));
        assert_eq!(session.tick(&limits, start + seconds(10), 0), Due::Close(Close::NO_LOGIN));
        session.log_out(start + seconds(10));
        assert_eq!(session.tick(&limits, start + seconds(19), 0), Due::Nothing);
        assert_eq!(session.tick(&limits, start + seconds(20), 0), Due::Close(Close::NO_LOGIN));
    }

    #[test]
    fn silence_is_asked_about_once_and_then_ends() {
        let (limits, start) = (limits(), Instant::now());
        let mut session = Session::new(start);
        let connection = ConnId { shard: 0, slot: 0, generation: 0 };
        let (user, _) = Users::new(vec![], 0).enter(&UserId::parse("ann").unwrap(), connection);
        session.login = Some(Login { user, expires_at: 1000 });
        assert_eq!(session.tick(&limits, start + seconds(24), 0), Due::Nothing);
        assert_eq!(session.next_look(&limits, start, 0), start + seconds(25));
        assert_eq!(session.next_look(&limits, start, 990), start + seconds(11));
        assert_eq!(session.tick(&limits, start + seconds(25), 0), Due::Ping);
        assert_eq!(session.next_look(&limits, start + seconds(25), 0), start + seconds(35));
        assert_eq!(session.tick(&limits, start + seconds(34), 0), Due::Nothing);
        session.heard(start + seconds(34));
        assert_eq!(session.tick(&limits, start + seconds(36), 0), Due::Nothing);
        assert_eq!(session.tick(&limits, start + seconds(59), 0), Due::Ping);
        assert_eq!(session.tick(&limits, start + seconds(69), 0), Due::Close(Close::SILENT));
        session.heard(start + seconds(69));
        assert_eq!(session.tick(&limits, start + seconds(70), 1000), Due::Nothing);
        assert_eq!(session.tick(&limits, start + seconds(70), 1001), Due::Expired);
    }

    #[test]
    fn rates_and_faults_have_their_windows() {
        let (limits, start) = (limits(), Instant::now());
        let mut session = Session::new(start);
        for second in 0..10 {
            assert_eq!(session.frames((second + 1) * 100, &limits, start + seconds(second)), Ok(()));
        }
        assert_eq!(session.frames(1001, &limits, start + seconds(9)), Err(Close::TOO_MANY_FRAMES));
        assert_eq!(session.frames(1301, &limits, start + seconds(60)), Ok(()));
        assert_eq!(session.frames(1302, &limits, start + seconds(62)), Err(Close::TOO_MANY_FRAMES));
        for _ in 0..20 {
            assert_eq!(session.fault(&limits, start), Ok(()));
        }
        assert_eq!(session.fault(&limits, start + seconds(59)), Err(Close::TOO_MANY_FAULTS));
        assert_eq!(session.fault(&limits, start + seconds(60)), Ok(()));

        let mut session = Session::new(start);
        assert_eq!(session.fault(&limits, start), Ok(()));
        for _ in 0..19 {
            assert_eq!(session.fault(&limits, start + seconds(59)), Ok(()));
        }
        assert_eq!(session.fault(&limits, start + seconds(61)), Ok(()), "the first is long ago");
        assert_eq!(session.fault(&limits, start + seconds(61)), Err(Close::TOO_MANY_FAULTS), "any minute counts");
    }
}
