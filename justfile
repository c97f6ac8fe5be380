# The one list of commands. `just` alone lists them.

# What the shop's candidate starts with in the stack; `regress` sets it again.
chaos := '{"latencyMs": ' + env("CHAOS_LATENCY_MS", "200") + ', "jitterMs": ' + env("CHAOS_JITTER_MS", "100") + ', "errorRate": ' + env("CHAOS_ERROR_RATE", "0.02") + ', "mismatchRate": ' + env("CHAOS_MISMATCH_RATE", "0.0") + '}'
healthy := '{"latencyMs": 0, "jitterMs": 0, "errorRate": 0, "mismatchRate": 0}'
candidate := "http://localhost:" + env("CANDIDATE_PORT", "4002")

# List the commands.
default:
    @just --list --unsorted

# Start the stack in containers, or only the services named; the candidate is bad on purpose.
up *services: (_compose "up --build --detach" services)
    @echo "proxy      http://localhost:${PROXY_PORT:-8080}     status under /control/status"
    @echo "prometheus http://localhost:${PROMETHEUS_PORT:-9090}"
    @echo "grafana    http://localhost:${GRAFANA_PORT:-3000}     user and password: admin"
    @echo "The candidate is slow and faulty on purpose: with traffic (just load) the guardrail soon"
    @echo "stops mirroring. 'just heal' makes it well, 'just regress' bad again."

# Stop the stack; its volumes stay (`just down --volumes` removes them).
down *options: (_compose "--profile load down" options)

# Show the stack's logs and follow them; takes service names.
logs *services: (_compose "logs --follow --tail=100" services)

# Drive the stack with goose: from a container where the stack runs, else locally. Takes its options.
load *options:
    #!/usr/bin/env sh
    set -eu
    if [ -n "$({{ just_executable() }} _compose ps --quiet proxy 2>/dev/null)" ]; then
        # The container's user is not ours.
        mkdir -p reports && chmod a+rwx reports
        {{ just_executable() }} _compose --profile load build --quiet loadgen
        exec {{ just_executable() }} _compose --profile load run --rm --no-deps loadgen {{ options }}
    fi
    exec cargo run --release -p loadgen -- {{ options }}

# Make the stack's candidate slow and faulty.
regress:
    curl --fail-with-body --silent --show-error -X PUT {{ candidate }}/chaos -H 'content-type: application/json' -d '{{ chaos }}'

# Make the stack's candidate well again; after the cooldown the next request resumes mirroring.
heal:
    curl --fail-with-body --silent --show-error -X PUT {{ candidate }}/chaos -H 'content-type: application/json' -d '{{ healthy }}'

# Start baseline, candidate and proxy in one process, with light traffic; see --help.
lab *options:
    cargo run --release -p lab -- {{ options }}

# Play a story, such as slow-2x (see --help); the exit code says whether it went as it should.
story scenario="regression" *options: (lab "--scenario" scenario options)

# Twins under a real load, quiet and with work beside, one run after the other; fails if one did.
twins duration="10m":
    #!/usr/bin/env bash
    set -uo pipefail
    cargo build --release -p lab || exit
    compile='rm -rf target/beside; cargo build --offline -p proxy --target-dir target/beside'
    failed=0
    for beside in '' burn:2 burn:4 burn:8 pause "run:$compile"; do
        echo; echo "=== beside: ${beside:-nothing}"
        target/release/mirrorlab-lab --scenario twins --processes --duration {{ duration }} \
            ${beside:+--beside "$beside"} || failed=1
    done
    rm -rf target/beside
    exit $failed

# A candidate that does everything wrong in turn, for 20 minutes; see --help.
soak *options:
    cargo build --release -p proxy -p lab
    target/release/mirrorlab-soak {{ options }}

# All tests.
test:
    cargo test --workspace

# The black-box tests alone: the stack as containers and as processes, Prometheus, the dashboard.
xtest *filter:
    cargo test -p xtests -- {{ filter }}

# Format, lints, documentation, licenses: what must be clean before a commit.
check:
    cargo fmt --all --check
    cargo fmt --manifest-path bench/Cargo.toml --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    # The tool that measures; the peers that it builds need more than that.
    cargo clippy --locked --manifest-path bench/Cargo.toml -p bench --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo deny check bans licenses sources

# What Prometheus reads, and the tests of the alerts; needs promtool.
check-observability:
    promtool check config observability/prometheus.yml
    promtool check rules observability/rules.yml observability/alerts.yml observability/alerts-demo.yml
    promtool test rules observability/alerts.test.yml observability/candidates.test.yml

# The chart, plain manifests and examples in deploy; needs helm (or HELM), promtool and kubernetes-validate.
check-deploy:
    python3 deploy/check.py

# Make the plain manifests, and what the chart has copies of, anew; needs the same.
deploy:
    python3 deploy/check.py --write

# Each program starts and says what it takes.
check-programs:
    cargo build --quiet --workspace --bins
    for program in lab soak loadgen proxy replay capture demo-service; do target/debug/mirrorlab-$program --help >/dev/null || exit; done

# Manual pages, and completions for bash, zsh and fish, of what `--help` is made of; into target/manual.
manual:
    cargo build --quiet --workspace --examples
    "${CARGO_TARGET_DIR:-target}/debug/examples/manual" target/manual

# The Debian package, into target/debian; `just deb debug` builds faster and runs slower. Needs dpkg-dev.
deb profile="dist" compression="xz": manual
    cargo build --profile {{ if profile == "debug" { "dev --workspace --bins" } else { profile + " -p proxy -p replay -p capture" } }}
    COMPRESSION={{ compression }} deploy/debian/build "${CARGO_TARGET_DIR:-target}/{{ profile }}" target/manual target/debian

# What is in the package, and how the service is locked in; needs lintian and systemd.
check-deb: (deb "debug" "gzip")
    deploy/debian/check target/debian/*.deb

# What is fuzzed: format and lints; needs a C++ compiler, as fuzzing does.
check-fuzz:
    cd fuzz && cargo clippy --release --bins -- -D warnings

# Measure the proxy beside its peers, 15 minutes or --quick; see bench/README.md and --help.
bench *options:
    cargo run --release --manifest-path bench/Cargo.toml -p bench -- {{ options }}

# Measure the comparison alone; a name picks a part, such as records/4096.
bench-compare *options:
    cargo bench -p compare --bench compare -- {{ options }}

# Measure what becomes of copies alone: transforms and what else is done to one of 4 KiB.
bench-transform *options:
    cargo bench -p transform --bench transform -- {{ options }}

# Make up inputs for so many seconds: one of fuzz/fuzz_targets, or all in turn; see fuzz/run.
fuzz target="all" seconds="60" *options:
    fuzz/run {{ target }} {{ seconds }} {{ options }}

# All that the gate runs.
ci:
    bash .ci/run

# Docker Compose v2 where it is installed, else docker-compose.
# What images say with --version is told here: they are built without the repository.
_compose *arguments:
    @export MIRRORLAB_COMMIT="${MIRRORLAB_COMMIT:-$(git rev-parse HEAD 2>/dev/null || true)}"; if docker compose version >/dev/null 2>&1; then docker compose {{ arguments }}; else docker-compose {{ arguments }}; fi
