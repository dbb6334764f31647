# The inference container, for SageMaker and for `docker run`. ./build.sh builds it, or:
#
#   docker build --target slim .   serves packed models
#   docker build .                 adds torch and transformers: Hugging Face checkpoints, too
#   docker build --target train .  adds what training jobs need: `docker run IMAGE train`
#
# Packages come from the package index, and from wheels in a folder wheelhouse/ if there is one;
# with --build-arg PIP_NO_INDEX=1 only from there. Needs BuildKit.

# The image that the target `sbom` lists: a target of this file, or the tag of a built image.
ARG IMAGE=full


FROM debian:bookworm-slim AS python
# The caches keep the downloads of apt out of the image; the base image's docker-clean would empty
# the caches: https://docs.docker.com/reference/dockerfile/#run---mounttypecache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 \
    && rm -rf /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache


# The files that decide which packages are installed, so that a change of the code installs none.
# wheelhouse* may match nothing; its wheels are copied beside the files.
FROM scratch AS sources
COPY pyproject.toml requirements/constraints.txt wheelhouse* /


FROM python AS packages
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv
# pip stays in an environment of its own, and fills /opt/venv, which is shipped.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
# Settings of pip; an empty one counts as unset.
ARG PIP_INDEX_URL=
ARG PIP_NO_INDEX=
# Extras of the project to install as well: EXTRAS=otel sends OpenTelemetry spans.
ARG EXTRAS=
# Byte code is not checked against its source (unchecked-hash): files in an image do not change, and
# file times that a copy or a registry changes would make every cold start compile again.
ENV COMPILE="/opt/venv/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash" \
    PIP_CONSTRAINT=/sources/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_FIND_LINKS=/sources \
    PIP_PROGRESS_BAR=off \
    PIP_PYTHON=/opt/venv/bin/python3 \
    PIP_QUIET=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN --mount=type=bind,from=sources,target=/sources \
    --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python3 -c 'import sys, tomllib; project = tomllib.load(open("/sources/pyproject.toml", "rb"))["project"]; print(*project["dependencies"], *(name for extra in sys.argv[1:] for name in project["optional-dependencies"][extra]), sep="\n")' $EXTRAS >/tmp/requirements.txt \
    && /opt/pip/bin/pip install --no-compile -r /tmp/requirements.txt \
    # onnxruntime has a second copy of its library, for programs in C.
    && rm /opt/venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.* \
    && find /opt/venv \( -name '*.a' -o -type d -name tests \) -prune -exec rm -r {} + \
    && $COMPILE /opt/venv/lib
# What a start touches of large libraries lies together, for platforms that load images by the block.
RUN --mount=type=bind,source=requirements,target=/requirements \
    python3 /requirements/library_order.py /opt/venv/lib/python3*/site-packages


# torch first and without its dependencies, from PyTorch's own index of CPU builds: the Linux
# build on the default index brings several GB of CUDA. TORCH_INDEX= (empty) takes pip's index.
FROM packages AS packages-full
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,from=sources,target=/sources \
    --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    torch=$(grep '^torch==' /sources/constraints.txt) \
    && if ls /sources/torch-*.whl >/dev/null 2>&1; then set -- --no-index; \
       else set -- ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}; fi \
    && /opt/pip/bin/pip install --no-compile --no-deps "$@" "$torch" \
    && python3 -c 'import tomllib; project = tomllib.load(open("/sources/pyproject.toml", "rb"))["project"]; print(*project["optional-dependencies"]["torch"], sep="\n")' >/tmp/requirements.txt \
    && /opt/pip/bin/pip install --no-compile -r /tmp/requirements.txt \
    && rm -r /opt/venv/lib/python3*/site-packages/torch/include \
    && find /opt/venv \( -name '*.a' -o -type d -name tests \) -prune -exec rm -r {} + \
    # torch has a test file for newer versions of Python only.
    && $COMPILE -x '/py3[0-9]+_[a-z]+\.py$' /opt/venv/lib


# The project itself, and the default model where SageMaker would put one. Left out of the package
# are the model, which would be a second copy, and rehearse/, which runs the image from outside.
FROM packages AS application
RUN --mount=type=bind,target=/src,rw \
    --mount=type=bind,from=sources,target=/sources \
    --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    mkdir -p /image/opt/ml \
    && cp -r /src/models/clothing-sentiment /image/opt/ml/model \
    && sed -i '/"rehearse/d; /"model_handler.bundled"/d' /src/pyproject.toml \
    && /opt/pip/bin/pip install --no-compile --no-deps --no-warn-script-location --root /image /src \
    && $COMPILE -s /image /image/opt/venv/lib \
    && chmod -R a+rX /image


FROM python AS runtime
# HOME: the only folder that any uid can write to on a serverless endpoint. Nothing is downloaded
# from the Hugging Face Hub: an endpoint may have no network, and the model is in /opt/ml/model.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    HF_HOME=/tmp/hf \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    # One heap for all threads, in huge pages where the kernel has them: the tables of a tokenizer
    # are tens of megabytes in small pieces, and mapping their pages took a quarter of a start. What
    # has less than 4 MiB lies in that heap, as weights do: in huge pages a product of few rows is 5
    # to 10 % faster.
    # No thread caches what it has freed: there may be 320 threads.
    # https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
    MALLOC_ARENA_MAX=1 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4194304:glibc.malloc.tcache_count=0 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
EXPOSE 8080
# For Docker only; SageMaker asks /ping itself. Not with urllib, which would use http_proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/opt/venv/bin/python3", "-c", \
    "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('SAGEMAKER_BIND_TO_PORT') or 8080), timeout=2); c.request('GET', '/ping'); raise SystemExit(c.getresponse().status != 200)"]
# A number, which is known not to be root without /etc/passwd; any other works as well.
USER 10001:10001
# SageMaker runs `docker run IMAGE serve`, where `serve` replaces CMD:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
# env replaces itself with the program of that name, which so is process 1 and gets SIGTERM; and
# `docker run IMAGE train` is an error instead of a server.
ENTRYPOINT ["/usr/bin/env", "--"]
CMD ["serve"]
# Multi-container endpoints set the port, and need this label; elsewhere it does nothing.
# https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-real-time.html
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true


# The larger layer first, so that a change of the code alone is a small push.
FROM runtime AS slim
COPY --from=packages /opt/venv /opt/venv
COPY --from=application /image /
ARG VERSION= REVISION= SOURCE=
LABEL org.opencontainers.image.title=sagemaker-serverless-sentiment \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE


FROM runtime AS full
COPY --from=packages-full /opt/venv /opt/venv
COPY --from=application /image /
ARG VERSION= REVISION= SOURCE=
LABEL org.opencontainers.image.title=sagemaker-serverless-sentiment \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE


# For training jobs, which run `docker run IMAGE train` and mount /opt/ml:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
# One layer on the full image, so that both share the others. pip comes from its own stage.
FROM full AS train
# /opt/ml belongs to root in a training job, and a model that is there already would be kept.
USER 0:0
ARG PIP_INDEX_URL=
ARG PIP_NO_INDEX=
RUN --mount=type=bind,from=sources,target=/sources \
    --mount=type=bind,from=packages,source=/opt/pip,target=/opt/pip \
    --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python3 -c 'import tomllib; project = tomllib.load(open("/sources/pyproject.toml", "rb"))["project"]; print(*(line for line in project["optional-dependencies"]["train"] if not line.startswith(project["name"])), sep="\n")' >/tmp/requirements.txt \
    && HOME=/root PIP_CONSTRAINT=/sources/constraints.txt PIP_FIND_LINKS=/sources \
       PIP_PYTHON=/opt/venv/bin/python3 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
       /opt/pip/bin/pip install --quiet --progress-bar off -r /tmp/requirements.txt \
    && rm -r /tmp/requirements.txt /opt/ml/model
HEALTHCHECK NONE
CMD ["train"]


# List what is in an image, by running requirements/sbom.py in it. The tools are copied into a stage
# of their own, so that no image that is shipped holds them.
FROM packages AS sbom-tools
RUN --mount=type=bind,from=sources,target=/sources \
    --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python3 -m venv --without-pip /opt/sbom \
    && PIP_PYTHON=/opt/sbom/bin/python3 /opt/pip/bin/pip install cyclonedx-bom
COPY requirements/sbom.py /opt/sbom/


FROM ${IMAGE} AS inspected
COPY --from=sbom-tools /opt/sbom /opt/sbom
ARG NAME= VERSION=
RUN /opt/sbom/bin/python3 /opt/sbom/sbom.py "$NAME" "$VERSION" >/tmp/sbom.cdx.json


FROM scratch AS sbom
COPY --from=inspected /tmp/sbom.cdx.json /


# What `docker build .` builds.
FROM full
