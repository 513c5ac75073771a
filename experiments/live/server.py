"""A server for one page, on this machine alone.

Public names: `PageServer`.

It listens on the loopback address, and answers only requests that know the token in the page's
address, name this very server as their host (a page elsewhere that had its own name point to
127.0.0.1 names another), and, where a browser sends them for a page, come from this page.  So
neither another machine nor another page in the browser can drive it.  What it serves are the files
of `page/`, and the calls of a `Session`, as JSON.
"""

from __future__ import annotations

import hmac
import json
import secrets
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

if TYPE_CHECKING:
    from .session import Session

LOOPBACK = "127.0.0.1"
_NAMES = (LOOPBACK, "localhost")
"""What a browser on this machine may call it."""
_LARGEST = 1 << 20
"""Bytes of a request."""
_SECONDS = 60
"""How long a connection may be silent."""
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src "
        "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves a session's page.

    Attributes:
        session: what the page shows.
        token: what its address holds, and nobody else knows.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, session: Session, port: int = 0) -> None:
        """Listen on a port of the loopback address; 0: any that is free.

        Raises:
            UserError: if the port is taken.
        """
        self.session = session
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UserError(
                f"port={port} cannot be used ({error.strerror}): give another, or leave it out for "
                "any that is free"
            ) from None

    @property
    def address(self) -> str:
        """The page's address, the token in it."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser has closed a connection."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = _SECONDS
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "misgen", ""

    def do_GET(self) -> None:
        """Send a file of the page."""
        inside = self._inside()
        if inside is None:
            return
        name = inside or "index.html"
        found = resources.files(f"{__package__}.page").joinpath(name)
        kind = _KINDS.get(name[name.rfind(".") :])
        if "/" in name or kind is None or not found.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        self._send(HTTPStatus.OK, kind, found.read_bytes())

    def do_POST(self) -> None:
        """Do what the page asks for."""
        inside = self._inside(page=True)
        if inside is None:
            return
        given = self._given()
        if given is None:
            return
        try:
            told = self.server.session.call(inside.removeprefix("do/"), given)
        except Exception:  # a fault of ours: the page says so and goes on
            last = traceback.format_exc().strip().splitlines()[-1]
            told = {"error": f"this should not have happened ({last[:300]}): please report it"}
        data = json.dumps(told, default=_plain).encode()
        self._send(HTTPStatus.OK, "application/json", data)

    def _inside(self, page: bool = False) -> str | None:
        """Return what of the address comes after the token; None where the request was refused.

        Args:
            page: whether it must come from the page itself.
        """
        port = self.server.server_port
        hosts = [f"{name}:{port}" for name in _NAMES]
        origins = [f"http://{host}" for host in hosts]
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        ours = origin in origins or (origin is None and not page)
        token, slash, inside = self.path.lstrip("/").partition("/")
        if self.headers.get("Host") not in hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "this server is known by another name")
        elif not ours or site not in ("same-origin", "none"):
            self._refuse(HTTPStatus.FORBIDDEN, "this page does not belong to the server")
        elif not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "use the whole address that misgen play printed")
        else:
            return inside.partition("?")[0]
        return None

    def _given(self) -> Any:
        """Return what a request holds; None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
        elif not (length.isascii() and length.isdigit() and int(length) <= _LARGEST):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {_LARGEST} bytes")
        else:
            try:
                found = json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                return found
            self._refuse(HTTPStatus.BAD_REQUEST, "send a JSON object")
        return None

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what else was sent is not read
        self._send(status, "text/plain; charset=utf-8", f"misgen play: {why}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, data: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal shows the address."""


def _plain(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's."""
    return value.item()
