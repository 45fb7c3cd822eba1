# syntax=docker/dockerfile:1
# The image of all Airflow services in docker-compose.yaml: the locked requirements of the extras that a deployment
# needs, and the package. Templates are not in it: the dag processor gets them as a folder, workers from the store.

FROM python:3.11-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# For networks with a mirror of their own: --build-arg PIP_INDEX_URL=... --build-arg UV_DEFAULT_INDEX=...
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements requirements
RUN --mount=type=cache,target=/root/.cache \
    python -m pip install --no-cache-dir --require-hashes --requirement requirements/uv.txt \
    && python -m venv --without-pip /opt/venv \
    && uv pip install --python /opt/venv/bin/python --require-hashes --requirement requirements/image.txt
# A change of the code leaves the layer above as it is.
COPY pyproject.toml README.md ./
COPY airflow_agentic airflow_agentic
RUN --mount=type=cache,target=/root/.cache \
    uv build --wheel --build-constraint requirements/dev.txt --require-hashes --out-dir /wheels \
    && uv pip install --python /opt/venv/bin/python --no-deps --offline /wheels/*.whl

FROM python:3.11-slim-bookworm
# Its home is AIRFLOW_HOME, so that ~ means the same to Airflow, to bundles and to people.
RUN groupadd --gid 50000 airflow \
    && useradd --uid 50000 --gid airflow --home-dir /opt/airflow --create-home --shell /bin/bash --no-log-init airflow
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1
USER 50000:50000
WORKDIR /opt/airflow
CMD ["airflow", "version"]
