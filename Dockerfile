# All images: docker build --target proxy (or tools, demo-service, or loadgen) .
# Plain instructions only, so that the classic builder and BuildKit both take it.

FROM rust:1.95-bookworm AS build
WORKDIR /src

# The dependencies first, in a layer of their own: they are built for empty crates, and a change of
# our sources does not build them again. cargo wants to see every member of the workspace.
COPY Cargo.toml Cargo.lock ./
COPY version/Cargo.toml version/
COPY compare/Cargo.toml compare/
COPY judge/Cargo.toml judge/
COPY cluster/Cargo.toml cluster/
COPY transform/Cargo.toml transform/
COPY traffic/Cargo.toml traffic/
COPY stored/Cargo.toml stored/
COPY packets/Cargo.toml packets/
COPY conversations/Cargo.toml conversations/
COPY proxy/Cargo.toml proxy/
COPY replay/Cargo.toml replay/
COPY capture/Cargo.toml capture/
COPY demo-service/Cargo.toml demo-service/
COPY loadgen/Cargo.toml loadgen/
COPY lab/Cargo.toml lab/
COPY xtests/Cargo.toml xtests/
RUN for crate in version compare judge cluster transform traffic stored packets conversations proxy replay capture demo-service loadgen lab xtests; do \
        mkdir -p $crate/src \
        && echo 'fn main() {}' >$crate/src/main.rs \
        && touch $crate/src/lib.rs \
        || exit 1; \
    done \
    && mkdir -p xtests/tests/xtests && touch xtests/tests/xtests/main.rs \
    && mkdir -p compare/benches traffic/benches && touch compare/benches/compare.rs traffic/benches/line.rs \
    && mkdir -p transform/benches && touch transform/benches/hook.rs transform/benches/redact.rs transform/benches/transform.rs \
    && mkdir -p lab/src/bin && cp lab/src/main.rs lab/src/bin/soak.rs \
    && cargo build --profile dist --locked --bins -p proxy -p replay -p capture -p demo-service -p loadgen

COPY version/build.rs version/
COPY version/src version/src
COPY compare/src compare/src
COPY judge/src judge/src
COPY cluster/src cluster/src
COPY transform/src transform/src
COPY traffic/src traffic/src
COPY stored/src stored/src
COPY packets/src packets/src
COPY conversations/src conversations/src
COPY proxy/src proxy/src
COPY proxy/templates proxy/templates
COPY replay/src replay/src
COPY capture/src capture/src
COPY demo-service/src demo-service/src
COPY loadgen/src loadgen/src
# cargo goes by times, and files copied from elsewhere may be older than the empty crates.
# What --version tells, since the repository is not here.
ARG MIRRORLAB_COMMIT=
RUN touch */src/*.rs version/build.rs \
    && cargo build --profile dist --locked --bins -p proxy -p replay -p capture -p demo-service -p loadgen

# C library, certificates and a user without rights: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
LABEL org.opencontainers.image.title="MirrorLab" \
      org.opencontainers.image.description="Try a new version of an HTTP service on real traffic, unnoticed" \
      org.opencontainers.image.licenses="MIT"
USER 65532:65532

FROM runtime AS proxy
COPY --from=build /src/target/dist/mirrorlab-proxy /usr/local/bin/
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/mirrorlab-proxy", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/mirrorlab-proxy"]

# Replays and captures: docker run --rm -v ./traffic:/traffic:ro IMAGE mirrorlab-replay /traffic ...
FROM runtime AS tools
COPY --from=build /src/target/dist/mirrorlab-replay /src/target/dist/mirrorlab-capture /usr/local/bin/

FROM runtime AS demo-service
COPY --from=build /src/target/dist/mirrorlab-demo-service /usr/local/bin/
EXPOSE 4001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/mirrorlab-demo-service", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/mirrorlab-demo-service"]

# Writes its report into the working directory.
FROM runtime AS loadgen
COPY --from=build /src/target/dist/mirrorlab-loadgen /usr/local/bin/
WORKDIR /reports
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/mirrorlab-loadgen"]
