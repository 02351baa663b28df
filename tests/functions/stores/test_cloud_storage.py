"""The object store on Cloud Storage keeps the contract, as far as fake-gcs-server can tell, and has its own errors."""

from __future__ import annotations

import itertools
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests
from contracts.object_store import ObjectStoreContract
from google.auth.credentials import AnonymousCredentials
from google.cloud.exceptions import NotFound as GoogleNotFound
from google.cloud.storage import Client
from support import emulators

from epydrop.errors import ConfigurationError, NotFound, RetryableError
from epydrop.stores.cloud_storage import CHUNK, GcsObjectStore, storage_client
from epydrop.stores.urls import open_object_store

BUCKETS = itertools.count(1)


@pytest.fixture(scope="module")
def storage():
    with emulators.cloud_storage() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        storage_client.cache_clear()
        client = storage_client()
        yield client
        client.close()
        storage_client.cache_clear()


@pytest.fixture
def bucket(storage):
    return storage.create_bucket(f"bucket-{next(BUCKETS)}")


@pytest.fixture
def store(storage, bucket):
    return GcsObjectStore(storage, bucket.name, "some/folder/")


@pytest.fixture
def other(storage):
    return GcsObjectStore(storage, storage.create_bucket(f"bucket-{next(BUCKETS)}").name)


class TestGcsObjectStore(ObjectStoreContract):
    """The contract, with the plain library behind the store's back; the store is a folder of the bucket."""

    @pytest.fixture(autouse=True)
    def _raw(self, bucket):
        self._bucket = bucket

    def raw_write(self, name, data):
        self._bucket.blob(f"some/folder/{name}").upload_from_string(data)

    def raw_read(self, name):
        try:
            return self._bucket.blob(f"some/folder/{name}").download_as_bytes()
        except GoogleNotFound:
            return None


def test_the_url_opens_the_same_store(store):
    """As a stage opens it, and a function."""
    store.write("x", b"1")

    assert store.url.endswith("/some/folder/")
    assert open_object_store(store.url).read("x") == b"1"
    bucket = store.url.removesuffix("some/folder/")
    assert open_object_store(bucket).read("some/folder/x") == b"1"


@pytest.mark.parametrize("url", ["gs:///x/", "gs://bucket/x", "gs://bucket", "gs://bucket/x/?y", "s3://bucket/"])
def test_other_urls_are_refused(url):
    """By a message that says what is expected."""
    with pytest.raises(ConfigurationError, match="expected gs://BUCKET/prefix/ or file:///folder/"):
        open_object_store(url)


def test_what_lies_beside_the_folder_is_not_in_it(store, bucket):
    """Not even under a name that begins alike."""
    bucket.blob("some/folder-2/x").upload_from_string(b"")
    bucket.blob("some").upload_from_string(b"")

    assert list(store.list()) == []


def test_the_folders_that_the_console_makes_are_passed_over(store, bucket):
    """They are empty objects whose names end in '/'."""
    bucket.blob("some/folder/a/").upload_from_string(b"")
    bucket.blob("some/folder/a//b").upload_from_string(b"")
    store.write("a/c", b"")

    assert [info.name for info in store.list()] == ["a/c"]


def test_a_stream_longer_than_memory_should_hold_comes_through(store):
    """In pieces, both ways; the sum is verified by the library."""
    data = bytes(range(256)) * 4096  # 1 MiB

    with store.open_write("big") as stream:
        for _ in range(2 * CHUNK // len(data) + 1):
            stream.write(data)

    assert store.stat("big").size == 2 * CHUNK + len(data)
    with store.open_read("big") as stream:
        stream.seek(2 * CHUNK - 5)
        assert stream.read(10) == data[-5:] + data[:5]
        assert stream.read() == data[5:]


def test_an_object_that_is_replaced_while_it_is_read_is_read_again_from_the_start(store):
    """Never half of one and half of another."""
    store.write("a", b"x" * (CHUNK + 10))

    with store.open_read("a") as stream:
        assert stream.read(1) == b"x"
        store.write("a", b"y" * (CHUNK + 10))
        with pytest.raises(RetryableError, match="replaced while it was read"):
            stream.read()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("replies/a.md", "text/markdown"),
        ("outputs/report.html", "text/html"),
        ("a.json", "application/json"),
        ("quantiles.csv.gz", "application/octet-stream"),
        ("result_00000.pkl.zst", "application/octet-stream"),
    ],
)
def test_a_browser_is_told_what_an_object_is(store, bucket, name, kind):
    """A compressed table is no text, whatever its name begins with."""
    store.write(name, b"")

    assert bucket.get_blob(f"some/folder/{name}").content_type == kind


def test_a_bucket_that_is_not_there_is_named(storage):
    """Reading finds nothing; writing and listing say what must be mended."""
    store = GcsObjectStore(storage, "no-such-bucket")

    assert store.stat("a") is None
    with pytest.raises(NotFound):
        store.read("a")
    with pytest.raises(ConfigurationError, match="no-such-bucket"):
        store.write("a", b"")
    with pytest.raises(ConfigurationError, match="no-such-bucket"):
        list(store.list())


class Answer(BaseHTTPRequestHandler):
    """A server that answers every request alike."""

    status = 200
    body = b"{}"
    headers_sent: tuple[tuple[str, str], ...] = ()

    def do(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do  # noqa: N815 - what http.server calls

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    """Makes stores in front of a server that answers as told."""
    servers = []

    def make(status, body=b"{}", *headers):
        handler = type("Told", (Answer,), {"status": status, "body": body, "headers_sent": headers})
        servers.append(HTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        endpoint = {"api_endpoint": f"http://127.0.0.1:{servers[-1].server_port}"}
        client = Client(project="p", credentials=AnonymousCredentials(), client_options=endpoint)
        return GcsObjectStore(client, "bucket")

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_is_not_allowed_must_be_mended_by_somebody(answering):
    """The message is Google's, and names the object."""
    body = json.dumps({"error": {"code": 403, "message": "no storage.objects.create access"}}).encode()
    store = answering(403, body)

    for attempt in (lambda: store.stat("a"), lambda: store.write("a", b""), lambda: list(store.list())):
        with pytest.raises(ConfigurationError, match=r"gs://bucket/.*no storage\.objects\.create access"):
            attempt()


def test_bytes_that_were_altered_on_their_way_are_not_taken(answering):
    """The checksum of the answer is not that of the object."""
    store = answering(200, b"altered", ("X-Goog-Hash", "crc32c=AAAAAA=="))

    with pytest.raises(RetryableError, match="gs://bucket/a"):
        store.read("a")


def test_a_server_that_cannot_be_reached_is_asked_again_later(monkeypatch, storage):
    """After the library gave up."""

    def refuse(*_args, **_kwargs):
        raise requests.ReadTimeout("no answer in 60 s")

    monkeypatch.setattr(storage._http, "request", refuse)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", lambda _seconds: None)
    store = GcsObjectStore(storage, "bucket")
    moments = itertools.count(0, 100)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.monotonic", lambda: float(next(moments)))

    with pytest.raises(RetryableError, match="gs://bucket/a"):
        store.stat("a")
