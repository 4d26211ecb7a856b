"""`serve`: the page, its clips and a place for answers, on this machine's own address only."""

from __future__ import annotations

import json
import re
import sys
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

from analysis.user_study.answers import AnswerFile, check, parse
from analysis.user_study.assignment import Assignments
from analysis.user_study.study import StudyFolder, read_study
from tsvan.terminal import say
from tsvan.validation import UserError

HOST = "127.0.0.1"
MOST_BYTES = 256 * 1024
"""Of what a page may send at once; a hundred answers are a twentieth of it."""

_NAMES = (HOST, "localhost")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; media-src 'self'; connect-src 'self'; frame-ancestors 'none'"
)


class StudyServer(ThreadingHTTPServer):
    """One study, served.

    Args:
        folder: of the study.
        port: 0: any free one.

    Raises:
        UserError: no study there, or the port is taken.
    """

    daemon_threads = True
    request_queue_size = 128  # connections that wait; five, the default, are fewer than one page opens

    def __init__(self, folder: StudyFolder, port: int) -> None:
        self.folder = folder
        self.record = read_study(folder)
        self.answers = AnswerFile(folder.answers, self.record)
        self.assignments = Assignments(self.record, self.answers.answers, np.random.default_rng())
        if not 0 <= port <= 65_535:
            raise UserError(f"--port must be from 0 to 65535, got {port}")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"cannot serve on port {port}: {error.strerror}; choose another --port, or 0") from None

    def handle_error(self, request: object, client_address: object) -> None:
        """Report a bug, but not a browser that goes away in the middle of a clip."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was given

    @property
    def address(self) -> str:
        """Return the address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    @cached_property
    def clip_paths(self) -> dict[str, str]:
        """Return the URL path of every clip -> its blind name.

        Nothing else below `clips` is served, so no path can lead out.
        """
        return {f"/clips/{name}.mp4": name for name in self.record.clips}


def serve(folder: StudyFolder, port: int) -> None:
    """Serve until Ctrl-C; answers are on disk before the page hears that they arrived."""
    with StudyServer(folder, port) as server:
        try:
            say(f"{len(server.record.showings)} showings at {server.address} (this machine only); Ctrl-C ends")
            server.serve_forever()
        finally:
            say(f"{len(server.answers.answers)} answers in {folder.answers}")


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # s; a connection that says nothing does not stay

    def do_GET(self) -> None:
        """Send the page, a clip, or a rater's showings."""
        if not self._is_from_here():
            return
        url = urlsplit(self.path)
        if url.path in ("/", "/index.html"):
            self._send(HTTPStatus.OK, self.server.folder.index.read_bytes(), "text/html; charset=utf-8")
        elif url.path in self.server.clip_paths:
            self._send_clip(self.server.clip_paths[url.path])
        elif url.path == "/assignment":
            self._allot(parse_qs(url.query).get("rater", [""])[0])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name here")

    def do_POST(self) -> None:
        """Take answers of a rater."""
        if not self._is_from_here():
            return
        if urlsplit(self.path).path != "/answers":
            self._refuse(HTTPStatus.NOT_FOUND, "answers go to /answers")
        elif self.headers.get_content_type() != "application/json":  # what a page from elsewhere may not send unasked
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are sent as application/json")
        elif (size := self._size()) is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing or no number")
        elif size > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes at once, got {size}")
        else:
            self._keep(self.rfile.read(size))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line a request says nothing to the person who asks."""

    def _keep(self, body: bytes) -> None:
        try:
            answers = check(parse(body, "answers"), self.server.record, "answers")
        except UserError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        try:
            new = self.server.answers.add(answers)
        except OSError as error:
            say(f"error: answers cannot be written: {error}")
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, f"the answers could not be kept: {error.strerror}")
            return
        self._send_json(HTTPStatus.OK, {"new": new})

    def _allot(self, rater: str) -> None:
        if re.fullmatch("[0-9a-f]{16}", rater):
            self._send_json(HTTPStatus.OK, {"showings": self.server.assignments.of(rater)})
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "rater must be 16 hexadecimal digits")

    def _send_clip(self, name: str) -> None:
        """Send a clip whole, or the part that was asked for: a browser only winds back what can be had in parts."""
        try:
            data = self.server.folder.clip(name).read_bytes()
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND, "this clip is missing")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._send(HTTPStatus.OK, data, "video/mp4", {"Accept-Ranges": "bytes"})
            return
        start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if start > end:
            self._send(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "video/mp4", {"Content-Range": f"bytes */{len(data)}"}
            )
            return
        extra = {"Content-Range": f"bytes {start}-{end}/{len(data)}", "Accept-Ranges": "bytes"}
        self._send(HTTPStatus.PARTIAL_CONTENT, data[start : end + 1], "video/mp4", extra)

    def _is_from_here(self) -> bool:
        """Tell whether a request names this machine; refuse a name that someone else's DNS points at it."""
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname in _NAMES:
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"this server answers as {' or '.join(_NAMES)} only")
        return False

    def _size(self) -> int | None:
        size = self.headers.get("Content-Length", "")
        return int(size) if size.isascii() and size.isdecimal() and len(size) < 10 else None

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # a body that was not read must not be taken for the next request
        self._send_json(status, {"error": reason})

    def _send_json(self, status: HTTPStatus, values: object) -> None:
        self._send(status, json.dumps(values).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "max-age=3600" if kind == "video/mp4" else "no-store",
            **(extra or {}),
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
