#!/usr/bin/env bash
# Deploy to a serverless endpoint, and ask it, with the AWS CLI, version 1 or 2. Set IMAGE (as
# build.sh push prints it) and ROLE (as role.py prints it).
set -euo pipefail
cd "$(dirname "$0")/.."

: "${IMAGE:?set IMAGE to the URI that build.sh push prints}"
: "${ROLE:?set ROLE to the ARN that deploy/role.py prints}"

aws sagemaker create-model --cli-input-json "$(sed "s|IMAGE|$IMAGE|; s|ROLE|$ROLE|" deploy/model.json)"
aws sagemaker create-endpoint-config --cli-input-json file://deploy/endpoint-config.json
aws sagemaker create-endpoint --endpoint-name sentiment --endpoint-config-name sentiment-1024
aws sagemaker wait endpoint-in-service --endpoint-name sentiment

reviews=$(mktemp)
answers=$(mktemp)
trap 'rm -f "$reviews" "$answers"' EXIT
cat > "$reviews" <<'LINES'
{"features": ["I love this product!"]}
{"features": ["OK, but not great."]}
{"features": ["This is not the right product."]}
LINES
# fileb:// is taken by both versions. A cold start may take longer than the minute that aws waits.
aws sagemaker-runtime invoke-endpoint --endpoint-name sentiment --cli-read-timeout 250 \
  --content-type application/jsonlines --accept application/jsonlines \
  --body "fileb://$reviews" "$answers"
cat "$answers"
