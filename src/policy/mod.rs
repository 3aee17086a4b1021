//! The policy: who may connect from where. Pure: no socket, no thread, no clock, no log.
//!
//! A player asks a host for its socket policy file before it lets a SWF connect there. A server needs [`is_request`]
//! and a [`PolicyFile`] to answer. What a player makes of the answer is decided in
//! [`client::permission`](crate::client::permission).
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

pub use domain::{DomainError, DomainFault, DomainPattern};
pub(crate) use domain::{fault_of_host, is_same_host};
pub use file::{Grant, POLICY_BYTES_MAX, PolicyError, PolicyErrorKind, PolicyFile, SiteControl};
pub use origin::Origin;
pub use ports::{PortError, PortFault, PortList, RESTRICTED_PORTS_END};
pub use request::is_request;
pub use warning::{Warning, WarningKind};
