//! HTTP on a listener: [`Site`] is the server's [`Door`], made of [`Route`]s. It answers one request a connection.
//!
//! A browser sends requests on behalf of any page to any address, this one too. So nothing but GET and HEAD is
//! answered, nobody gets in by a name that is not this server's, and nothing that a request brings is kept.
//!
//! In the order of the path:

// The request's head, bounded in bytes and time.
mod head;

// Names that this server answers to, and pages that may speak with it.
mod gate;

// What a proxy says of the client.
mod forwarded;

// What is answered, and how it goes on the wire.
mod response;

// What fuzz targets try that is nobody else's business.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

use std::sync::{Arc, PoisonError, RwLock};

use log::{debug, info};

pub use self::gate::Gate;
pub use self::head::Request;
use self::head::{Head, Refusal};
pub use self::response::Response;
use crate::server::{Answer, Door, Framed, Transport, Visitor};

/// Answers the requests for some paths.
pub trait Route: Send + Sync {
    /// What answers `request`; `None` when this route has nothing there.
    fn answer(&self, request: &Request<'_>) -> Option<RouteAnswer>;
}

/// A route's answer.
pub enum RouteAnswer {
    /// A response, after which the connection ends.
    Response(Response),
    /// A response, after which the connection's frames travel in this framing, which is called so.
    Upgrade(Response, Framed, Transport),
}

impl From<Response> for RouteAnswer {
    fn from(response: Response) -> RouteAnswer {
        RouteAnswer::Response(response)
    }
}

/// All that is answered to HTTP on a listener. Routes are asked in the order in which they were added.
pub struct Site {
    gate: RwLock<Arc<Gate>>,
    routes: Vec<Box<dyn Route>>,
}

impl Site {
    /// A site with nothing in it yet.
    #[must_use]
    pub fn new(gate: Gate) -> Site {
        Site { gate: RwLock::new(Arc::new(gate)), routes: Vec::new() }
    }

    /// Adds a route.
    #[must_use]
    pub fn route(mut self, route: impl Route + 'static) -> Site {
        self.routes.push(Box::new(route));
        self
    }

    /// Sets who gets in from here on.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
    }

    /// What answers the request, and whether it was HEAD.
    fn reply(&self, head: &Head, visitor: &mut Visitor<'_>) -> Result<(RouteAnswer, bool), Refusal> {
        let gate = Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner));
        let mut fields = head::room();
        let parsed = head.parse(&mut fields)?;
        if !gate.is_name(parsed.host) {
            let note = "which is no name of this server; --public-name says how the outside calls it";
            return Err(Refusal::new(Response::text(421, "This server does not answer to that name.").noted(note)));
        }
        if parsed.has_body() {
            return Err(Refusal::new(Response::text(413, "Nothing here takes a body.")));
        }
        forwarded::apply(&parsed, visitor)?;
        let request = Request::new(&parsed, visitor, &gate);
        let reply = self.routes.iter().find_map(|route| route.answer(&request));
        let reply = reply.unwrap_or_else(|| Response::text(404, "There is nothing here.").into());
        Ok((reply, request.is_head()))
    }
}

impl Door for Site {
    fn answer(&self, visitor: &mut Visitor<'_>) -> Answer {
        let head = match Head::read(visitor) {
            Ok(Some(head)) => head,
            Ok(None) => return Answer::Done,
            Err(refusal) => {
                log_refusal("a request", &refusal.response, visitor);
                refusal.write(visitor);
                return Answer::Done;
            }
        };
        let (reply, is_head) = match self.reply(&head, visitor) {
            Ok(reply) => reply,
            Err(refusal) => (refusal.response.into(), head.is_head()),
        };
        let line = head.line();
        match reply {
            RouteAnswer::Response(response) => {
                log_refusal(&line, &response, visitor);
                if let Err(error) = response.write(visitor, is_head) {
                    debug!("{} did not take all of {line}: {error}", visitor.peer().address);
                }
                Answer::Done
            }
            RouteAnswer::Upgrade(response, framing, transport) => match response.write(visitor, is_head) {
                Ok(()) => Answer::Upgraded { framing, transport, unread: head.into_rest() },
                Err(_) => Answer::Done,
            },
        }
    }
}

/// Logs what was answered: refusals where an operator sees them.
fn log_refusal(line: &str, response: &Response, visitor: &Visitor<'_>) {
    let (status, address) = (response.status(), visitor.peer().address);
    match status {
        ..400 | 404 => debug!("{address} {line}: {status}"),
        _ => match response.note() {
            Some(note) => info!("{address} {line}: {status}, {note}"),
            None => info!("{address} {line}: {status}"),
        },
    }
}
