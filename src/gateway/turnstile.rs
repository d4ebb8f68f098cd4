//! Where connections wait that come, log in or go in a crowd. When ten thousand clients come back at once, those who never left
//! should not wait for all of them: a few pass, then everybody else who is ready has his turn.

use tokio::sync::Semaphore;

/// Connections that pass between two looks at the sockets.
const PASS_AT_ONCE: usize = 4;

/// One for each shard.
pub struct Turnstile(Semaphore);

impl Default for Turnstile {
    fn default() -> Self {
        Self(Semaphore::const_new(PASS_AT_ONCE))
    }
}

impl Turnstile {
    /// Waits for a turn, first come, first served. To be called when there is something to do, never before.
    pub async fn pass(&self) {
        let _place = self.0.acquire().await;
        // The place is given on only when the sockets were looked at once more.
        tokio::task::yield_now().await;
    }
}
