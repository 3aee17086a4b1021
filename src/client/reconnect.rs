//! Defines [`Reconnect`], the policy for a connection that was lost: growing, jittered delays, a limit, and a greeting.
//!
//! Knows: delays and their randomness. Must not know: the clock (how long a connection held is an argument), sockets.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::Error;
use super::sender::Greeting;

/// What a greeting is called with at each connection.
pub(super) type Hook = Arc<Mutex<dyn FnMut(&Greeting<'_>) -> Result<(), Error> + Send>>;

/// When and how often a socket connects again. Set it with
/// [`XmlSocket::set_reconnect`](super::XmlSocket::set_reconnect); without it a socket connects once, as in a player.
///
/// The n-th delay lies between one half and the whole of `delay_first` doubled n − 1 times, and of `delay_max` at most;
/// where in between is random, so that clients that lost the same server do not return at the same moment. A delay is
/// never shorter than the one before it while they grow. The count starts anew once a connection has held for
/// `held_min`: a server that accepts and closes at once is not asked more often than one that refuses.
#[derive(Clone)]
pub struct Reconnect {
    delay_first: Duration,
    delay_max: Duration,
    held_min: Duration,
    attempts_max: Option<u32>,
    seed: u64,
    pub(super) hook: Option<Hook>,
}

impl Default for Reconnect {
    fn default() -> Reconnect {
        Reconnect::new()
    }
}

impl Reconnect {
    /// Half a second first, a minute at most, without a limit on the number of tries.
    #[must_use]
    pub fn new() -> Reconnect {
        Reconnect {
            delay_first: Duration::from_millis(500),
            delay_max: Duration::from_secs(60),
            held_min: Duration::from_secs(10),
            attempts_max: None,
            seed: RandomState::new().hash_one(0),
            hook: None,
        }
    }

    /// Sets the first delay, and the longest.
    #[must_use]
    pub fn delays(mut self, first: Duration, max: Duration) -> Reconnect {
        self.delay_first = first;
        self.delay_max = max.max(first);
        self
    }

    /// Sets how often in a row the socket tries again before it gives up.
    #[must_use]
    pub fn attempts_max(mut self, attempts_max: u32) -> Reconnect {
        self.attempts_max = Some(attempts_max);
        self
    }

    /// Sets how long a connection must have held for the count and the delays to start anew.
    #[must_use]
    pub fn held_min(mut self, held_min: Duration) -> Reconnect {
        self.held_min = held_min;
        self
    }

    /// Sets the randomness of the delays; the default is different in every process.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Reconnect {
        self.seed = seed;
        self
    }

    /// Sets what is done first at every connection, before its `Connect` event can be taken: to log in and to join,
    /// again and again. It runs on the socket's own thread, and what it sends leaves before anything else. When it
    /// fails the connection counts as failed.
    #[must_use]
    pub fn greeting(mut self, hook: impl FnMut(&Greeting<'_>) -> Result<(), Error> + Send + 'static) -> Reconnect {
        self.hook = Some(Arc::new(Mutex::new(hook)));
        self
    }

    /// The delays, in their order.
    pub(super) fn delays_from_here(&self) -> Delays {
        Delays { policy: self.clone(), tries: 0, random: self.seed }
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("delay_first", &self.delay_first)
            .field("delay_max", &self.delay_max)
            .field("held_min", &self.held_min)
            .field("attempts_max", &self.attempts_max)
            .finish_non_exhaustive()
    }
}

/// The delays of one [`Reconnect`] policy in use.
pub(super) struct Delays {
    policy: Reconnect,
    /// How often the socket tried again since the last connection that held.
    tries: u32,
    /// The state of the generator.
    random: u64,
}

impl Delays {
    /// The number of the next try and the delay before it, after a connection that held for `held`, or after none.
    /// `None`: no more tries.
    pub(super) fn next(&mut self, held: Option<Duration>) -> Option<(u32, Duration)> {
        if held.is_some_and(|held| held >= self.policy.held_min) {
            self.tries = 0;
        }
        if self.policy.attempts_max.is_some_and(|max| self.tries >= max) {
            return None;
        }
        let doubled = self.policy.delay_first.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX));
        let whole = doubled.min(self.policy.delay_max);
        self.tries += 1;
        let half = whole / 2;
        Some((self.tries, half + half.mul_f64(self.fraction())))
    }

    /// A number from 0 up to and without 1: SplitMix64 (Steele, Lea, Flood, 2014), whose top 53 bits fill a float.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &Reconnect, count: usize) -> Vec<(u32, Duration)> {
        let mut delays = policy.delays_from_here();
        (0..count).map_while(|_| delays.next(None)).collect()
    }

    #[test]
    fn delays_grow_to_the_longest_and_are_jittered() {
        let policy = Reconnect::new().delays(Duration::from_millis(100), Duration::from_secs(5)).seed(7);
        let found = delays(&policy, 40);
        for (n, &(attempt, delay)) in found.iter().enumerate() {
            assert_eq!(attempt as usize, n + 1);
            let whole = Duration::from_millis(100).saturating_mul(1 << n.min(20)).min(Duration::from_secs(5));
            assert!(delay >= whole / 2 && delay <= whole, "{n}: {delay:?} of {whole:?}");
        }
        assert!(found[..6].is_sorted_by_key(|&(_, delay)| delay), "{found:?}");
        assert_ne!(found[20].1, found[21].1, "the longest delay is jittered too");
        assert_ne!(delays(&policy.clone().seed(8), 40), found, "another seed, other delays");
        assert_eq!(delays(&policy, 40), found, "the same seed, the same delays");
        assert_ne!(delays(&Reconnect::new(), 9), delays(&Reconnect::new(), 9), "by default no two are alike");
    }

    #[test]
    fn a_policy_shows_its_settings() {
        let policy = Reconnect::new().delays(Duration::from_secs(1), Duration::from_secs(2)).attempts_max(3);
        let shown = "Reconnect { delay_first: 1s, delay_max: 2s, held_min: 10s, attempts_max: Some(3), .. }";
        assert_eq!(format!("{policy:?}"), shown);
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut delays = Reconnect::new().seed(0).delays_from_here();
        // The first numbers that its authors' program gives for the seed 0.
        for expected in [0xe220_a839_7b1d_cdaf_u64, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f] {
            assert_eq!(delays.fraction(), (expected >> 11) as f64 / 2_f64.powi(53));
        }
    }

    #[test]
    fn the_count_ends_at_the_limit_and_starts_anew_after_a_connection_that_held() {
        let policy = Reconnect::new().attempts_max(3).held_min(Duration::from_secs(10));
        let mut delays = policy.delays_from_here();
        let mut next = |held: Option<u64>| delays.next(held.map(Duration::from_secs)).map(|(attempt, _)| attempt);
        assert_eq!([next(None), next(Some(9)), next(Some(0)), next(Some(9))], [Some(1), Some(2), Some(3), None]);
        assert_eq!([next(Some(10)), next(None), next(None), next(None)], [Some(1), Some(2), Some(3), None]);
        assert_eq!(Reconnect::new().attempts_max(0).delays_from_here().next(None), None);
    }
}
