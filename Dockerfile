# The page in a container: `docker compose up`. For an NVIDIA GPU: docs/deploy.md.
FROM python:3.12-slim-bookworm

# cpu, default (PyPI's torch, with CUDA), or the URL of a package index.
ARG TORCH=cpu

ENV PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

RUN groupadd --gid 1000 upscale \
    && useradd --uid 1000 --gid upscale --home-dir /data --no-create-home --shell /usr/sbin/nologin upscale \
    && install --directory --owner=upscale --group=upscale /data /data/temp

WORKDIR /app

# Packages first: a change of the code alone does not install them anew.
COPY requirements.txt requirements-cpu.txt requirements-any.txt requirements-mcp.txt ./
COPY tools/__init__.py tools/install.py tools/
COPY pipelines/__init__.py pipelines/errors.py pipelines/machine.py pipelines/
RUN UPSCALE_TORCH="$TORCH" python -m tools.install page \
    && python -m pip install --disable-pip-version-check -r requirements-mcp.txt

COPY app.py LICENSE ./
COPY pipelines pipelines
COPY ui ui

# All that is written lies in one volume: weights, shared pages, and visitors' files while they are kept.
ENV GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_TEMP_DIR=/data/temp \
    HF_HOME=/data/hub \
    HOME=/data \
    PORT=7860 \
    TMPDIR=/data/temp \
    UPSCALE_SHARE_DIR=/data/shared

USER upscale
VOLUME /data
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:%s/config' % os.environ['PORT'], timeout=8)"]

CMD ["python", "app.py"]
