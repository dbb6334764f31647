"""State what SageMaker gives to a container and allows it: each number once, with its source.

Nothing is imported here, so that every package can import this one. Prices: rehearse/prices.toml.
"""

from __future__ import annotations

MEGABYTE = 1024 * 1024

# MemorySizeInMB: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
MEMORY_SIZES_MB = (1024, 2048, 3072, 4096, 5120, 6144)
# The most that MaxConcurrency may be:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
MOST_CONCURRENCY = 200
# Serverless Inference runs on AWS Lambda, which gives 1 vCPU of CPU time for 1,769 MB, linearly:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
# No table is published for SageMaker; set CPU_THREADS where this rule does not hold.
MB_PER_VCPU = 1769

# Of disk, whatever the memory size: the same page as for the memory sizes.
DISK_GB = 5

# The command, the port, the paths and the times of
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
OPT_ML = "/opt/ml"
MODEL_DIR = f"{OPT_ML}/model"
PORT = 8080
PING_SECONDS = 2.0
CALL_SECONDS = 60.0
STOP_SECONDS = 30.0  # between SIGTERM and SIGKILL

# "4 MB", of requests and of answers. Whether of 1000 or 1024 is undocumented:
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
SERVERLESS_BODY_BYTES = 4 * MEGABYTE
# Of an instance endpoint: the largest BodyBlob of the service model (botocore,
# sagemaker-runtime/2017-05-13), and "up to 6 MB":
# https://docs.aws.amazon.com/sagemaker/latest/dg/hosting-faqs.html
INSTANCE_BODY_BYTES = 6 * MEGABYTE
# Of Batch Transform: MaxPayloadInMB, and the seconds of a call unless a job says otherwise.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
BATCH_LARGEST_PAYLOAD_MB = 100
BATCH_CALL_SECONDS = 600.0

# Of a training job: between SIGTERM and SIGKILL, and what is shown of /opt/ml/output/failure.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
TRAINING_STOP_SECONDS = 120.0
FAILURE_CHARACTERS = 1024

# What InvokeEndpoint passes on of an error, as OriginalMessage (shape Message of the service
# model): https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
ORIGINAL_MESSAGE_CHARACTERS = 2048


def vcpus(memory_mb: int) -> float:
    """Return the CPUs' worth of time that a serverless endpoint of this memory size gets."""
    return memory_mb / MB_PER_VCPU
