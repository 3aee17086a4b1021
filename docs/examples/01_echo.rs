//! The shortest server: it says to each client what that client said. `cargo run --example 01_echo [ADDRESS]`

use xmlsocket::server::{ConnectionId, Context, Message, Server, Service};

struct Echo;

impl Service for Echo {
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        cx.send(from, message.frame());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let server = Server::bind(address)?.serve(Echo)?; // returns at once; dropping it stops the server
    println!("listening on {}", server.local_addr());
    server.wait();
    Ok(())
}
