"""The environment in, one frozen Settings object out: read once, at the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_handler import artifacts


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message says which values can."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be configured, each beside what it protects and how to choose."""

    # The port to listen on. Multi-container endpoints set it:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-real-time.html
    port: int = 8080
    # Where the model lies: /opt/ml/model if there is one, else the bundled model.
    model_dir: Path = field(default_factory=artifacts.default_dir)
    # When the model is loaded. background: as soon as the worker is up, while pings are answered;
    # lazy: by the first invocation; eager: before the first connection is taken, and a model that
    # cannot be loaded ends the container.
    model_load: str = "background"
    # What /ping answers before the model is ready. live: 200, so that the platform lets traffic
    # wait here; strict: 503, so that an instance endpoint gets no traffic before it is warm.
    ping_ready: str = "live"
    # Threads to compute with. None: from affinity, cgroup quota and memory size.
    cpu_threads: int | None = None
    # MemorySizeInMB of the endpoint configuration; tells the CPU share where no quota is visible.
    memory_mb: int | None = None
    # Bodies over this are refused unread. The default is the limit of real-time endpoints;
    # serverless endpoints stop at 4 MB themselves:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
    max_payload_mb: int = 6
    # fail: one bad line refuses the request; report: its answer line is {"error": ...}.
    on_bad_record: str = "fail"
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read settings from a mapping, os.environ by default; raises SettingsError."""
        read = _Reader(os.environ if environment is None else environment)
        model_dir = read.text("MODEL_DIR")
        return cls(
            port=read.number("SAGEMAKER_BIND_TO_PORT", 1, 65535) or cls.port,
            model_dir=Path(model_dir) if model_dir else artifacts.default_dir(),
            model_load=read.choice("MODEL_LOAD", "background", "lazy", "eager"),
            ping_ready=read.choice("PING_READY", "live", "strict"),
            cpu_threads=read.number("CPU_THREADS", 1, 1024),
            memory_mb=read.number("MEMORY_SIZE_IN_MB", 128, 1_000_000),
            max_payload_mb=read.number("MAX_PAYLOAD_MB", 1, 100) or cls.max_payload_mb,
            on_bad_record=read.choice("ON_BAD_RECORD", "fail", "report"),
            log_level=read.choice("LOG_LEVEL", "info", "debug", "warning", "error", "critical"),
        )


@dataclass(frozen=True)
class _Reader:
    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.environment.get(name, "").strip()

    def choice(self, name: str, default: str, *others: str) -> str:
        value = self.text(name).lower() or default
        if value not in (default, *others):
            raise SettingsError(f"{name} is {value!r}; use {', '.join((default, *others))}")
        return value

    def number(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not value.isdecimal() or not least <= int(value) <= most:
            raise SettingsError(f"{name} is {value!r}; use a whole number from {least} to {most}")
        return int(value)
