"""Test what is read from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.settings import Settings, SettingsError


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_variable_is_read() -> None:
    environment = {
        "SAGEMAKER_BIND_TO_PORT": "9000",
        "MODEL_DIR": "/models/mine",
        "MODEL_LOAD": "lazy",
        "PING_READY": "strict",
        "MAX_LENGTH": "256",
        "TEXT_PAIRS": "1",
        "CPU_THREADS": "2",
        "MEMORY_SIZE_IN_MB": "3072",
        "MAX_PAYLOAD_MB": "25",
        "ON_BAD_RECORD": "report",
        "LOG_LEVEL": "DEBUG",
        "DEADLINE_SECONDS": "20",
        "MAX_IN_FLIGHT": "8",
        "METRICS": "off",
        "ENDPOINT_NAME": "reviews",
        "THRESHOLD": "0.25",
        "RESPONSE_FORMAT": "HuggingFace",
    }
    assert Settings.from_environment(environment) == Settings(
        port=9000,
        model_dir=Path("/models/mine"),
        model_load="lazy",
        ping_ready="strict",
        max_length=256,
        text_pairs=True,
        cpu_threads=2,
        memory_mb=3072,
        max_payload_mb=25,
        on_bad_record="report",
        log_level="debug",
        deadline_seconds=20,
        max_in_flight=8,
        metrics="off",
        endpoint_name="reviews",
        threshold=0.25,
        response_format="huggingface",
    )


@pytest.mark.parametrize(
    ("given", "payload", "deadline"),
    [
        ({}, 6, 55),
        ({"SAGEMAKER_BATCH": "true"}, 6, 595),
        ({"SAGEMAKER_BATCH": "True", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "25"}, 25, 595),
        ({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, 100, 595),
        ({"SAGEMAKER_BATCH": "true", "DEADLINE_SECONDS": "3000", "MAX_PAYLOAD_MB": "9"}, 9, 3000),
        ({"SAGEMAKER_BATCH": "false"}, 6, 55),
    ],
)
def test_batch_transform_has_more_time_and_says_how_large_its_bodies_are(
    given: dict[str, str], payload: int, deadline: int
) -> None:
    found = Settings.from_environment(given)
    assert (found.max_payload_mb, found.deadline_seconds) == (payload, deadline)


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "70000", "from 1 to 65535"),
        ("MODEL_LOAD", "never", "background, lazy, eager"),
        ("PING_READY", "yes", "live, strict"),
        ("CPU_THREADS", "0", "from 1"),
        ("ON_BAD_RECORD", "skip", "fail, report"),
        ("MAX_LENGTH", "0", "from 1 to 8192"),
        ("TEXT_PAIRS", "yes", "0, 1"),
        ("DEADLINE_SECONDS", "0", "from 1 to 3600"),
        ("MAX_IN_FLIGHT", "1e3", "from 1 to 256"),
        ("METRICS", "prometheus", "emf, off"),
        ("THRESHOLD", "1.5", "from 0 to 1"),
        ("THRESHOLD", "nan", "from 0 to 1"),
        ("THRESHOLD", "half", "from 0 to 1"),
        ("RESPONSE_FORMAT", "openai", "sagemaker, huggingface"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_those_that_can(
    name: str, value: str, choices: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'; use .*{choices}"):
        Settings.from_environment({name: value})
