"""Image tags in, their sizes out, as the docker CLI tells them.

python -m benchmarks.images TAG [TAG ...]
"""

from __future__ import annotations

import argparse
import subprocess


def size(tag: str) -> int:
    """Bytes of an image; raises SystemExit with docker's own words when there is none."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", tag]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(answer.stderr.strip())
    return int(answer.stdout)


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Print the size of images.")
    parser.add_argument("tags", nargs="+", metavar="TAG")
    for tag in parser.parse_args().tags:
        print(f"{tag}: {size(tag) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
