//! Defines [`Account`], what the connections of one address have together: how many they are, how fast they may be. And
//! [`Accounts`], all of them.
//!
//! An account lasts longer than its connections, as long as something is missing from it, so that who connects again
//! does not begin anew. One customer may have a whole /48 of IPv6, 65 536 addresses as they are counted here; so there
//! is an account around those, with sixteen times as much.
//!
//! Knows: addresses, counts, time. Must not know: connections.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::bucket::Bucket;
use super::address::AddressKey;
use super::no_seat::NoSeat;
use crate::wire::Limits;

/// How many times as much as an address a network has, which is 65 536 addresses.
const NETWORK_SHARE: u64 = 16;

/// Accounts that are remembered. Those of more addresses last as long as a connection: to have so many that owe
/// something takes tens of thousands of addresses a second.
const ACCOUNTS_MAX: usize = 1 << 16;

/// Accounts that are looked at for each connection that comes: more than it brings, which are two, so that they do not
/// pile up.
const LOOKS: usize = 4;

/// What the connections of an address have together.
pub(in crate::server) struct Account {
    holder: Holder,
    /// How many they are. Written under the lock of the table.
    connections: AtomicU64,
    bucket: Mutex<Bucket>,
    /// The account of the network around the address.
    around: Option<Arc<Account>>,
}

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    /// An address's.
    Address(AddressKey),
    /// A network's: its addresses' together.
    Network(AddressKey),
}

impl Holder {
    /// How many times as much as an address it has.
    fn share(self) -> u64 {
        match self {
            Holder::Address(_) => 1,
            Holder::Network(_) => NETWORK_SHARE,
        }
    }

    fn is_loopback(self) -> bool {
        matches!(self, Holder::Address(address) if address.is_loopback())
    }
}

impl Account {
    fn new(holder: Holder, around: Option<Arc<Account>>, limits: &Limits, now: Instant) -> Account {
        let bucket = Mutex::new(Bucket::shared(limits, holder.share(), now));
        Account { holder, connections: AtomicU64::new(0), bucket, around }
    }

    /// Takes `cost` tokens, here and around, or says how long it takes until they are there.
    pub(in crate::server) fn take(&self, cost: u32, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket();
        bucket.look(cost, now)?;
        if let Some(around) = &self.around {
            around.take(cost, now)?;
        }
        bucket.take(cost, now)
    }

    /// Takes `cost` tokens, here and around, whether they are there or not.
    pub(in crate::server) fn owe(&self, cost: u32) {
        self.bucket().owe(cost);
        if let Some(around) = &self.around {
            around.owe(cost);
        }
    }

    /// Whether there is a seat for one connection more, and it does not come too fast.
    fn look(&self, limits: &Limits, now: Instant) -> Result<(), NoSeat> {
        let max = Limits::bound(limits.connections_per_address_max).filter(|_| !self.holder.is_loopback());
        let max = max.map(|max| max.saturating_mul(self.holder.share()));
        if max.is_some_and(|max| self.connections.load(Ordering::Relaxed) >= max) {
            return Err(NoSeat::AddressFull);
        }
        // Frames leave nothing in a bucket whose address is as fast as it may be. It must still be able to connect.
        if self.bucket().is_overdrawn(now) {
            return Err(NoSeat::TooFast);
        }
        self.around.as_ref().map_or(Ok(()), |around| around.look(limits, now))
    }

    fn enter(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.around.iter().for_each(|around| around.enter());
    }

    fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.around.iter().for_each(|around| around.leave());
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The accounts of all addresses from which somebody came.
#[derive(Default)]
pub(in crate::server) struct Accounts {
    known: HashMap<Holder, Arc<Account>>,
    /// The holders of `known`, in the order in which they are looked at.
    order: VecDeque<Holder>,
}

impl Accounts {
    /// Counts a connection from `address`, if there is room for one more; it costs what a frame does.
    pub(in crate::server) fn enter(&mut self, address: IpAddr, limits: &Limits) -> Result<Arc<Account>, NoSeat> {
        let (address, now) = (AddressKey::of(address), Instant::now());
        self.forget_some(now);
        let around = address.network().map(|network| self.account(Holder::Network(network), None, limits, now));
        let account = self.account(Holder::Address(address), around, limits, now);
        account.look(limits, now)?;
        account.enter();
        account.owe(1);
        Ok(account)
    }

    /// Counts a connection no more.
    pub(in crate::server) fn leave(&mut self, account: &Account) {
        account.leave();
    }

    /// The account that `holder` has, or gets.
    fn account(&mut self, holder: Holder, around: Option<Arc<Account>>, limits: &Limits, now: Instant) -> Arc<Account> {
        if let Some(account) = self.known.get(&holder) {
            account.bucket().set_shared(limits, holder.share());
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(holder, around, limits, now));
        if self.known.len() < ACCOUNTS_MAX {
            self.known.insert(holder, Arc::clone(&account));
            self.order.push_back(holder);
        }
        account
    }

    /// Looks at a few accounts, and forgets those that nobody has and from which nothing is missing.
    fn forget_some(&mut self, now: Instant) {
        for _ in 0..LOOKS {
            let Some(holder) = self.order.pop_front() else { return };
            let Some(account) = self.known.get(&holder) else { continue };
            if Arc::strong_count(account) == 1 && account.bucket().is_full(now) {
                self.known.remove(&holder);
            } else {
                self.order.push_back(holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate: u64) -> Limits {
        Limits { frames_per_second_per_address_max: rate, connections_per_address_max: 2, ..Limits::default() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_comes_again_does_not_begin_anew() {
        let mut accounts = Accounts::default();
        let (limits, now) = (limits(10), Instant::now());
        let mut came = 0;
        // Four seconds' worth, and once more on credit.
        let refused = loop {
            match accounts.enter(address("192.0.2.1"), &limits) {
                Ok(account) => accounts.leave(&account),
                Err(no_seat) => break no_seat,
            }
            came += 1;
        };
        assert_eq!(refused, NoSeat::TooFast);
        assert!((80..100).contains(&came), "{came}");
        let other = accounts.enter(address("192.0.2.2"), &limits).unwrap();
        assert!(other.take(39, now).is_ok());
        assert_eq!(other.take(39, now).map_err(|wait| wait.as_secs()), Err(3));
    }

    #[test]
    fn loopback_has_as_many_connections_as_it_likes_and_a_rate_for_each_address() {
        let mut accounts = Accounts::default();
        let limits = limits(10);
        for loopback in ["127.0.0.1", "127.0.0.2", "::1"] {
            let many: Vec<_> = (0..79).map(|_| accounts.enter(address(loopback), &limits)).collect();
            assert!(many.iter().all(Result::is_ok), "{loopback}");
            assert!(many[0].as_ref().is_ok_and(|account| account.take(1, Instant::now()).is_err()));
        }
    }

    #[test]
    fn a_network_has_sixteen_times_as_much_as_an_address() {
        let mut accounts = Accounts::default();
        let limits = limits(10);
        let of = |n: usize| address(&format!("2001:db8:7:{n:x}::1"));
        let mut sat = Vec::new();
        for n in 0..16 {
            sat.extend([accounts.enter(of(n), &limits).unwrap(), accounts.enter(of(n), &limits).unwrap()]);
            assert_eq!(accounts.enter(of(n), &limits).err(), Some(NoSeat::AddressFull), "the address {n} is full");
        }
        assert_eq!(accounts.enter(of(16), &limits).err(), Some(NoSeat::AddressFull), "the network is full");
        assert!(accounts.enter(address("2001:db8:8::1"), &limits).is_ok(), "another one is not");
        accounts.leave(&sat[0]);
        let newest = accounts.enter(of(16), &limits).unwrap();
        // The others have taken their part of what all have, too.
        let now = Instant::now();
        let taken = sat.iter().filter(|account| account.take(38, now).is_ok()).count();
        assert!((15..=16).contains(&taken), "{taken}");
        assert!(newest.take(39, now).is_err());
    }

    #[test]
    fn accounts_are_forgotten_once_nothing_is_missing() {
        let mut accounts = Accounts::default();
        let limits = limits(0);
        let stays = accounts.enter(address("192.0.2.1"), &limits).unwrap();
        for n in 0..1_000 {
            let account = accounts.enter(address(&format!("198.51.{}.{}", n / 250, n % 250)), &limits).unwrap();
            accounts.leave(&account);
        }
        assert!(accounts.known.len() <= 4, "{}", accounts.known.len());
        assert_eq!(accounts.known.len(), accounts.order.len());
        assert!(accounts.known.contains_key(&stays.holder));
        let slow = Limits { frames_per_second_per_address_max: 1, ..limits };
        for n in 0..100 {
            let account = accounts.enter(address(&format!("198.51.100.{n}")), &slow).unwrap();
            account.owe(1);
            accounts.leave(&account);
        }
        assert!(accounts.known.len() >= 100, "they owe something");
    }
}
