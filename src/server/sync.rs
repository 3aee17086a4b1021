//! What the threads of a server meet at: the standard library's, in the program. A model that tries every order of their
//! steps takes the files that use it, with a file of its own in the place of this one (tests/interleavings).
//!
//! Knows: names. Must not know: who uses them.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
