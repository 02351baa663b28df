"""People: they drop experiments, and send kicks at any moment, as messages or as files, right and wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from epydrop.formats import names
from epydrop.stores.port import ObjectInfo
from epydrop_workstation.local.envelopes import Envelope, kick_envelope
from simulation.stores import MemoryObjects
from simulation.timeline import Timeline

EXPERIMENT = """suite: epydemix
seed: 1
model: {{model: {{type: SIR}}}}
tasks: {{populations: [here, there]}}
run: {{max_attempts: {attempts}, min_success: {least}, required: [{required}], spot: {spot}, max_wait: 30m}}
"""

VERBS = ("cancel", "cancel", "cancel", "retry", "retry", "retry", "output", "start", "wrong")
_CHANGES: tuple[dict[str, Any], ...] = ({}, {}, {"memory_mib": 9000}, {"spot": False}, {"max_run_duration": 7200})
_STARTS: tuple[dict[str, Any], ...] = ({}, {}, {}, {"from": "builder"}, {"from": "runner"}, {"from": "output"})
_CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"config": {"outputs": {"quantiles": [0.5]}}},
    {"config": {"outputs": {"quantiles": [2]}}},
)


@dataclass(frozen=True)
class SentKick:
    """A kick: what it asks of which run, when it was sent (in seconds), and where its answer appears."""

    verb: str
    run_id: str
    sent: float
    answer: str


class People:
    """Everything that people send, and when."""

    def __init__(
        self,
        timeline: Timeline,
        seed: int,
        trigger: MemoryObjects,
        run_ids: Callable[[], list[str]],
        send: Callable[[Envelope], None],
        trace: Callable[..., None],
    ) -> None:
        self.dropped: list[ObjectInfo] = []
        self.kicks: list[SentKick] = []
        self.to_come = 0  # drops and kicks that are planned
        self._timeline = timeline
        self._random = Random(f"{seed}/people")
        self._trigger = trigger
        self._run_ids = run_ids
        self._send = send
        self._trace = trace

    def plan(self) -> None:
        """Up to eight experiments within half an hour, and up to twelve kicks within two hours."""
        for number in range(self._random.choice((1, 3, 5, 8))):
            self.to_come += 1
            self._timeline.after(self._random.uniform(0, 1800), lambda number=number: self._drop(number))
        for _ in range(self._random.choice((0, 3, 6, 12))):
            self._kick_after(self._random.uniform(60, 7200))

    def _kick_as_planned(self, run_id: str = "", verb: str = "") -> None:
        self.to_come -= 1
        self.kick(run_id, verb)

    def _kick_after(self, seconds: float, run_id: str = "", verb: str = "") -> None:
        self.to_come += 1
        self._timeline.after(seconds, lambda: self._kick_as_planned(run_id, verb))

    def kick(self, run_id: str = "", verb: str = "") -> None:
        """Send a kick now: this one to this run, or any."""
        runs = self._run_ids()
        if not runs:
            return
        run_id = run_id if run_id in runs else self._random.choice(runs)
        verb = verb or self._random.choice(VERBS)
        if verb == "cancel" and self._random.random() < 0.5:  # they often change their minds
            self._kick_after(self._random.uniform(30, 1800), run_id, "retry")
        message = next(self._messages(verb, run_id))
        self._trace("a person sends %s", message)
        if self._random.random() < 0.7:
            message_id = str(len(self.kicks) + 1)
            self._remember(verb, run_id, names.message_answer(message_id))
            self._send(kick_envelope(message, message_id, self._timeline.moment))
        else:
            name = f"{names.KICKS}kick-{len(self.kicks)}.json"
            self._remember(verb, run_id, "")
            info = self._trigger.write(name, json.dumps(message).encode())
            self.kicks[-1] = SentKick(verb, run_id, self.kicks[-1].sent, names.file_answer(name, info.generation))

    def _messages(self, verb: str, run_id: str) -> Iterator[dict[str, Any]]:
        choice = self._random.choice
        match verb:
            case "cancel":
                yield {"cancel": run_id}
            case "retry":
                yield {"retry": run_id, **choice(_STARTS), **choice(_CHANGES)}
            case "output":
                yield {"output": run_id, **choice(_CONFIGS)}
            case "start":
                yield {"start": f"gs://trigger/{choice(self.dropped).name}"}
            case _:
                yield choice(
                    ({"cancle": run_id}, {"retry": run_id, "memory_mib": "much"}, {"cancel": run_id[:-1] + "x"})
                )

    def _remember(self, verb: str, run_id: str, answer: str) -> None:
        self.kicks.append(SentKick(verb, run_id, self._timeline.now, answer))

    def _drop(self, number: int) -> None:
        self.to_come -= 1
        choice = self._random.choice
        if self._random.random() < 0.05:
            text = "suit: epydemix\n"
        else:
            text = EXPERIMENT.format(
                attempts=choice((1, 2, 3)),
                least=choice((1.0, 0.5)),
                required=choice(("", "here", "there")),
                spot=choice(("true", "false")),
            )
        self._trace("a person drops flu-%d.yaml: %s", number, text.splitlines()[-1])
        self.dropped.append(self._trigger.write(f"{names.EXPERIMENTS}flu-{number}.yaml", text.encode()))
