# The one list of commands. `just` alone lists them.

# List the commands.
default:
    @just --list

# Start baseline, candidate and proxy in one process, with light traffic; see --help.
lab *options:
    cargo run --release -p lab -- {{ options }}

# Play the regression story; the exit code says whether it went as it should.
story: (lab "--scenario" "regression")

# All tests.
test:
    cargo test --workspace

# Format, lints, documentation, licenses: what must be clean before a commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo deny check bans licenses sources

# Measure the proxy beside its peers, 15 minutes or --quick; see bench/README.md and --help.
bench *options:
    cargo run --release --manifest-path bench/Cargo.toml -p bench -- {{ options }}

# Measure the comparison alone; a name picks a part, such as records/4096.
bench-compare *options:
    cargo bench -p proxy --bench compare -- {{ options }}

# All that the gate runs.
ci:
    bash .ci/run
