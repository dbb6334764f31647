"""Call a serverless endpoint, waiting for cold starts and trying again after throttling.

It needs boto3 and nothing else of this repository. From a shell, with one text on each line:

    python deploy/client.py sentiment < reviews.txt
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Errors that pass. No model has seen the request, and sending it again would do no harm anyway.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
AGAIN = {
    "ThrottlingException",  # more concurrent calls than MaxConcurrency
    "ModelNotReadyException",  # a container that is still being started
    "ServiceUnavailable",
    "InternalFailure",
    "InternalDependencyException",
}
# Records in one request. A body holds 4 MB at most, and is scored within 60 s or refused.
RECORDS = 100


def runtime(**settings: Any) -> Any:
    """Return a boto3 client with timeouts for a serverless endpoint; settings are boto3's."""
    config = Config(
        connect_timeout=10,
        # A cold start of 3 minutes, and a minute for the request; boto3 gives up after one, and
        # then sends the request again, to another container that is cold:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
        read_timeout=250,
        # A NAT gateway forgets connections that are silent for long:
        # https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
        tcp_keepalive=True,
        # Endpoint.invoke decides what is tried again: boto3's standard mode leaves out
        # ModelNotReadyException, and its other mode repeats what has timed out.
        retries={"total_max_attempts": 1},
    )
    return boto3.client("sagemaker-runtime", config=config, **settings)


class Endpoint:
    """One endpoint, which several threads may share."""

    def __init__(
        self,
        name: str,
        client: Any = None,
        patience: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._client = client or runtime()
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    def predict(self, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield one prediction for each text, in order."""
        for start in range(0, len(texts), RECORDS):
            records = [{"features": [text]} for text in texts[start : start + RECORDS]]
            answer = self.invoke(
                Body="".join(json.dumps(record) + "\n" for record in records),
                ContentType="application/jsonlines",
                Accept="application/jsonlines",
            )
            yield from map(json.loads, answer["Body"].read().decode().rstrip().split("\n"))

    def invoke(self, **call: Any) -> Any:
        """Call InvokeEndpoint until it answers.

        Raises its error where trying again would not help, or when patience is over.
        """
        deadline = self._clock() + self._patience
        for pause in pauses():
            try:
                return self._client.invoke_endpoint(EndpointName=self._name, **call)
            except ClientError as error:
                if not passes(error) or self._clock() + pause > deadline:
                    raise
            self._sleep(pause)
        raise AssertionError("pauses have no end")


def passes(error: ClientError) -> bool:
    """Tell from its code whether an error passes: a throttled call has status 400, no message."""
    if error.response["Error"]["Code"] in AGAIN:
        return True
    # On instances the container itself refuses what is too much.
    return error.response.get("OriginalStatusCode") == 503 and '"overloaded"' in str(
        error.response.get("OriginalMessage")
    )


def pauses(least: float = 0.2, most: float = 10.0) -> Iterator[float]:
    """Yield the seconds between attempts, without end: doubled each time, with jitter.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    longest = least
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 2, most)


def main() -> None:
    """Score the lines of stdin."""
    parser = argparse.ArgumentParser(description="Score the lines of stdin, one text a line.")
    parser.add_argument("endpoint", help="its name")
    endpoint = Endpoint(parser.parse_args().endpoint)
    texts = [line.rstrip("\n") for line in sys.stdin]
    for prediction in endpoint.predict(texts):
        print(json.dumps(prediction))


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"client.py: {error}") from error
