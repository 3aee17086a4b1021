//! What is there only with some features: [`Doors`], which answer browsers, and `ruffle-config`. Each comes in two
//! forms, one for a program with the feature and one for a program without.
//!
//! Knows: which features there are. Must not know: what an edge does.

use std::sync::Arc;

use super::config::{Config, ListenerConfig};
use super::grants::SharedGrants;
use super::options::RuffleOptions;
use crate::exit_code::{ExitCode, Failure};
use xmlsocket::server::Door;

#[cfg(any(feature = "web", feature = "websocket"))]
pub(super) use browsers::Doors;
#[cfg(not(any(feature = "web", feature = "websocket")))]
pub(super) use nobody::Doors;

/// Says what a program without the feature `web` cannot do, and how to get one that can.
#[cfg(not(feature = "web"))]
fn without_web(what: &str) -> Failure {
    Failure::usage(format!(
        "{what} needs the feature `web`, which this program was built without; `{BUILD}` builds it in"
    ))
}

/// The command that builds the whole program.
#[cfg(not(feature = "web"))]
const BUILD: &str = "cargo build --release";

/// Doors for a program with at least one of the features.
#[cfg(any(feature = "web", feature = "websocket"))]
mod browsers {
    use super::super::config::App;
    use super::*;
    use xmlsocket::edge::http::{Gate, Site};

    /// What listeners answer to browsers.
    pub(in super::super) struct Doors {
        chat: Arc<Site>,
        relay: Arc<Site>,
    }

    impl Doors {
        /// The doors that the settings ask for, and that pages may pass whose sites `grants` lets in.
        pub(in super::super) fn new(config: &Config, grants: &SharedGrants) -> Result<Doors, Failure> {
            let gate = gate(config, grants);
            let site = |app| with_pages(with_websocket(Site::new(gate.clone())), app, config).map(Arc::new);
            Ok(Doors { chat: site(App::Chat)?, relay: site(App::Relay)? })
        }

        /// The door of a listener, unless it has none.
        pub(in super::super) fn for_listener(&self, config: &ListenerConfig) -> Option<Arc<dyn Door>> {
            let site = match config.app {
                App::Chat => &self.chat,
                App::Relay => &self.relay,
            };
            config.http.then(|| Arc::clone(site) as Arc<dyn Door>)
        }

        /// Whether a browser can chat at a listener's address.
        pub(in super::super) fn has_page(&self, config: &ListenerConfig) -> bool {
            cfg!(feature = "web") && config.http && config.app == App::Chat
        }

        /// By which names this server is called is said anew.
        pub(in super::super) fn replace(&self, config: &Config, grants: &SharedGrants) {
            let gate = gate(config, grants);
            self.chat.set_gate(gate.clone());
            self.relay.set_gate(gate);
        }
    }

    fn gate(config: &Config, grants: &SharedGrants) -> Gate {
        Gate::new(config.public_name.iter().map(ToString::to_string)).with_friends(grants.for_pages())
    }

    #[cfg(feature = "websocket")]
    fn with_websocket(site: Site) -> Site {
        site.route(xmlsocket::edge::websocket::WebSocket)
    }

    #[cfg(not(feature = "websocket"))]
    fn with_websocket(site: Site) -> Site {
        site
    }

    #[cfg(feature = "web")]
    fn with_pages(site: Site, app: App, config: &Config) -> Result<Site, Failure> {
        use xmlsocket::edge::content::{self, Content};
        use xmlsocket::edge::files::Folder;
        use xmlsocket::edge::web::{Basics, ChatPage};

        let site = if app == App::Chat { site.route(ChatPage) } else { site }.route(Basics);
        let Some(path) = &config.content.folder else { return Ok(site) };
        let cannot =
            |path: &std::path::Path, error| Failure::usage(format!("cannot serve {}: {error}", path.display()));
        let mut served = Content::new(Folder::open(path).map_err(|error| cannot(path, error))?);
        if let Some(path) = &config.content.ruffle {
            served = served.with_ruffle(content::ruffle(path).map_err(|error| cannot(path, error))?);
        }
        if config.content.list {
            served = served.with_list();
        }
        Ok(site.route(served.with_hosts(flash_hosts(&config.content.flash_host)?)))
    }

    #[cfg(not(feature = "web"))]
    fn with_pages(site: Site, _: App, config: &Config) -> Result<Site, Failure> {
        if config.content.folder.is_some() { Err(without_web("`content`")) } else { Ok(site) }
    }
}

/// Doors for a program with none of the features: there are none.
#[cfg(not(any(feature = "web", feature = "websocket")))]
mod nobody {
    use super::*;

    /// What listeners answer to browsers: nothing but refusals.
    pub(in super::super) struct Doors(());

    impl Doors {
        /// No door; an error where the settings ask for one.
        pub(in super::super) fn new(config: &Config, _: &SharedGrants) -> Result<Doors, Failure> {
            if config.content.folder.is_some() { Err(without_web("`content`")) } else { Ok(Doors(())) }
        }

        /// No door.
        pub(in super::super) fn for_listener(&self, _: &ListenerConfig) -> Option<Arc<dyn Door>> {
            None
        }

        /// No browser can chat.
        pub(in super::super) fn has_page(&self, _: &ListenerConfig) -> bool {
            false
        }

        /// Nobody gets in.
        pub(in super::super) fn replace(&self, _: &Config, _: &SharedGrants) {}
    }
}

/// Prints what a page of somebody's own needs so that Ruffle leads sockets to a server.
#[cfg(feature = "web")]
pub(super) fn ruffle_config(options: &RuffleOptions) -> Result<ExitCode, Failure> {
    if !options.url.starts_with("ws://") && !options.url.starts_with("wss://") {
        return Err(Failure::usage(format!(
            "`--url` takes an address that begins with ws:// or wss://, not `{}`",
            options.url
        )));
    }
    let own = ["localhost:1024".to_owned(), "127.0.0.1:1024".to_owned()];
    let hosts = if options.flash_host.is_empty() { &own[..] } else { &options.flash_host };
    super::print(xmlsocket::edge::content::snippet(&flash_hosts(hosts)?, &options.url).trim_end());
    Ok(ExitCode::Ok)
}

/// Says that this program does not know Ruffle.
#[cfg(not(feature = "web"))]
pub(super) fn ruffle_config(_: &RuffleOptions) -> Result<ExitCode, Failure> {
    Err(without_web("`ruffle-config`"))
}

#[cfg(feature = "web")]
fn flash_hosts(hosts: &[String]) -> Result<Vec<xmlsocket::edge::content::FlashHost>, Failure> {
    let hosts: Result<Vec<_>, _> = hosts.iter().map(|host| host.parse()).collect();
    hosts.map_err(|error: xmlsocket::edge::content::FlashHostError| Failure::usage(error.to_string()))
}
