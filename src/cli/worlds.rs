//! Defines [`Worlds`], several applications in one server: all chat listeners share one chat, each relay listener is a
//! world of its own.
//!
//! Knows: which listener belongs to whom. Must not know: what they do.

use std::any::Any;
use std::collections::HashMap;

use xmlsocket::relay::Relay;
use xmlsocket::server::{CloseReason, ConnectionId, Context, Message, Service};
use xmlsocket::wire::Limits;

/// An application that hands every event to one of others, by the listener that its connection reached.
pub(super) struct Worlds<S> {
    /// Whom the listeners without a relay belong to.
    chat: S,
    /// Whom the others belong to.
    relays: HashMap<usize, Relay>,
    /// The listeners of connections to relays. Their `on_close` comes when the server knows their peer no more.
    relayed: HashMap<ConnectionId, usize>,
}

impl<S: Service> Worlds<S> {
    /// `relays` by their listeners' numbers; all other listeners belong to `chat`.
    pub(super) fn new(chat: S, relays: impl IntoIterator<Item = (usize, Relay)>) -> Worlds<S> {
        Worlds { chat, relays: relays.into_iter().collect(), relayed: HashMap::new() }
    }

    /// The relay that a connection belongs to, if it is one's.
    fn relay(&mut self, id: ConnectionId) -> Option<&mut Relay> {
        self.relays.get_mut(self.relayed.get(&id)?)
    }
}

impl<S: Service> Service for Worlds<S> {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let listener = cx.peer(id).map(|peer| peer.listener).filter(|listener| self.relays.contains_key(listener));
        if let Some(listener) = listener {
            self.relayed.insert(id, listener);
        }
        match self.relay(id) {
            Some(relay) => relay.on_open(cx, id),
            None => self.chat.on_open(cx, id),
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        match self.relay(from) {
            Some(relay) => relay.on_message(cx, from, message),
            None => self.chat.on_message(cx, from, message),
        }
    }

    fn on_idle(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        match self.relay(id) {
            Some(relay) => relay.on_idle(cx, id),
            None => self.chat.on_idle(cx, id),
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        match self.relay(id) {
            Some(relay) => relay.on_close(cx, id, reason),
            None => self.chat.on_close(cx, id, reason),
        }
        self.relayed.remove(&id);
    }

    fn on_tick(&mut self, cx: &mut Context<'_>) {
        self.chat.on_tick(cx);
        self.relays.values_mut().for_each(|relay| relay.on_tick(cx));
    }

    fn on_external(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        // Nothing is ever posted to a relay.
        self.chat.on_external(cx, event);
    }

    fn on_limits(&mut self, cx: &mut Context<'_>, limits: &Limits) {
        self.chat.on_limits(cx, limits);
        self.relays.values_mut().for_each(|relay| relay.on_limits(cx, limits));
    }

    fn on_shutdown(&mut self, cx: &mut Context<'_>) {
        self.chat.on_shutdown(cx);
        self.relays.values_mut().for_each(|relay| relay.on_shutdown(cx));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmlsocket::server::Stage;

    /// Answers each frame with what it knows: how many are connected to it.
    #[derive(Default)]
    struct Counter(i32);

    impl Service for Counter {
        fn on_open(&mut self, _cx: &mut Context<'_>, _id: ConnectionId) {
            self.0 += 1;
        }

        fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, _message: Message) {
            cx.send(from, &xmlsocket::wire::Element::new("count").attribute("n", self.0));
        }

        fn on_close(&mut self, _cx: &mut Context<'_>, _id: ConnectionId, _reason: &CloseReason) {
            self.0 -= 1;
        }
    }

    #[test]
    fn listeners_do_not_hear_of_each_other_unless_they_share_the_chat() {
        let relays = [(1, Relay::new(false)), (2, Relay::new(true))];
        let mut stage = Stage::new(Worlds::new(Counter::default(), relays));
        let [chat0, chat3] = [0, 3].map(|listener| stage.open_on(listener));
        let [a1, b1, a2] = [1, 1, 2].map(|listener| stage.open_on(listener));
        stage.say(chat3, "<x/>");
        stage.say(a1, "one");
        stage.say(a2, "two");
        assert_eq!(stage.hear(chat3), [r#"<count n="2"/>"#]);
        assert_eq!((stage.hear(a1), stage.hear(b1), stage.hear(a2)), (vec![], vec!["one".into()], vec!["two".into()]));
        stage.leave(b1, CloseReason::ByPeer);
        stage.leave(chat0, CloseReason::ByPeer);
        stage.say(chat3, "<x/>");
        assert_eq!(stage.hear(chat3), [r#"<count n="1"/>"#]);
        assert!(stage.hear(chat0).is_empty());
        assert_eq!(stage.service.relayed.len(), 2);
    }
}
