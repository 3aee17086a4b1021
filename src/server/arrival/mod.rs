//! What happens before the first frame: who may come in, what it speaks, for whom it speaks.
//!
//! In the order of the path:

// Under which address is somebody counted?
pub(super) mod address;

// What an address has left.
pub(super) mod accounts;

// Why somebody may not come in.
pub(super) mod no_seat;

// Who may come in: counts and ids.
pub(super) mod seats;

// How many threads there may be.
pub(super) mod threads;

// For whom does a proxy speak?
pub(super) mod proxy;

// What do the first bytes speak?
pub(super) mod sniff;

// Who answers HTTP, and what becomes of that.
pub(super) mod door;

// What everybody is sent before the application knows of a connection.
pub(super) mod held;

// What may be sent to who has not spoken.
pub(super) mod first_bytes;
