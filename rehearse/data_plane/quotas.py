"""State the sizes and times that invocations are held to, each with its source.

Those marked "undocumented" are observations of others or guesses: what is learned about them
belongs here. Facts that other packages need as well are in platform_facts.
"""

from __future__ import annotations

from dataclasses import dataclass

from platform_facts import (
    CALL_SECONDS,
    INSTANCE_BODY_BYTES,
    ORIGINAL_MESSAGE_CHARACTERS,
    PING_SECONDS,
    SERVERLESS_BODY_BYTES,
    STOP_SECONDS,
)
from rehearse.data_types import ServerlessConfig, VariantConfig

# Of a serverless environment without calls. Undocumented; users saw seconds to five minutes:
# https://github.com/aws/sagemaker-python-sdk/issues/3446
IDLE_SECONDS = 300.0


@dataclass(frozen=True)
class Quotas:
    """What the data plane holds invocations and containers to."""

    call_seconds: float = CALL_SECONDS
    ping_seconds: float = PING_SECONDS
    # From the start to the first good /ping: 3 minutes.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
    serverless_start_seconds: float = 180.0
    # 8 minutes.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    instance_start_seconds: float = 480.0
    instance_stop_seconds: float = STOP_SECONDS
    message_characters: int = ORIGINAL_MESSAGE_CHARACTERS
    # Whether the time of a cold start is billed. Undocumented.
    setup_is_billed: bool = False
    # Whether an environment is frozen while it answers nothing. Undocumented; Lambda's are:
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    freezes: bool = True
    # The memory of any instance: that of an ml.m5.large. The rehearsal does not tell types apart.
    instance_memory_mb: int = 8192
    # How often a starting container is pinged, environments are looked after, and an instance is
    # pinged. "Periodically" is all that is documented.
    poll_seconds: float = 0.02
    sweep_seconds: float = 1.0
    instance_ping_seconds: float = 10.0

    def memory_mb(self, config: VariantConfig) -> int:
        """Return the memory of one environment of a variant."""
        if isinstance(config, ServerlessConfig):
            return config.memory_mb
        return self.instance_memory_mb

    def start_seconds(self, config: VariantConfig) -> float:
        """Return the time from the start of a container to its first good ping."""
        if isinstance(config, ServerlessConfig):
            return self.serverless_start_seconds
        return self.instance_start_seconds

    def body_bytes(self, config: VariantConfig) -> int:
        """Return the size of the largest body in either direction."""
        if isinstance(config, ServerlessConfig):
            return SERVERLESS_BODY_BYTES
        return INSTANCE_BODY_BYTES
