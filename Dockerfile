# The command alone on a slim Python, as a user without rights.  Every dependency is pinned by its hash (locks/).
# To pin the base image too, build with the digest that your registry shows for the tag:
#   docker build --build-arg BASE=python:3.13-slim@sha256:DIGEST -t indexer .
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY locks ./locks
# The environment of the command has no pip: the one of the build installs into it.
RUN python -m venv --without-pip /opt/indexer && python -m venv /opt/build \
    && /opt/build/bin/pip --python /opt/indexer/bin/python install --require-hashes -r locks/runtime.lock \
    && /opt/build/bin/pip install --require-hashes -r locks/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY indexer ./indexer
RUN /opt/build/bin/python -m hatchling build -t wheel -d /wheels \
    && /opt/build/bin/pip --python /opt/indexer/bin/python install --no-deps /wheels/*.whl

FROM ${BASE}
COPY --from=build /opt/indexer /opt/indexer
# A number: Kubernetes decides by it whether the user is root, and no base needs a tool that adds users.
USER 10001:10001
ENV PATH=/opt/indexer/bin:$PATH HOME=/home/indexer
ENTRYPOINT ["indexer"]
CMD ["--help"]
