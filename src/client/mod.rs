//! The client: the `XMLSocket` classes of the players and of the media server, blocking, one thread per socket.
//!
//! In the order of the path:

// What a call can be refused with, in the player's words and in ours.
mod error;

// What happens to a socket, and who is told.
mod event;

// What can be set.
mod options;

// The delays between two connections.
mod reconnect;

// One TCP connection, under deadlines.
mod tcp;

// From a name to a connection.
mod dial;

// May a player connect there? Asked as a player asks, decided as a player decides.
pub mod permission;

// The events between the thread and who takes them; the state that follows from those taken.
mod queue;

// The `XML` object of ActionScript 1 and 2, and its `status`.
mod xml;

// The half that any thread can hold.
mod sender;

// The thread: connects, reads, tells, tries again.
mod worker;

// The members of the class, whatever its `Data` carries.
mod socket;

// ActionScript 3's class: frames.
mod xml_socket;

// The class of ActionScript 1 and 2, on top of the other.
pub mod as2;

// The media server's other class: one endless document.
mod xml_streams;

pub use error::{Error, player};
pub use event::{Event, EventListener};
pub use options::FrameEnd;
pub use reconnect::Reconnect;
pub use sender::{Greeting, Sender};
pub use socket::Socket;
pub use xml::{Status, Xml, XmlNode};
pub use xml_socket::XmlSocket;
pub use xml_streams::XmlStreams;
