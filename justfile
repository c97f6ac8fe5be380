# The one list of commands. `just` alone lists them.

# List the commands.
default:
    @just --list

# Start baseline, candidate and proxy in one process, with light traffic; see --help.
lab *options:
    cargo run --release -p lab -- {{ options }}

# Play the regression story; the exit code says whether it went as it should.
story: (lab "--scenario" "regression")

# A candidate that does everything wrong in turn, for 20 minutes; see --help.
soak *options:
    cargo build --release -p proxy -p lab
    target/release/mirrorlab-soak {{ options }}

# All tests.
test:
    cargo test --workspace

# Format, lints, documentation, licenses: what must be clean before a commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo deny check bans licenses sources

# All that the gate runs.
ci:
    bash .ci/run
