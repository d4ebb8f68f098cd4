# The ways to build and test Tallycast. `make` alone lists them; `make test` needs the Rust toolchain, Node 20 and Python 3,
# and installs everything else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help test test-rust test-browser test-corpus lint build bench fuzz tools clean

# A fresh clone must build from the lock file as it is.
LOCKED := $(if $(CI),--locked)
ORACLES := target/oracles/.installed
PROMTOOL := target/promtool
THIRD_PARTY := target/third-party/debug/counter-client
BROWSER_TESTS := tests/browser/node_modules/.package-lock.json

help: ## List what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

test: test-rust test-corpus test-browser ## Run every test; install what they need first

# A skipped test has shown nothing, so it counts as a failure; a run filtered on purpose goes past make.
test-rust: lint $(ORACLES) $(PROMTOOL) $(THIRD_PARTY) ## Check format and lints, then run the tests of the program
	@mkdir -p target/logs
	cargo test $(LOCKED) 2>&1 | tee target/logs/cargo-test.txt
	@! grep -E '^test .* \.\.\. ignored|[1-9][0-9]* ignored;' target/logs/cargo-test.txt || { echo 'Some tests were skipped.' >&2; exit 1; }

test-corpus: tools ## Replay every input that fuzzing has kept
	@mkdir -p target/logs
	tests/fuzz/run.sh test 2>&1 | tee target/logs/corpus-test.txt

test-browser: tools $(BROWSER_TESTS) ## Run the tests of the SDK and of the demo page, in Node and in a real browser
	@mkdir -p target/logs
	# Builds the program as the tests of the program do, so that nothing is compiled twice.
	cargo test $(LOCKED) --no-run --test cli
	chromium=$$(tests/install.sh chromium) && CHROMIUM=$$chromium npm --prefix tests/browser --silent test | tee target/logs/browser-test.txt
	@grep -q '^# skipped 0$$' target/logs/browser-test.txt || { echo 'Some tests were skipped.' >&2; exit 1; }

lint: tools ## Check the format and the lints of the Rust sources
	cargo fmt --check
	cargo clippy $(LOCKED) --all-targets -- -D warnings

build: ## Build the program to run: target/release/tallycast
	cargo build $(LOCKED) --release

fuzz: tools ## Fuzz every target for FUZZ_SECONDS=20; FUZZ_TARGETS="..." names some of them
	tests/install.sh fuzzer
	tests/fuzz/run.sh $(or $(FUZZ_SECONDS),20) $(FUZZ_TARGETS)

bench: ## Run the benchmarks
	cargo bench $(LOCKED)

tools: # The programs that must be there before anything is built
	@tests/install.sh tools

$(ORACLES): tests/oracles/install.sh tests/oracles/package-lock.json tests/oracles/requirements.txt
	tests/install.sh python
	tests/oracles/install.sh
	@touch $@

$(PROMTOOL):
	@mkdir -p target
	tests/install.sh promtool $@

# A crate of its own: what that client needs is no part of Tallycast.
$(THIRD_PARTY): tests/third-party/Cargo.toml tests/third-party/Cargo.lock tests/third-party/src/main.rs
	tests/install.sh openssl
	cargo build $(LOCKED) --manifest-path tests/third-party/Cargo.toml --target-dir target/third-party
	@touch $@

$(BROWSER_TESTS): tests/browser/package-lock.json tests/browser/package.json
	cd tests/browser && npm ci --no-audit --no-fund

clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf tests/browser/node_modules
