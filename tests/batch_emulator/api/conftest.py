"""One server for each file of tests; each test has a project of its own."""

from __future__ import annotations

import pytest
from support import emulators
from support.batch_jobs import a_place, a_server, grpc_client, rest_client


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with a_server(tmp_path_factory.mktemp("batch-api")) as served:
        yield served


@pytest.fixture(scope="module")
def clients(served):
    clients = {"grpc": grpc_client(served), "rest": rest_client(served)}
    yield clients
    for client in clients.values():
        client.transport.close()


@pytest.fixture(params=["grpc", "rest"])
def client(request, clients):
    """Google's own client, over either transport."""
    return clients[request.param]


@pytest.fixture
def place():
    return a_place()


@pytest.fixture(scope="module")
def pubsub_emulator():
    """The address of Google's emulator of Pub/Sub."""
    with emulators.pubsub() as server:
        yield server.address
