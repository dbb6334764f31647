"""Answer for every address of AWS: HTTPS through a tunnel that ends in the rehearsal.

Some clients call an address of AWS whatever AWS_ENDPOINT_URL says, as SageMaker's SDK 2 does with
STS (sagemaker/session.py). With HTTPS_PROXY they ask here for a tunnel (CONNECT), and speak TLS in
it with a certificate that is made for the host. moto's own proxy signs those with a key that
everybody can read, and answers without the rest of this rehearsal.
"""

from __future__ import annotations

import re
import ssl
from functools import lru_cache
from pathlib import Path

import trustme

# https://docs.aws.amazon.com/general/latest/gr/rande.html
AWS_HOST = re.compile(r"([a-z0-9_-]+\.)+(amazonaws\.com(\.cn)?|api\.aws)", re.IGNORECASE)


class CertificateAuthority:
    """Makes certificates for hosts, signed with a key that ends with this process."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="rehearse")
        self.server_context = lru_cache(256)(self._server_context)

    def write(self, path: Path) -> None:
        """Write what clients need to trust the certificates, for AWS_CA_BUNDLE."""
        self._authority.cert_pem.write_to_path(str(path))

    def _server_context(self, host: str) -> ssl.SSLContext:
        """Return what a server speaks TLS with under the name of this host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context


def host_of_aws(target: str) -> str | None:
    """Return the host of HOST:443 if it is one of AWS's, else None."""
    host, _, port = target.rpartition(":")
    return host.lower() if port == "443" and AWS_HOST.fullmatch(host) else None
