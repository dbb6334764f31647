"""Tell which kind of CPU int8 products run on, and hide what the platform's CPUs do not have.

Serverless Inference runs on Lambda's hosts, whose guests see AVX2 and neither AVX-512 nor VNNI:
Firecracker's CPU templates T2, T2CL and T2A clear these bits of CPUID on newer hosts, too.
https://github.com/firecracker-microvm/firecracker/blob/main/docs/cpu_templates/cpu-templates.md
`python -m benchmarks --cpu-kind avx2` does the same for all processes of a measurement: a preloaded
library answers CPUID without the bits (mask_cpuid.c), glibc is told by GLIBC_TUNABLES, and
/proc/cpuinfo is another file in a mount namespace. Containers get the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

AVX2, VNNI = KINDS = ("AVX2", "VNNI")  # the platform's comes first: its figures are the headline
BESIDE = (
    "This CPU has VNNI, which the platform's do not have: these figures stand beside those of kind "
    "AVX2, which are kept and stay the headline; `python -m benchmarks --cpu-kind avx2 NAME` "
    "measures them."
)
HIDDEN = "AVX-512, VNNI and AMX hidden"
CPUINFO = Path("/proc/cpuinfo")
SOURCE = Path(__file__).with_name("mask_cpuid.c")
BUILD = Path(__file__).resolve().parents[2] / "build" / "benchmarks"
MASK, MASKED = BUILD / "mask_cpuid.so", BUILD / "cpuinfo"
# glibc chooses its own functions before a library is preloaded:
# https://sourceware.org/glibc/manual/latest/html_node/Hardware-Capability-Tunables.html
TUNABLES = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512CD,-AVX512DQ"
FAULTING = "cpuid_fault"
# In a container.
MASK_THERE = "/opt/mask_cpuid.so"


def flags() -> list[str]:
    """Return the CPU's flags as the kernel names them, or as they are masked for this process."""
    lines = CPUINFO.read_text().splitlines()
    return next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])


def kind() -> str:
    """Return VNNI where the CPU has that instruction in any form, else AVX2."""
    return VNNI if {"avx512_vnni", "avx_vnni"} & {*flags()} else AVX2


def hidden() -> bool:
    """Tell whether this process does not see all that the CPU has."""
    return str(MASK) in os.environ.get("LD_PRELOAD", "")


def become(wanted: str, command: Sequence[str]) -> None:
    """Replace this process by a command that sees the wanted kind; return if this one does.

    Raises SystemExit with the reason when that cannot be.
    """
    if kind() == wanted:
        return
    why = unmaskable() if wanted == AVX2 else "this CPU does not have it"
    if why:
        raise SystemExit(f"no figures of kind {wanted} can be taken here: {why}")
    masked = masking(command)
    os.execvp(masked[0], masked)


def unmaskable() -> str:
    """Say why nothing can be hidden here; empty if it can."""
    if FAULTING not in flags():
        return f"CPUID cannot be made to fault on this CPU (/proc/cpuinfo has no {FAULTING})"
    if os.geteuid():
        return "to hide VNNI takes root, for a mount namespace"
    absent = [tool for tool in ("gcc", "unshare", "mount") if shutil.which(tool) is None]
    return f"to hide VNNI takes {' and '.join(absent)}" if absent else ""


def masking(command: Sequence[str]) -> list[str]:
    """Return a command that runs another with AVX-512, VNNI and AMX hidden."""
    BUILD.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", MASK, SOURCE], check=True)
    lines = CPUINFO.read_text().splitlines()
    MASKED.write_text("".join(f"{_masked(line)}\n" for line in lines))
    variables = environment(os.environ, MASK)
    added = [f"{name}={variables[name]}" for name in ("LD_PRELOAD", "GLIBC_TUNABLES")]
    script = f'mount --bind "$0" {CPUINFO} && exec env "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(MASKED), *added, *command]


def environment(own: Mapping[str, str], library: Path | str) -> dict[str, str]:
    """Return variables with those that hide added to them; for a child process or a container."""
    tunables = own.get("GLIBC_TUNABLES", "")
    if TUNABLES not in tunables:
        tunables = f"{tunables}:{TUNABLES}".strip(":")
    return {**own, "LD_PRELOAD": str(library), "GLIBC_TUNABLES": tunables}


def mounts() -> dict[Path, str]:
    """Return the files that hide in a container, and their paths there."""
    return {MASK: MASK_THERE, MASKED: str(CPUINFO)}


def _masked(line: str) -> str:
    """Return a line of /proc/cpuinfo without the flags that are hidden."""
    name, colon, value = line.partition(":")
    if name.strip() != "flags":
        return line
    gone = ("avx512", "avx_vnni", "avx10", "amx_")
    return f"{name}{colon} {' '.join(flag for flag in value.split() if not flag.startswith(gone))}"
