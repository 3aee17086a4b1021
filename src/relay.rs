//! Defines [`Relay`], the simplest application: every frame to everybody else, byte for byte.
//!
//! Knows: at which listener a frame came. Must not know: what frames mean.

use crate::server::{ConnectionId, Context, Message, Service};

/// A [`Service`] that hands every frame, unread and unchanged, to all other connections of the same listener.
/// Each listener is a world of its own: nothing crosses from one to another.
#[derive(Debug, Default)]
pub struct Relay {
    /// Whether a frame goes back to its sender too.
    echo: bool,
}

impl Relay {
    /// A relay; with `echo`, senders get their own frames too.
    #[must_use]
    pub fn new(echo: bool) -> Relay {
        Relay { echo }
    }
}

impl Service for Relay {
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        let Some(listener) = cx.peer(from).map(|peer| peer.listener) else { return };
        cx.broadcast(listener, (!self.echo).then_some(from), message.frame());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{CloseReason, Stage};

    #[test]
    fn everybody_else_gets_a_frame_unchanged() {
        let mut stage = Stage::new(Relay::new(false));
        let [ann, bob, eve] = [stage.open(), stage.open(), stage.open()];
        for text in ["%xt%z%1%", "", " <a  b='c'/>\n", "<login nick='x'/>"] {
            stage.say(bob, text);
            assert_eq!(stage.hear(ann), [text]);
            assert_eq!(stage.hear(eve), [text]);
            assert!(stage.hear(bob).is_empty());
        }
    }

    #[test]
    fn with_echo_the_sender_gets_it_too() {
        let mut stage = Stage::new(Relay::new(true));
        let [ann, bob] = [stage.open(), stage.open()];
        stage.say(ann, "hi");
        assert_eq!((stage.hear(ann), stage.hear(bob)), (vec!["hi".to_owned()], vec!["hi".to_owned()]));
    }

    #[test]
    fn whoever_leaves_is_forgotten_and_the_others_are_not() {
        let mut stage = Stage::new(Relay::new(false));
        let all: Vec<_> = (0..50).map(|_| stage.open()).collect();
        // Leaving in an order that moves members between places again and again.
        for n in (0..49).map(|n| n * 17 % 49) {
            stage.leave(all[n], CloseReason::ByPeer);
            stage.say(all[49], "left");
        }
        let heard: Vec<_> = (0..49).map(|n| stage.hear(all[n * 17 % 49]).len()).collect();
        assert_eq!(heard, (0..49).collect::<Vec<_>>());
    }
}
