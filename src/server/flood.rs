//! Defines [`Flooding`], which counts how fast the frames of one connection come, and how many were refused for it.
//!
//! Knows: the rate limits. Must not know: what happens to a frame that comes too fast.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arrival::accounts::Account;
use super::bucket::Bucket;
use super::link::Link;
use crate::wire::Limits;

/// Refusals within [`REFUSALS_WINDOW`] after which a connection is closed.
const REFUSALS_MAX: u32 = 100;

/// See [`REFUSALS_MAX`].
const REFUSALS_WINDOW: Duration = Duration::from_secs(10);

/// How fast one connection's frames come.
pub(super) struct Flooding {
    bucket: Bucket,
    /// What its address has together; `None` where nobody said which that is.
    account: Option<Arc<Account>>,
    refusals: u32,
    since: Instant,
}

impl Flooding {
    pub(super) fn new(limits: &Limits, account: Option<Arc<Account>>) -> Flooding {
        let now = Instant::now();
        Flooding { bucket: Bucket::new(limits, now), account, refusals: 0, since: now }
    }

    /// Takes what a frame of `bytes` bytes costs from the connection and from its address, after what it made the server
    /// send before. If they have not so much, says how long it takes until they have.
    pub(super) fn take(&mut self, bytes: usize, link: &Link) -> Result<(), Duration> {
        if !self.bucket.is_limited() {
            return Ok(());
        }
        let (cost, now) = (Bucket::cost(bytes), Instant::now());
        self.bucket.owe(link.take_debt());
        self.bucket.look(cost, now)?;
        if let Some(account) = &self.account {
            account.take(cost, now)?;
        }
        self.bucket.take(cost, now)
    }

    /// Counts a refusal. `true` when there were too many in a short time.
    pub(super) fn is_over(&mut self) -> bool {
        if self.since.elapsed() > REFUSALS_WINDOW {
            self.refusals = 0;
            self.since = Instant::now();
        }
        self.refusals += 1;
        self.refusals > REFUSALS_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::arrival::accounts::Accounts;
    use super::*;

    #[test]
    fn who_has_no_rate_is_not_bound_by_that_of_others_of_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let limits = Limits { frames_per_second_per_address_max: 1, ..Limits::default() };
        let account = Accounts::default().enter([192, 0, 2, 1].into(), &limits).unwrap();
        let taken = |limits: &Limits| {
            let mut flooding = Flooding::new(limits, Some(Arc::clone(&account)));
            (0..100).filter(|_| flooding.take(1, &link).is_ok()).count()
        };
        assert_eq!(taken(&Limits { frames_per_second_max: 0, ..Limits::default() }), 100);
        assert!(taken(&Limits::default()) < 10);
        assert_eq!(taken(&Limits { frames_per_second_max: 0, ..Limits::default() }), 100);
    }
}
