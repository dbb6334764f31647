"""Nothing in; the numbers of the platform that calls meet out, each with its source.

Those marked "undocumented" are observations of others or guesses: what is learned about them
belongs here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehearse.model import Instance, Serverless

# Of a serverless environment without calls. Undocumented; users saw seconds to five minutes:
# https://github.com/aws/sagemaker-python-sdk/issues/3446
IDLE_SECONDS = 300.0


@dataclass(frozen=True)
class Limits:
    """What the data plane keeps to."""

    # "4 MB", of requests and of answers. Whether of 1000 or 1024 is undocumented:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
    serverless_bytes: int = 4 * 1024 * 1024
    # The largest BodyBlob of the service model (botocore, sagemaker-runtime/2017-05-13), and
    # "up to 6 MB": https://docs.aws.amazon.com/sagemaker/latest/dg/hosting-faqs.html
    instance_bytes: int = 6_291_456
    # For /invocations; serverless-endpoints-invoke.html above says 1 minute.
    call_seconds: float = 60.0
    # From the start to the first good /ping; 3 minutes, the same page says.
    serverless_start_seconds: float = 180.0
    # 8 minutes, and 2 seconds for each ping:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    instance_start_seconds: float = 480.0
    ping_seconds: float = 2.0
    # Between SIGTERM and SIGKILL, of instances; the same page.
    instance_stop_seconds: float = 30.0
    # OriginalMessage is cut here (shape Message of the service model).
    message_characters: int = 2048
    # Whether the time of a cold start is billed. Undocumented.
    setup_is_billed: bool = False
    # The memory of any instance: that of an ml.m5.large. The rehearsal does not tell kinds apart.
    instance_memory_mb: int = 8192
    # How often a starting container is pinged, environments are looked after, and an instance is
    # pinged. "Periodically" is all that is documented.
    poll_seconds: float = 0.02
    sweep_seconds: float = 1.0
    instance_ping_seconds: float = 10.0

    def of(self, spec: Serverless | Instance) -> tuple[int, float, int]:
        """Memory in MB, seconds for a start, and bytes of the largest body in either direction."""
        if isinstance(spec, Serverless):
            return spec.memory_mb, self.serverless_start_seconds, self.serverless_bytes
        return self.instance_memory_mb, self.instance_start_seconds, self.instance_bytes
