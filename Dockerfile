# The command alone on a slim Python, as a user without rights.  Every dependency is pinned by its hash (locks/).
# To pin the base image too, build with the digest that your registry shows for the tag:
#   docker build --build-arg BASE=python:3.13-slim@sha256:DIGEST -t indexer .
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY locks ./locks
RUN python -m venv /opt/indexer && /opt/indexer/bin/pip install --require-hashes -r locks/runtime.lock \
    && python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r locks/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY indexer ./indexer
RUN /opt/build/bin/python -m hatchling build -t wheel -d /wheels && /opt/indexer/bin/pip install --no-deps /wheels/*.whl

FROM ${BASE}
COPY --from=build /opt/indexer /opt/indexer
RUN useradd --system --uid 10001 indexer
USER indexer
ENV PATH=/opt/indexer/bin:$PATH
ENTRYPOINT ["indexer"]
CMD ["--help"]
