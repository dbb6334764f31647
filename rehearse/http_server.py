"""Route HTTP requests: those of InvokeEndpoint to the data plane, all others to moto."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from flask import Flask
from moto.backends import SERVICE_NAMES
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from rehearse.control_plane import validation
from rehearse.data_plane.invoke_endpoint import PATH, InvokeEndpoint, validation_error
from rehearse.moto_patches.auto_scaling import patch_auto_scaling
from rehearse.proxy import CertificateAuthority, host_of_aws

# Also the streaming and the asynchronous form, which the data plane refuses.
INVOKE_PATHS = re.compile(r"/endpoints/.+/(async-)?invocations(-response-stream)?")
# https://docs.getmoto.org/en/latest/docs/server_mode.html#reset-api
RESET_PATH = "/moto-api/reset"
SIGNED_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")
# By the names that requests are signed with; their protocol stands in botocore's service models.
REST_XML = ("s3", "s3express", "cloudfront", "route53")


class ConnectionHandler(MotoRequestHandler):
    """Handles one connection."""

    # Headers and body leave in two writes; the second must not wait for the first one's receipt.
    disable_nagle_algorithm = True
    # Until a connection that is silent is closed.
    timeout = 60.0

    def run_wsgi(self) -> None:
        """Keep the connection of an invocation, as AWS does; werkzeug closes every one."""
        if not self._keeps_connection():
            super().run_wsgi()
            return
        response = Response.from_app(self.server.app, self.make_environ(), buffered=True)
        self.send_response(response.status_code)
        for name, value in response.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.get_data())

    def _keeps_connection(self) -> bool:
        """Return whether it is an invocation whose end can be told, so that another may follow."""
        if self.command != "POST" or not PATH.fullmatch(unquote(urlsplit(self.path).path)):
            return False
        length = self.headers.get("Content-Length", "")
        others = self.headers.get("Expect") or self.headers.get("Transfer-Encoding")
        return length.isdecimal() and not others

    def do_CONNECT(self) -> None:  # noqa: N802  # http.server looks for this name
        """Open a tunnel to a host of AWS, whose other end is this server; refuse all others."""
        host = host_of_aws(self.path)
        if host is None:
            self.send_error(403, "This is a rehearsal: it passes on nothing, and answers for AWS")
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        context = self.server.app.authority.server_context(host)  # type: ignore[attr-defined]  # ours
        self.close_connection = True
        # A client that does not trust the certificate breaks off.
        with contextlib.suppress(OSError):
            self.request = context.wrap_socket(self.connection, server_side=True)
            self.setup()
            self.close_connection = False

    def handle(self) -> None:
        """Handle all requests of a connection; a tunnel may end without a word."""
        with contextlib.suppress(ssl.SSLError):
            super().handle()

    def finish(self) -> None:
        """Close the tunnel, too, if there is one, of which the server does not know."""
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()

    def make_environ(self) -> dict[str, Any]:
        environ = super().make_environ()
        if isinstance(self.connection, ssl.SSLSocket):
            environ["wsgi.url_scheme"] = "https"
        return environ

    def log_error(self, *_: object) -> None:
        """Print nothing when a client has gone, or was silent for too long."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing for each request."""


class Application:
    """The WSGI application of a rehearsal.

    `pages` are answered by their path, texts as HTML and all else as JSON; `client` makes boto3
    clients of the rehearsal.
    """

    def __init__(
        self,
        invoke_endpoint: InvokeEndpoint,
        client: Callable[[str], Any],
        authority: CertificateAuthority,
        pages: Mapping[str, Callable[[], Any]],
        on_reset: Callable[[], None],
    ) -> None:
        self._invoke_endpoint = invoke_endpoint
        self._client = client
        self.authority = authority
        self._pages = pages
        self._on_reset = on_reset
        self._moto = DomainDispatcherApplication(self._create)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if INVOKE_PATHS.fullmatch(path):
            try:
                return self._invoke_endpoint(environ, start_response)
            except BadRequest as error:  # a body that is not what its headers say
                return validation_error(error.description or "")(environ, start_response)
        if path in self._pages:
            return _page(self._pages[path]())(environ, start_response)
        try:
            answer = self._moto(environ, start_response)
            if path == RESET_PATH:
                self._on_reset()
            return answer
        except NotImplementedError as error:
            return _failure(environ, 501, "NotImplemented", error)(environ, start_response)
        except Exception as error:
            return _failure(environ, 500, "InternalFailure", error)(environ, start_response)

    def _create(self, service: SERVICE_NAMES) -> Flask:
        """Return moto's application of one service, at its first request.

        Two bring half of moto with them, seconds of imports, so they are patched only then.
        """
        if service == "cloudformation":
            from rehearse import cloudformation

            cloudformation.install(self._client("cloudwatch"))
        elif service == "applicationautoscaling":
            patch_auto_scaling(validation.SCALABLE_DIMENSION, validation.check_scalable_target)
        return create_backend_app(service)


def _page(found: Any) -> Response:
    if isinstance(found, str):
        return Response(found, content_type="text/html; charset=utf-8")
    return Response(json.dumps(found), content_type="application/json")


def _failure(environ: dict[str, Any], status: int, kind: str, error: Exception) -> Response:
    """Answer what moto cannot in a form that AWS's clients read, and print a line on stderr."""
    what = environ.get("HTTP_X_AMZ_TARGET") or Request(environ).path
    text = " ".join(str(error).split())
    print(f"rehearse: {what}: {type(error).__name__}: {text}", file=sys.stderr)
    message = f"The rehearsal cannot answer {what}: {text or type(error).__name__}"
    if "HTTP_X_AMZ_TARGET" not in environ and _reads_xml(environ):
        inner = f"<Code>{kind}</Code><Message>{escape(message)}</Message>"
        xml = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
        return Response(xml, status, content_type="text/xml")
    body = json.dumps({"__type": kind, "message": message})
    return Response(body, status, {"x-amzn-errortype": kind}, content_type="application/json")


def _reads_xml(environ: dict[str, Any]) -> bool:
    """Return whether the client reads errors as XML: of the protocols query and rest-xml.

    Unsigned requests are taken for S3's, as moto does.
    """
    service = SIGNED_SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
    form = "form" in environ.get("CONTENT_TYPE", "")
    return form or service is None or service[1] in REST_XML
