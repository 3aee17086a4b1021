//! Defines [`Relay`], the simplest application: every frame to everybody else, byte for byte.
//!
//! Knows: who is connected to which listener. Must not know: what frames mean.

use std::collections::HashMap;

use crate::server::{CloseReason, ConnectionId, Context, Message, Service};

/// A [`Service`] that hands every frame, unread and unchanged, to all other connections of the same listener.
/// Each listener is a world of its own: nothing crosses from one to another.
#[derive(Debug, Default)]
pub struct Relay {
    /// Whether a frame goes back to its sender too.
    echo: bool,
    /// Who is connected, by listener.
    members: HashMap<usize, Vec<ConnectionId>>,
    /// Where each connection stands: its listener, and its place among that listener's members.
    places: HashMap<ConnectionId, (usize, usize)>,
}

impl Relay {
    /// A relay; with `echo`, senders get their own frames too.
    #[must_use]
    pub fn new(echo: bool) -> Relay {
        Relay { echo, ..Relay::default() }
    }
}

impl Service for Relay {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let Some(listener) = cx.peer(id).map(|peer| peer.listener) else { return };
        let members = self.members.entry(listener).or_default();
        self.places.insert(id, (listener, members.len()));
        members.push(id);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        let Some((listener, _)) = self.places.get(&from) else { return };
        let Some(members) = self.members.get(listener) else { return };
        let receivers = members.iter().copied().filter(|&to| self.echo || to != from);
        cx.send_all(receivers, message.frame());
    }

    fn on_close(&mut self, _cx: &mut Context<'_>, id: ConnectionId, _reason: &CloseReason) {
        let Some((listener, place)) = self.places.remove(&id) else { return };
        let members = self.members.entry(listener).or_default();
        // The last member takes the free place, so that a thousand connections that leave at once cost a thousand
        // steps and not a million.
        members.swap_remove(place);
        if let Some(moved) = members.get(place) {
            self.places.insert(*moved, (listener, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Stage;

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
        assert_eq!(stage.service.places.len(), 1);
        assert_eq!(stage.service.members[&0], [all[49]]);
        let heard: Vec<_> = (0..49).map(|n| stage.hear(all[n * 17 % 49]).len()).collect();
        assert_eq!(heard, (0..49).collect::<Vec<_>>());
    }
}
