# An image of dropledger; docs/deploy.md says how it is made and run. No build needs BuildKit.

# What it runs on: any image with Python 3.11 or newer. BUILDER makes it, and needs venv and pip too.
ARG BASE=python:3.13-slim
ARG BUILDER=${BASE}

FROM ${BUILDER} AS build
WORKDIR /build
RUN python3 -m venv /opt/dropledger
ENV PATH=/opt/dropledger/bin:${PATH} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/image.txt requirements/
RUN pip install --quiet --require-hashes --requirement requirements/image.txt
COPY . .
# What builds and installs is of no use to what runs.
RUN pip install --quiet --no-deps --no-build-isolation . \
    && pip uninstall --quiet --yes hatchling editables setuptools pip

FROM ${BASE}
# A volume takes the owner of the folder that it is mounted over when it is made.
RUN mkdir -m 0700 /data && chown 10001:10001 /data
COPY --from=build /opt/dropledger /opt/dropledger
ENV PATH=/opt/dropledger/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    DROPLEDGER_ROOT=/data \
    DROPLEDGER_LOG=json \
    DROPLEDGER_CACHE=/tmp/dropledger
USER 10001:10001
WORKDIR /data
VOLUME /data
# Exit code 4 says that a drop is being worked on, which may take longer than a check waits.
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s \
    CMD DROPLEDGER_WAIT_SECONDS=5 dropledger --quiet status >/dev/null || [ $? -eq 4 ]
ENTRYPOINT ["dropledger"]
CMD ["watch"]
