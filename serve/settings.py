"""Read the environment once, at the start, as one frozen Settings object."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from model_handler import artifacts
from model_handler.outputs import THRESHOLD
from platform_facts import (
    BATCH_CALL_SECONDS,
    BATCH_LARGEST_PAYLOAD_MB,
    CALL_SECONDS,
    INSTANCE_BODY_BYTES,
    MEGABYTE,
    PORT,
)

# Of the time that the platform waits for an answer, this much is kept for bringing it there.
SPARE_SECONDS = 5
# From its first byte to its last a request must arrive in this time; serve/worker.py then stops
# listening. The platform sends a request that it has received, so only others are ever slow.
ARRIVAL_SECONDS = 30.0
# Loops of this server look around once a second. One that has not for this long stood still: the
# platform freezes a container between requests, and clocks go on.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
STILL_SECONDS = 2.0


def share(text: str) -> float:
    """Read a number from 0 to 1; raise ValueError for anything else."""
    found = float(text)
    if not 0 <= found <= 1:  # nor NaN
        raise ValueError(text)
    return found


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message says which ones can."""


class Settings(NamedTuple):
    """All settings, each beside what it protects and how to choose it."""

    # The port to listen on. Multi-container endpoints set it:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-real-time.html
    port: int = PORT
    # Where the model lies: where the platform puts one if it has, else the bundled model.
    model_dir: Path = artifacts.default_dir()
    # The owner's code, none when empty: a file of the code directory (inference.py), or the dotted
    # name of an installed module. The SageMaker SDK sets this and the next one for an entry point:
    # https://github.com/aws/sagemaker-python-sdk/blob/master/src/sagemaker/model.py
    program: str = ""
    # Where that file lies: a path, with or without file://. MODEL_DIR/code when empty, and for
    # s3://, since nothing is downloaded.
    submit_directory: str = ""
    # The status of a ValueError that the owner's code raises at a request. 400: what was sent is
    # wrong, and the client is told the message; 500: a fault like any other.
    value_error_status: int = 400
    # What the owner's code is given as Accept where the client sends none.
    default_accept: str = "application/json"
    # When the model is loaded. background: as soon as the worker is up, while pings are answered;
    # lazy: by the first invocation; eager: before the first connection is accepted, and a model
    # that cannot be loaded ends the container.
    model_load: str = "background"
    # What /ping answers before the model is ready. live: 200, so that the platform lets traffic
    # wait here; strict: 503, so that an instance endpoint gets no traffic before it is warm.
    ping_ready: str = "live"
    # Tokens that texts are cut to, for a plain checkpoint. None: what its tokenizer saved, else the
    # model's own limit, 512 at most. A packed model has it in its manifest.
    max_length: int | None = None
    # Whether `features` may hold two texts that belong together, for a plain checkpoint. A packed
    # model has it in its manifest.
    text_pairs: bool = False
    # Threads to compute with. None: from affinity, cgroup quota and memory size.
    cpu_threads: int | None = None
    # MemorySizeInMB of the endpoint configuration; tells the CPU share where no quota is visible.
    memory_mb: int | None = None
    # Bodies over this are refused unread. The default is the limit of instance endpoints, and of
    # Batch Transform unless a job says otherwise, which it does by SAGEMAKER_MAX_PAYLOAD_IN_MB.
    # Serverless endpoints stop at less themselves.
    max_payload_mb: int = INSTANCE_BODY_BYTES // MEGABYTE
    # Seconds that a request may take, some less than the platform waits. In a Batch Transform job,
    # which sets SAGEMAKER_BATCH, it waits longer.
    deadline_seconds: int = int(CALL_SECONDS) - SPARE_SECONDS
    # Invocations that may be under way or wait, once their bodies have arrived and until their
    # answers are sent; more are refused, for each holds a thread. Bodies and answers together may
    # hold four times MAX_PAYLOAD_MB.
    max_in_flight: int = 256
    # fail: one bad line refuses the request; report: its answer line is {"error": ...}.
    on_bad_record: str = "fail"
    # A label of several is predicted from this score on, unless a request says `threshold=0.3`.
    threshold: float = THRESHOLD
    # sagemaker: the records and answers of this server; huggingface: those of transformers'
    # pipeline, for clients of Hugging Face's containers (serve/huggingface.py).
    response_format: str = "sagemaker"
    # Above info, requests are not logged, and metrics are not either.
    log_level: str = "info"
    # emf: some log lines are CloudWatch metrics as well, which CloudWatch charges for.
    metrics: str = "emf"
    # A dimension of the metrics, for whoever has several endpoints; no variable of the platform
    # tells it.
    endpoint_name: str = ""
    # time.monotonic() when this module was imported, some 40 ms after the start of the process.
    started: float = time.monotonic()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read settings from a mapping, os.environ by default; raise SettingsError."""
        own = cls()
        read = _Reader(os.environ if environment is None else environment)
        model_dir = read.text("MODEL_DIR")
        batch = read.text("SAGEMAKER_BATCH").lower() == "true"
        return cls(
            port=read.number("SAGEMAKER_BIND_TO_PORT", 1, 65535) or own.port,
            model_dir=Path(model_dir) if model_dir else artifacts.default_dir(),
            program=read.text("SAGEMAKER_PROGRAM"),
            submit_directory=read.text("SAGEMAKER_SUBMIT_DIRECTORY"),
            value_error_status=int(read.choice("VALUE_ERROR_STATUS", "400", "500")),
            default_accept=read.text("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or own.default_accept,
            model_load=read.choice("MODEL_LOAD", "background", "lazy", "eager"),
            ping_ready=read.choice("PING_READY", "live", "strict"),
            max_length=read.number("MAX_LENGTH", 1, 8192),
            text_pairs=read.choice("TEXT_PAIRS", "0", "1") == "1",
            cpu_threads=read.number("CPU_THREADS", 1, 1024),
            memory_mb=read.number("MEMORY_SIZE_IN_MB", 128, 1_000_000),
            max_payload_mb=read.number("MAX_PAYLOAD_MB", 1, BATCH_LARGEST_PAYLOAD_MB)
            or read.batch_payload()
            or own.max_payload_mb,
            deadline_seconds=read.number("DEADLINE_SECONDS", 1, 3600)
            or (int(BATCH_CALL_SECONDS) - SPARE_SECONDS if batch else own.deadline_seconds),
            max_in_flight=read.number("MAX_IN_FLIGHT", 1, 256) or own.max_in_flight,
            on_bad_record=read.choice("ON_BAD_RECORD", "fail", "report"),
            threshold=read.share("THRESHOLD", own.threshold),
            response_format=read.choice("RESPONSE_FORMAT", "sagemaker", "huggingface"),
            log_level=read.choice("LOG_LEVEL", "info", "debug", "warning", "error", "critical"),
            metrics=read.choice("METRICS", "emf", "off"),
            endpoint_name=read.text("ENDPOINT_NAME"),
        )


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def text(self, name: str) -> str:
        return self.environment.get(name, "").strip()

    def choice(self, name: str, default: str, *others: str) -> str:
        value = self.text(name).lower() or default
        if value not in (default, *others):
            raise SettingsError(f"{name} is {value!r}; use {', '.join((default, *others))}")
        return value

    def batch_payload(self) -> int | None:
        """Read MaxPayloadInMB of a Batch Transform job; 0 there means a stream without an end."""
        given = self.number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 0, BATCH_LARGEST_PAYLOAD_MB)
        return BATCH_LARGEST_PAYLOAD_MB if given == 0 else given

    def share(self, name: str, default: float) -> float:
        value = self.text(name)
        try:
            return share(value) if value else default
        except ValueError:
            raise SettingsError(f"{name} is {value!r}; use a number from 0 to 1") from None

    def number(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not value.isdecimal() or not least <= int(value) <= most:
            raise SettingsError(f"{name} is {value!r}; use a whole number from {least} to {most}")
        return int(value)
