# `make help` lists what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo
# The suite of measurements is a crate of its own, built beside everything else.
SUITE = CARGO_TARGET_DIR=target $(CARGO) $(1) --locked --manifest-path tests/bench/Cargo.toml

.PHONY: help run build test test-fast test-tools test-browser xmpp memory costs check fmt lint features doc smoke fuzz \
	torture torture-smoke interleavings bench bench-smoke bench-peers mutants clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## serve a chat on 127.0.0.1:1024 (ARGS="--listen 127.0.0.1:2048" passes options)
	$(CARGO) run --release --locked --quiet -- serve $(ARGS)

build: ## build the program: target/release/xmlsocket
	$(CARGO) build --release --locked

test: test-tools test-fast bench-smoke torture-smoke interleavings xmpp memory costs test-browser ## all tests

test-fast: ## cargo's tests
	$(CARGO) test --locked

test-tools: ## install what the tests need beside Rust (Debian's packages, through sudo where not root; npm's)
	tests/tools.sh

xmpp: ## the client for streams against a real XMPP server, Prosody (after test-tools)
	$(CARGO) test --locked --test xmpp

test-browser: ## the web page and a SWF in Chromium (after test-tools; PICTURES=1 renews docs/page-*.png)
	$(CARGO) build --locked
	cd tests/browser && timeout 180 node --test

costs: ## the most expensive requests of the chat, measured on a release build
	$(CARGO) test --release --locked --lib chat::costs -- --nocapture --test-threads=1

memory: ## resident memory per connection, measured on the release build
	$(CARGO) test --release --locked --test it memory:: -- --nocapture

check: fmt lint features test doc smoke ## all that CI runs

fmt: ## is the code formatted?
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/bench/Cargo.toml

lint: ## clippy, warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test xmpp --test torture -- -D warnings
	$(call SUITE,clippy) --all-targets -- -D warnings
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/interleavings/Cargo.toml
	CARGO_TARGET_DIR=target $(CARGO) clippy --locked --manifest-path tests/interleavings/Cargo.toml --test interleavings -- -D warnings
	RUSTFLAGS="--cfg fuzzing" $(CARGO) clippy --locked --manifest-path tests/fuzz/Cargo.toml -- -D warnings

features: ## the embeddable core, the chat application, each edge, and the program without edges
	$(CARGO) clippy --locked --no-default-features --all-targets -- -D warnings
	$(CARGO) test --locked --no-default-features
	$(CARGO) clippy --locked --no-default-features --features chat --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features websocket --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features web --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features cli -- -D warnings

doc: ## the documentation of every item: the program's is checked, the library's, of the same name, stays
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --bin xmlsocket
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --lib

smoke: ## the release program starts with the default configuration and stops in order
	$(CARGO) build --release --locked
	tests/smoke.sh target/release/xmlsocket

fuzz: ## every fuzz target for SECONDS seconds, 30 unless told otherwise (TARGETS="session stream" for some)
	@$(CARGO) fuzz --version || $(CARGO) install --locked cargo-fuzz
	SECONDS_EACH=$(SECONDS) tests/fuzz/run.sh $(TARGETS)

torture: ## a hundred people chat while others attack, some 5 minutes; ARGS="--attacks drip,flood --seconds 5" for less
	$(CARGO) test --release --locked --test torture -- --page docs/TORTURE.md $(ARGS)

interleavings: ## many orders of what a server's threads do where they meet, some seconds
	CARGO_TARGET_DIR=target $(CARGO) test --locked --manifest-path tests/interleavings/Cargo.toml --test interleavings

torture-smoke: ## a second of each attack, in small, on the debug build
	$(CARGO) test --locked --test torture -- --smoke

bench: ## measure our servers and others that are installed, for some 20 minutes; write docs/BENCHMARKS.md
	$(CARGO) build --release --locked
	$(call SUITE,build) --release
	target/release/xmlsocket-suite target/release/xmlsocket --page docs/BENCHMARKS.md $(ARGS)

bench-smoke: ## every kind of measurement of our servers, short and small, on the debug build
	$(CARGO) build --locked
	$(call SUITE,build)
	$(call SUITE,test)
	target/debug/xmlsocket-suite target/debug/xmlsocket --smoke --servers limit,relay,chat

bench-peers: ## install the other servers (Debian, as root); none is started as a service
	tests/bench/install-peers.sh

MUTANTS ?= --file 'src/client/**' --file 'src/policy/**' --file src/wire/stream.rs --file src/wire/fragment.rs

mutants: ## does a test fail for each small change of client, policy and streams? (hours; MUTANTS="--file …" for less)
	@$(CARGO) mutants --version || $(CARGO) install --locked cargo-mutants
	$(CARGO) mutants $(MUTANTS) -- --lib --test it -- client policy:: wire:: streams::

clean: ## remove what was built
	$(CARGO) clean
