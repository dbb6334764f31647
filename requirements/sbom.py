"""List the Python and Debian packages of an image as a CycloneDX document.

It runs inside the image, by the target `sbom` of the Dockerfile, with the name and the version of
the image as its arguments: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from packageurl import PackageURL

CYCLONEDX = Path(sys.executable).with_name("cyclonedx-py")
PYTHON = "/opt/venv/bin/python3"


def main() -> None:
    """Print the document, without date and serial number: the same image gives the same bytes."""
    name, version = sys.argv[1:]
    sbom = json.loads(_run(CYCLONEDX, "environment", "--output-reproducible", PYTHON))
    root = {"type": "container", "bom-ref": "image", "name": name, "version": version}
    sbom.setdefault("metadata", {})["component"] = root
    sbom["components"] += debian()
    print(json.dumps(sbom, indent=1))


def debian() -> list[dict[str, str]]:
    """Return Debian's packages as components; the interpreter and the C library are two of them."""
    rows = _run("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n")
    distro = f"debian-{platform.freedesktop_os_release()['VERSION_ID']}"
    found = []
    for name, version, arch in map(str.split, rows.splitlines()):
        purl = str(PackageURL("deb", "debian", name, version, {"arch": arch, "distro": distro}))
        found.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        )
    return found


def _run(*command: str | Path) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
