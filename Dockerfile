# The token broker's image: one program, whose role is the argument (serve, work, migrate).
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t token-broker:0.1.0 .
#
# Nothing here needs BuildKit: no cache mounts, no heredocs. The base images are named by tag, because a digest is for
# whoever builds to choose and to keep current: pin both with --build-arg BUILD_BASE=...@sha256:..., RUN_BASE=...@sha256:...,
# or let a bot that reads Dockerfiles (Renovate, Dependabot) write the digests behind the two defaults below.
# The two must agree on Python's minor version and on Debian's release: what one compiles, the other runs.
ARG BUILD_BASE=docker.io/library/python:3.11-slim-bookworm
ARG RUN_BASE=gcr.io/distroless/python3-debian12:nonroot

# Installs from the hash-pinned lock, from wheels alone: no compiler, no source distribution, no code run by a dependency.
FROM ${BUILD_BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements-build.lock requirements-run.lock ./
RUN python3 -m pip install --quiet --no-compile --require-hashes --only-binary :all: \
        --target tools -r requirements-build.lock \
    && python3 -m pip install --quiet --no-compile --require-hashes --only-binary :all: \
        --target app -r requirements-run.lock
# What is not copied is not installed: the sandbox stays out of the product.
COPY LICENSE README.md pyproject.toml sbom.cdx.json ./
COPY service service
COPY sql sql
COPY worker worker
RUN PYTHONPATH=tools python3 -m pip install --quiet --no-compile --no-deps --no-build-isolation --no-index --target app . \
    && cp sbom.cdx.json app/
# Headers, sources of extensions, stubs and tests serve nobody here; scripts name the interpreter of this stage.
RUN rm -rf app/bin \
    && find app -type d -name tests -prune -exec rm -rf {} + \
    && find app -type f \( -name '*.h' -o -name '*.c' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' \
        -o -name direct_url.json \) -delete
# The tree is read-only where it runs, so the bytecode is made here; it is never compared with a clock or a source again.
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash app \
    && chmod -R u=rwX,go=rX app \
    && mkdir data
# For the stage below alone. A checkout may be its owner's alone, and whoever runs there is somebody else.
COPY sandbox sandbox
RUN chmod -R u=rwX,go=rX sandbox

# `docker build --target demo`: the same program with a Cal.com of its own and a page to watch. Never part of the product.
FROM ${BUILD_BASE} AS demo
ENV PYTHONPATH=/opt/token-broker PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1
COPY --from=build /build/app /opt/token-broker
COPY --from=build /build/sandbox /opt/token-broker/sandbox
COPY --from=build --chown=65532:65532 /build/data /data
WORKDIR /
USER 65532:65532
EXPOSE 8000
ENTRYPOINT ["python3", "-m", "sandbox.demo"]

# The product: an interpreter, its libraries, certificates and the program. No shell, no package manager.
FROM ${RUN_BASE} AS product
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=https://example.com/token-broker
LABEL org.opencontainers.image.title="token-broker" \
      org.opencontainers.image.description="Keeps the OAuth tokens of Cal.com managed users fresh: one refresh endpoint, no lost token." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      token-broker.sbom="/opt/token-broker/sbom.cdx.json"
ENV PYTHONPATH=/opt/token-broker PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PYTHONFAULTHANDLER=1
COPY --from=build /build/app /opt/token-broker
# The build ends here when this stage's interpreter cannot load what the other one installed. And the base brings Python's
# library without bytecode, which every start and every probe would make anew: what is loaded here leaves it behind.
USER 0:0
RUN ["python3", "-c", "import service.probe, service.serving, service.supervisor, service.tracing.export, worker.main, sql.migrate, uvloop"]
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 65532:65532
# Browsers, the app's own services, probes and metrics.
EXPOSE 8080 8081 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-m", "service.probe"]
ENTRYPOINT ["python3", "-m", "service.cli"]
CMD ["serve"]
