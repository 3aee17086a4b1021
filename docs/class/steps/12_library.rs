//! Step 12: the same on this library, which mends what the ladder left.

use xmlsocket::relay::Relay;
use xmlsocket::server::{Frames, Listener, ListenerSettings, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let mut settings = ListenerSettings::default();
    settings.frames = Frames::Any;
    let listener = Listener::bind(address, settings)?;
    let server = Server::builder().listen(listener).serve(Relay::new(false))?;
    println!("listening on {}", server.local_addr());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    server.shutdown();
    Ok(())
}
