# Pointsman in a container: non-root, read-only root, data on a volume.
#
#   docker build -t pointsman .
#   docker run --rm -p 127.0.0.1:8080:8080 --read-only --tmpfs /tmp -v pointsman-data:/data pointsman
#
# One image for one server and for many: what several share (PostgreSQL, Redis, NATS) has its clients in it.
# The first start prints an operator's key and a tenant's, once.

FROM python:3.11-slim AS build
RUN apt-get update \
    && apt-get install --no-install-recommends --yes g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# An index URL for torch alone. On Linux the default may bring gigabytes of GPU libraries: PyTorch's install selector
# names the index of the CPU build.
ARG TORCH_INDEX=""
# hnswlib would otherwise be compiled for the very processor of the machine that builds the image.
ENV HNSWLIB_NO_NATIVE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=requirements.lock \
    PIP_BUILD_CONSTRAINT=requirements.lock
COPY requirements.lock ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip wheel --no-deps --wheel-dir /wheels --index-url "$TORCH_INDEX" "$(grep -o '^torch==[^ ]*' requirements.lock)"; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY strategist strategist
COPY auditor auditor
COPY controlplane controlplane
# Extras of pyproject.toml; with none the image is for one server only.
ARG EXTRAS="postgres,redis,nats"
RUN pip wheel --wheel-dir /wheels --find-links /wheels ".[$EXTRAS]"

FROM python:3.11-slim
ARG EXTRAS="postgres,redis,nats"
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "pointsman[$EXTRAS]" \
    && groupadd --gid 10001 pointsman \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin pointsman \
    && install --directory --owner 10001 --group 10001 --mode 0750 /data
ENV POINTSMAN_DATA_DIR=/data \
    POINTSMAN_HOST=0.0.0.0 \
    HF_HOME=/data/models \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["pointsman", "ping"]
ENTRYPOINT ["pointsman"]
CMD ["serve"]
