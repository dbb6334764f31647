"""Give the options that make Docker run an image as Serverless Inference does.

A read-only root and "other" rights: https://github.com/autogluon/autogluon-cloud/pull/242 and
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-troubleshooting.html
uid and gid are Lambda's, whatever USER says: https://lib.rs/crates/run-command-on-aws-lambda
No /dev/shm, as on Lambda: https://github.com/joblib/loky/issues/42 (ipc "none" mounts none).
"""

from __future__ import annotations

from typing import Any

from platform_facts import DISK_GB, PORT, vcpus

TCP_PORT = f"{PORT}/tcp"  # as docker-py names the port that a container listens on
USER = "993:990"
TMP_OPTIONS = f"size={DISK_GB}g,mode=1777"
NO_NEW_PRIVILEGES = "no-new-privileges"


def options(memory_mb: int, most_cpus: float) -> dict[str, Any]:
    """Return the keyword arguments of docker-py's `containers.create` for a memory size.

    `most_cpus` is what the machine has: Docker refuses a container that is given more.
    """
    return {
        "read_only": True,
        "user": USER,
        "tmpfs": {"/tmp": TMP_OPTIONS},
        "ipc_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": [NO_NEW_PRIVILEGES],
        "healthcheck": {"test": ["NONE"]},  # the platform pings by itself
        "mem_limit": f"{memory_mb}m",
        "memswap_limit": f"{memory_mb}m",  # no swap
        "nano_cpus": int(min(vcpus(memory_mb), most_cpus) * 1e9),
    }


def arguments(memory_mb: int, most_cpus: float) -> list[str]:
    """Return the same as arguments of `docker run`."""
    return [
        "--read-only",
        f"--user={USER}",
        f"--tmpfs=/tmp:{TMP_OPTIONS}",
        "--ipc=none",
        "--cap-drop=ALL",
        f"--security-opt={NO_NEW_PRIVILEGES}",
        "--no-healthcheck",
        f"--memory={memory_mb}m",
        f"--memory-swap={memory_mb}m",
        f"--cpus={min(vcpus(memory_mb), most_cpus):.2f}",
    ]
