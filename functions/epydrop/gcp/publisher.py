"""Messages to our own Pub/Sub topics. Each is on its way when ``publish`` returns: a function may sleep right after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.cloud.pubsub_v1 import PublisherClient

from epydrop.errors import ConfigurationError, NotFound
from epydrop.google_errors import translated_errors

PATIENCE = 60.0  # seconds; Pub/Sub is asked again within them


class PubSubPublisher:
    """The Publisher port. ``topics`` maps 'kicks' and 'runs' to full names, projects/P/topics/T."""

    def __init__(self, client: PublisherClient, topics: Mapping[str, str]) -> None:
        self._client = client
        self._topics = topics

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Publish on the topic 'kicks' or 'runs'. Raises RetryableError on failure, ValueError for another topic."""
        name = self._topics.get(topic)
        if name is None:
            raise ValueError(f"there is no topic {topic!r}; expected {' or '.join(map(repr, self._topics))}")
        data = json.dumps(message, ensure_ascii=False).encode()
        try:
            with translated_errors(name):
                self._client.publish(name, data, timeout=PATIENCE).result(timeout=PATIENCE)
        except NotFound as error:
            raise ConfigurationError(f"there is no topic {name}; terraform makes it") from error
