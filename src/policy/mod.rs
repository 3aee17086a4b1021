//! The policy: who may connect from where, as Flash players decide it. Pure: no socket, no thread, no clock, no log.
//!
//! A player asks a host for its socket policy file before it lets a SWF connect there. A server needs [`is_request`]
//! and a [`PolicyFile`] to answer; a client needs the rest to decide as a player would.
//!
//! In the order of the path:

// Is this frame a question for the policy file?
mod request;

// Where a SWF was loaded from.
mod origin;

// Which origins an entry of the file means.
mod domain;

// Which ports it opens to them.
mod ports;

// The file: its model, reading it as players do, writing it.
mod file;

// What players ignore in a file, said instead of dropped.
mod warning;

// Whose rules: the versions of the player.
mod player;

// Where a policy file is asked for.
mod place;

// The rules themselves: who is asked, in which order, and what counts.
mod decide;

// What comes of it, and what to do about it.
mod verdict;

pub use decide::{Answer, Finding, Procedure, Step, WAIT};
pub use domain::{DomainError, DomainFault, DomainPattern};
pub use file::{Grant, POLICY_BYTES_MAX, PolicyError, PolicyErrorKind, PolicyFile, SiteControl};
pub use origin::Origin;
pub use place::{Location, LocationError, MASTER_PORT, Place, WEB_PATH, WEB_PORT};
pub use player::{Player, PlayerError};
pub use ports::{PortError, PortFault, PortList, RESTRICTED_PORTS_END};
pub use request::is_request;
pub use verdict::{Grounds, RefusalReason, Verdict};
pub use warning::{Warning, WarningKind};
