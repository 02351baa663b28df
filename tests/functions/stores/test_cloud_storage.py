"""The Cloud Storage adapter: the contract on fake-gcs-server, and how Google's errors are translated."""

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
from epydrop.stores import cloud_storage, open_store
from epydrop.stores.cloud_storage import CHUNK, GcsObjectStore, storage_client

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
    """The contract on a folder of a bucket; Google's library bypasses the store."""

    @pytest.fixture(autouse=True)
    def _raw(self, bucket, monkeypatch):
        self._bucket = bucket
        monkeypatch.setattr(cloud_storage, "PAGE", 10)  # so that a long list needs few objects

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
    assert open_store(store.url).read("x") == b"1"
    bucket = store.url.removesuffix("some/folder/")
    assert open_store(bucket).read("some/folder/x") == b"1"


@pytest.mark.parametrize("url", ["gs:///x/", "gs://bucket/x", "gs://bucket", "gs://bucket/x/?y", "s3://bucket/"])
def test_other_urls_are_refused(url):
    """The message says what is expected."""
    with pytest.raises(ConfigurationError, match="expected gs://BUCKET/prefix/ or file:///folder/"):
        open_store(url)


def test_objects_outside_the_folder_are_not_listed(store, bucket):
    """Not even those whose names begin like the folder's."""
    bucket.blob("some/folder-2/x").upload_from_string(b"")
    bucket.blob("some").upload_from_string(b"")

    assert list(store.list()) == []


def test_folder_placeholders_of_the_console_are_left_out(store, bucket):
    """They are empty objects whose names end in '/'."""
    bucket.blob("some/folder/a/").upload_from_string(b"")
    bucket.blob("some/folder/a//b").upload_from_string(b"")
    store.write("a/c", b"")

    assert [info.name for info in store.list()] == ["a/c"]


def test_a_stream_longer_than_a_chunk_is_stored_whole(store):
    """Written and read in chunks; the library verifies the checksum."""
    data = bytes(range(256)) * 4096  # 1 MiB

    with store.open_write("big") as stream:
        for _ in range(2 * CHUNK // len(data) + 1):
            stream.write(data)

    assert store.stat("big").size == 2 * CHUNK + len(data)
    with store.open_read("big") as stream:
        stream.seek(2 * CHUNK - 5)
        assert stream.read(10) == data[-5:] + data[:5]
        assert stream.read() == data[5:]


def test_replacing_an_object_while_it_is_read_makes_the_read_retryable(store):
    """A reader never gets parts of two generations."""
    store.write("a", b"x" * (CHUNK + 10))

    with store.open_read("a") as stream:
        assert stream.read(1) == b"x"
        store.write("a", b"y" * (CHUNK + 10))
        with pytest.raises(RetryableError, match="replaced while it was being read"):
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
def test_each_object_has_a_content_type_for_browsers(store, bucket, name, kind):
    """Compressed tables are downloaded, not shown as text."""
    store.write(name, b"")

    assert bucket.get_blob(f"some/folder/{name}").content_type == kind


def test_a_missing_bucket_is_named(storage):
    """Reads find nothing; writing and listing report the missing bucket."""
    store = GcsObjectStore(storage, "no-such-bucket")

    assert store.stat("a") is None
    with pytest.raises(NotFound):
        store.read("a")
    with pytest.raises(ConfigurationError, match="no-such-bucket"):
        store.write("a", b"")
    with pytest.raises(ConfigurationError, match="no-such-bucket"):
        list(store.list())


class Answer(BaseHTTPRequestHandler):
    """A server that gives every request the same response."""

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
    """Makes a store whose server gives every request the same response."""
    servers = []

    def make(status, body=b"{}", *headers):
        handler = type("Fixed", (Answer,), {"status": status, "body": body, "headers_sent": headers})
        servers.append(HTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        endpoint = {"api_endpoint": f"http://127.0.0.1:{servers[-1].server_port}"}
        client = Client(project="p", credentials=AnonymousCredentials(), client_options=endpoint)
        return GcsObjectStore(client, "bucket")

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_missing_permission_is_a_configuration_error(answering):
    """With Google's message and the name of the object."""
    body = json.dumps({"error": {"code": 403, "message": "no storage.objects.create access"}}).encode()
    store = answering(403, body)

    for attempt in (lambda: store.stat("a"), lambda: store.write("a", b""), lambda: list(store.list())):
        with pytest.raises(ConfigurationError, match=r"gs://bucket/.*no storage\.objects\.create access"):
            attempt()


def test_a_corrupt_download_is_retryable(answering):
    """The checksum does not match."""
    store = answering(200, b"altered", ("X-Goog-Hash", "crc32c=AAAAAA=="))

    with pytest.raises(RetryableError, match="gs://bucket/a"):
        store.read("a")


def test_an_unreachable_server_is_retryable(monkeypatch, storage):
    """After the library's own retries."""

    def refuse(*_args, **_kwargs):
        raise requests.ReadTimeout("no answer in 60 s")

    monkeypatch.setattr(storage._http, "request", refuse)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", lambda _seconds: None)
    store = GcsObjectStore(storage, "bucket")
    moments = itertools.count(0, 100)
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.monotonic", lambda: float(next(moments)))

    with pytest.raises(RetryableError, match="gs://bucket/a"):
        store.stat("a")
