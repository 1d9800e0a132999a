# The command alone on a slim Python, as a user without rights.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY indexer ./indexer
RUN python -m venv /opt/indexer && /opt/indexer/bin/pip install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/indexer /opt/indexer
RUN useradd --system --uid 10001 indexer
USER indexer
ENV PATH=/opt/indexer/bin:$PATH
ENTRYPOINT ["indexer"]
CMD ["--help"]
