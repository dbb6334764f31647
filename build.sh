#!/usr/bin/env bash
# Build the image, run it as a serverless endpoint does, list what is in it, push it to Amazon ECR.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: ./build.sh [build|smoke|sbom|audit|push|all] [--target full|slim|train]
                  [--tag NAME[:TAG]] [--platform P]

  build   build the image and check its size (the default)
  smoke   run the image under the limits of a serverless endpoint and post three records; with
          --target train, run a training job of two steps
  sbom    list the packages in the image, Python's and Debian's, in sbom-TARGET.cdx.json (CycloneDX)
  audit   the same, and look its Python packages up in a database of vulnerabilities with pip-audit;
          exits with 2 if any is vulnerable, with 3 if the database cannot be asked
  push    push the image to Amazon ECR, tagged with its version and git revision; refuses an image
          that serverless endpoints cannot run
  all     build, smoke, sbom, push

  --target    full: any Hugging Face checkpoint, with torch (the default); slim: packed models only;
              train: training jobs
  --tag       name of the local image (default: sagemaker-serverless-sentiment:VERSION-TARGET)
  --platform  what the image is built for (default: linux/amd64, as serverless endpoints run it)

environment
  AUDIT_ARGS         more options of pip-audit, e.g. "--vulnerability-service osv --ignore-vuln ID"
  AWS_REGION         where to push to (else AWS_DEFAULT_REGION, else the AWS CLI's configuration)
  DOCKER             the docker client (default: docker)
  DOCKER_BUILD_ARGS  more options of docker build, e.g. "--network host --build-arg TORCH_INDEX="
  SOURCE_URL         where the source is published, for the image's label
EOF
}

fail() {
  echo "build.sh: $*" >&2
  exit 1
}

cd "$(dirname "${BASH_SOURCE[0]}")"
readonly NAME=sagemaker-serverless-sentiment
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, "Container image"
readonly SIZE_LIMIT=10737418240
# Serverless endpoints run on x86-64 only. An image for ARM, which Docker builds by default on Apple
# Silicon, ends there with "exec format error":
# https://gist.github.com/jhw/76a2b92c89a951552e9e04f98843485c
readonly ARCHITECTURE=amd64
# How Serverless Inference runs a container, with the smallest memory size. This script needs no
# Python, so the options stand here again: tests compare them with platform_facts/sandbox.py.
readonly SANDBOX=(
  --read-only --user=993:990 --tmpfs=/tmp:size=5g,mode=1777 --ipc=none --cap-drop=ALL
  --security-opt=no-new-privileges --no-healthcheck --memory=1024m --memory-swap=1024m --cpus=0.58
)
docker=${DOCKER:-docker}
command=build target=full tag='' platform=linux/$ARCHITECTURE

while (($#)); do
  case $1 in
    build | smoke | sbom | audit | push | all) command=$1 && shift ;;
    --target | --tag | --platform)
      (($# > 1)) || fail "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    -h | --help) usage && exit ;;
    *) fail "unknown argument $1; see ./build.sh --help" ;;
  esac
done
[[ $target =~ ^(full|slim|train)$ ]] || fail "--target is full, slim or train, not $target"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git describe --always --abbrev=12 --exclude '*' --dirty 2>/dev/null || echo unknown)
tag=${tag:-$NAME:$version-$target}
readonly sbom_file=sbom-$target.cdx.json

docker_build() {
  local options=(--build-arg "VERSION=$version" --platform "$platform")
  # Split at spaces on purpose: it holds several options.
  # shellcheck disable=SC2206
  options+=(${DOCKER_BUILD_ARGS:-})
  # Engines before 23.0 have to be told to use BuildKit. Attestations would make the image an OCI
  # index, and the platform takes a single image:
  # https://docs.docker.com/build/building/variables/#buildx_no_default_attestations
  DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 "$docker" build "${options[@]}" "$@" .
}

has_image() {
  "$docker" image inspect "$tag" >/dev/null 2>&1 || fail "there is no image $tag; build it first"
}

check_architecture() {
  has_image
  local found
  found=$("$docker" image inspect --format '{{.Architecture}}' "$tag")
  [[ $found == "$ARCHITECTURE" ]] ||
    fail "$tag is for $found, serverless endpoints run $ARCHITECTURE; build it without --platform"
}

build() {
  docker_build --target "$target" --tag "$tag" --build-arg "REVISION=$revision" \
    --build-arg "SOURCE=${SOURCE_URL:-}"
  local size
  size=$("$docker" image inspect --format '{{.Size}}' "$tag")
  echo "$tag: $((size / 1000000)) MB"
  ((size <= SIZE_LIMIT)) || fail "$tag has $size bytes; serverless endpoints take $SIZE_LIMIT"
}

# Run a training job on a folder in the place of /opt/ml.
smoke_train() {
  local scratch
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064  # the name goes into the trap now: it runs where it is not known
  trap "rm -r '$scratch'" EXIT
  mkdir -p "$scratch/input/config" "$scratch/input/data/train" "$scratch/model"
  echo '{"max_steps": "2", "batch_size": "4"}' >"$scratch/input/config/hyperparameters.json"
  for _ in {1..10}; do
    printf '{"text": "%s", "label": %d}\n' 'I love this product!' 1 'OK, but not great.' 0 \
      'This is not the right product.' -1
  done >"$scratch/input/data/train/reviews.jsonl"
  # As this user, so that the files can be removed again.
  "$docker" run --rm --network none --user "$(id -u):$(id -g)" --volume "$scratch:/opt/ml" \
    "$tag" train || fail "$tag trains nothing: $(cat "$scratch/output/failure" 2>/dev/null)"
  [[ -s $scratch/model/config.json && -s $scratch/model/model.safetensors ]] ||
    fail "$tag wrote no checkpoint, but $(ls "$scratch/model")"
}

smoke() {
  if [[ $target == train ]]; then
    smoke_train
    return
  fi
  local container=$NAME-smoke-$$ port answer labels
  # shellcheck disable=SC2064  # the name goes into the trap now: it runs where it is not known
  trap "'$docker' rm --force '$container' >/dev/null 2>&1 || true" EXIT
  # The engine chooses a port that is free.
  "$docker" run --detach --name "$container" "${SANDBOX[@]}" --publish 127.0.0.1::8080 \
    "$tag" serve >/dev/null
  port=$("$docker" port "$container" 8080/tcp | sed -n '1s/.*://p')
  for _ in {1..120}; do
    if curl --silent --fail --max-time 2 --noproxy '*' "http://127.0.0.1:$port/ping"; then break; fi
    [[ $("$docker" inspect --format '{{.State.Running}}' "$container") == true ]] || break
    sleep 0.5
  done
  answer=$(curl --silent --show-error --fail-with-body --max-time 60 --noproxy '*' \
    "http://127.0.0.1:$port/invocations" \
    --header 'Content-Type: application/jsonlines' --data-binary @- <<'EOF'
{"features": ["I love this product!"]}
{"features": ["OK, but not great."]}
{"features": ["This is not the right product."]}
EOF
  ) || {
    "$docker" logs "$container" >&2
    fail "$tag does not answer; its log is above. $answer"
  }
  echo "$answer"
  labels=$(sed -nE 's/^\{"probability": ?[0-9.e-]+, ?"predicted_label": ?(-?[0-9]+)\}$/\1/p' <<<"$answer")
  [[ $labels == $'1\n0\n-1' && $(wc -l <<<"$answer") == 3 ]] ||
    fail "$tag answers otherwise than with the labels 1, 0 and -1"
  "$docker" rm --force "$container" >/dev/null
  trap - EXIT
}

sbom() {
  has_image
  local scratch
  scratch=$(mktemp -d)
  docker_build --target sbom --build-arg "IMAGE=$tag" --build-arg "NAME=$NAME-$target" \
    --output "type=local,dest=$scratch"
  mv "$scratch/sbom.cdx.json" "$sbom_file"
  rmdir "$scratch"
  echo "$sbom_file: $(grep -c '"purl":' "$sbom_file") packages"
}

audit() {
  command -v pip-audit >/dev/null || fail "pip-audit is not installed; audit needs it"
  sbom
  local log found
  log=$(mktemp)
  # shellcheck disable=SC2064  # the name goes into the trap now: it runs where it is not known
  trap "rm '$log'" EXIT
  # Without local versions, which no database has (torch 2.13.0+cpu). --strict: a package that is not
  # in the database does not count as one without vulnerabilities.
  # shellcheck disable=SC2086  # AUDIT_ARGS holds several options
  if found=$(sed -nE 's|.*"pkg:pypi/([^@]+)@([^?%"]+).*|\1==\2|p' "$sbom_file" |
    pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement /dev/stdin \
      ${AUDIT_ARGS:-} 2>"$log"); then
    echo "$tag: no known vulnerability in its Python packages"
  # pip-audit exits with 1 for any failure, but prints a table only if it has found something.
  elif [[ $found ]]; then
    echo "$found"
    echo "build.sh: $tag has packages with known vulnerabilities" >&2
    exit 2
  else
    echo "build.sh: the vulnerability database cannot be asked: $(tail -n 1 "$log")" >&2
    exit 3
  fi
}

# Set registry and region, or fail, before anything is built.
find_registry() {
  command -v aws >/dev/null || fail "the AWS CLI is not installed; push needs it"
  local account
  account=$(aws sts get-caller-identity --query Account --output text 2>/dev/null) ||
    fail "no usable AWS credentials; set them up with 'aws configure' and try again"
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
  [[ $region ]] || fail "no AWS region; set AWS_REGION"
  local suffix=amazonaws.com
  if [[ $region == cn-* ]]; then suffix=amazonaws.com.cn; fi
  registry=$account.dkr.ecr.$region.$suffix
}

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-push-ecr-image.html
push() {
  check_architecture
  aws ecr describe-repositories --region "$region" --repository-names "$NAME" >/dev/null 2>&1 ||
    aws ecr create-repository --region "$region" --repository-name "$NAME" >/dev/null
  aws ecr get-login-password --region "$region" |
    "$docker" login --username AWS --password-stdin "$registry"
  local uri=$registry/$NAME label labels=("$version-$target")
  # The last tag is the one that is printed: it will never name another image.
  if [[ $revision != unknown ]]; then labels+=("$revision-$target"); fi
  for label in "${labels[@]}"; do
    "$docker" tag "$tag" "$uri:$label"
    "$docker" push "$uri:$label"
  done
  echo "Image of the model (CreateModel) that the endpoint configuration names:"
  echo "$uri:$label"
}

case $command in
  build) build ;;
  smoke) smoke ;;
  sbom) sbom ;;
  audit) audit ;;
  push)
    find_registry
    push
    ;;
  all)
    find_registry
    build
    smoke
    sbom
    push
    ;;
esac
