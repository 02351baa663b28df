"""A proxy in front of fake-gcs-server 1.54 that corrects where it differs from Cloud Storage.

fake-gcs-server checks generation preconditions on simple uploads only, lists without a limit, answers a delete with a
body, and lacks storageLayout. Each would let wrong code pass, or make correct code fail.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from support.servers import HOST, InThreads

PAGE = 1000  # the most objects that Cloud Storage lists in one response
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # headers and body in one packet
    disable_nagle_algorithm = True
    owner: Proxy

    def do(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path.endswith("/storageLayout"):
            self._answer(200, {}, b'{"kind": "storage#storageLayout", "hierarchicalNamespace": {"enabled": false}}')
        elif self.command == "GET":
            self._read(url.path, query, body)
        else:
            with self.owner.writes:
                self._write(url.path, query, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do  # noqa: N815 - what http.server calls

    def _read(self, path: str, query: dict[str, str], body: bytes) -> None:
        expected = query.get("ifGenerationMatch")
        if expected is not None and not self._holds(path.replace("/download/", "/", 1), expected):
            return
        if path.endswith("/o") and "maxResults" not in query:
            query = {**query, "maxResults": str(PAGE)}
        self._forward(path, query, body)

    def _write(self, path: str, query: dict[str, str], body: bytes) -> None:
        source, arrow, target = path.partition("/rewriteTo/b/")
        conditions = [(path, query.get("ifGenerationMatch"))]
        if arrow:
            bucket = f"/storage/v1/b/{target}"
            conditions = [(source, query.get("ifSourceGenerationMatch")), (bucket, query.get("ifGenerationMatch"))]
        session = self.owner.sessions.get(query.get("upload_id", ""))
        if path.startswith("/upload/"):
            name = query.get("name") or _name_in(body)
            conditions = [(f"{path.removeprefix('/upload')}/{name}", query.get("ifGenerationMatch"))] if name else []
            if session and self.command == "PUT" and _is_last(self.headers.get("Content-Range", "")):
                conditions = [session]
        for target, expected in conditions:
            if expected is not None and not self._holds(target, expected):
                return
        self._forward(path, query, body)

    def _holds(self, path: str, expected: str) -> bool:
        """Whether the newest generation is the expected one; if not, sends the client a 412."""
        status, _, found = self._ask("GET", path, {}, b"")
        generation = json.loads(found)["generation"] if status == 200 else "0"
        if generation == expected:
            return True
        self.owner.refused.append(self.command)
        reason = "At least one of the pre-conditions you specified did not hold."
        self._answer(412, {}, json.dumps({"error": {"code": 412, "message": reason}}).encode())
        return False

    def _forward(self, path: str, query: dict[str, str], body: bytes) -> None:
        status, headers, answer = self._ask(self.command, path, query, body)
        if query.get("uploadType") == "resumable" and self.command == "POST" and "ifGenerationMatch" in query:
            upload = parse_qs(urlsplit(headers.get("Location", "")).query).get("upload_id", [""])[0]
            name = query.get("name") or _name_in(body)
            self.owner.sessions[upload] = (f"{path.removeprefix('/upload')}/{name}", query["ifGenerationMatch"])
        if self.command == "DELETE" and status == 200:
            status, answer = 204, b""
        self._answer(status, headers, answer)

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(HOST, self.owner.backend)
        sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        try:
            connection.request(method, f"{path}?{urlencode(query)}", body, sent)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Proxy(InThreads):
    """The running proxy; ``refused`` has the method of each request whose precondition failed."""

    handler = _Handler

    backend: int = 0
    refused: list[str] = field(default_factory=list)
    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)  # upload id -> the object's path, precondition
    writes: threading.Lock = field(default_factory=threading.Lock)  # checking a precondition and the write are one step


def _is_last(content_range: str) -> bool:
    """Whether a chunk is the last of an upload: only then does the header state the total length."""
    return not content_range or not content_range.endswith("/*")


def _name_in(body: bytes) -> str:
    """The object's name, if it is in the metadata instead of the URL."""
    try:
        name = json.loads(body or b"{}").get("name", "")
    except ValueError:
        return ""  # a multipart upload: fake-gcs-server checks its precondition itself
    return unquote(name)
