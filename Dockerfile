# SPDX-License-Identifier: Apache-2.0
# docker build -t bids_msvol --build-arg VCS_REF="$(git rev-parse HEAD)" --build-arg BUILD_DATE="$(date -u +%FT%TZ)" .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/bids_msvol
WORKDIR /src
# The locked dependencies first: this layer is built again only when they change.
COPY .ci/locks/build.txt .ci/locks/runtime.txt .ci/locks/
RUN /opt/bids_msvol/bin/python -m pip install --require-hashes -r .ci/locks/build.txt \
 && /opt/bids_msvol/bin/python -m pip install --require-hashes --no-build-isolation -r .ci/locks/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY bids_msvol bids_msvol
RUN /opt/bids_msvol/bin/python -m pip install --no-deps --no-build-isolation . \
 && /opt/bids_msvol/bin/python -c "import bids_msvol; print(bids_msvol.__version__)" > /opt/bids_msvol/version
# What only developers of the libraries need, and the installers: 180 MB.
RUN cd "$(/opt/bids_msvol/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && find pandas scipy sklearn statsmodels -type d -name tests -prune -exec rm -r {} + \
 && /opt/bids_msvol/bin/python -m pip uninstall --quiet --yes setuptools pip \
 && chmod -R a+rX /opt/bids_msvol

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG VCS_REF=unknown
ARG BUILD_DATE=unknown
LABEL org.opencontainers.image.title="bids_msvol" \
      org.opencontainers.image.description="BIDS App that measures multiple sclerosis on MRI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${VCS_REF}" \
      org.opencontainers.image.created="${BUILD_DATE}"
COPY --from=builder /opt/bids_msvol /opt/bids_msvol
# The program is in the image with compiled bytecode; nothing of the user's home may change what runs.
ENV PATH=/opt/bids_msvol/bin:${PATH} \
    BIDS_MSVOL_DOCKER_TAG=bids_msvol:${VERSION} \
    LANG=C.UTF-8 \
    MPLBACKEND=Agg \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1
# BIDS Apps keep their version in /version. A build whose parts do not load fails here and not at the user's.
RUN mv /opt/bids_msvol/version /version \
 && test "$(cat /version)" = "${VERSION}" \
 && python -c "import ants, bids, matplotlib, nilearn, bids_msvol" \
 && bids-validator-deno --version \
 && bids_msvol --version
WORKDIR /tmp
ENTRYPOINT ["/opt/bids_msvol/bin/bids_msvol"]
