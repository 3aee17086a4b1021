# `make help` lists what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help run build test test-fast memory check fmt lint features doc smoke fuzz-smoke clean xmpp test-tools test-tools-xmpp

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## serve a chat on 127.0.0.1:1024 (ARGS="--listen 127.0.0.1:2048" passes options)
	$(CARGO) run --release --locked --quiet -- serve $(ARGS)

build: ## build the program: target/release/xmlsocket
	$(CARGO) build --release --locked

test: test-fast xmpp memory ## all tests (once before: make test-tools)

test-fast: ## cargo's tests
	$(CARGO) test --locked

xmpp: ## the client for streams against a real XMPP server, Prosody
	$(CARGO) test --locked --test xmpp

test-tools: test-tools-xmpp ## install what the tests need beside Rust (Debian; as root)

# What a package starts by itself is stopped again, unless it was there before.
test-tools-xmpp:
	command -v prosody >/dev/null || { apt-get install -y --no-install-recommends prosody && \
		{ systemctl disable --now prosody 2>/dev/null || true; }; }

memory: ## resident memory per connection, measured on the release build
	$(CARGO) test --release --locked --test it memory -- --nocapture

check: fmt lint features test doc smoke ## all that CI runs

fmt: ## is the code formatted?
	$(CARGO) fmt --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test xmpp -- -D warnings

features: ## the embeddable core, the chat application, each edge, and the program without edges
	$(CARGO) clippy --locked --no-default-features --all-targets -- -D warnings
	$(CARGO) test --locked --no-default-features
	$(CARGO) clippy --locked --no-default-features --features chat --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features websocket --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features web --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features cli -- -D warnings

doc: ## the documentation of every item
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

smoke: ## the release program starts with the default configuration and stops in order
	$(CARGO) build --release --locked
	tests/smoke.sh target/release/xmlsocket

fuzz-smoke: ## each fuzz target for 30 seconds (needs cargo-fuzz)
	tests/fuzz/smoke.sh

clean: ## remove what was built
	$(CARGO) clean
