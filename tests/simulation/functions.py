"""Cloud Functions: each event in a call of its own, which may crash, stall or fail at any call of a port.

An event whose call failed is delivered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from greenlet import greenlet
from support.port_calls import CALLS, WRITES, Around

from epydrop.core.events import CheckRequested, JobChanged, SweepRequested
from epydrop.errors import ConfigurationError, EpydropError, PreconditionFailed, RetryableError
from epydrop.service.parse import parse
from epydrop.service.reconcile import reconcile
from epydrop.service.world import World
from epydrop_workstation.local.envelopes import Envelope
from simulation.faults import Faults
from simulation.timeline import Timeline

LIMIT = 540.0  # seconds that a call may live


class Crash(BaseException):
    """The process of a call died. Not an Exception, so that no handler of errors can stop it."""


class Killed(Crash):
    """The whole machine was switched off: whatever only notifies does not come again."""


class Call:
    """Work that runs only between ``resume`` and its next ``sleep``: a coroutine whose code need not know it."""

    def __init__(self, work: Callable[[], None], run_id: str, skew: float) -> None:
        self.run_id = run_id  # of the run that it is about, if it is about one
        self.skew = skew  # seconds by which the clock of its machine is ahead
        self.error: BaseException | None = None
        self.asleep_for = 0.0
        self._lived = 0.0
        self._work = work
        self._greenlet = greenlet(self._run)

    @property
    def has_ended(self) -> bool:
        """Whether the work is done, or has failed with ``error``."""
        return self._greenlet.dead

    def resume(self, *, kill: bool = False) -> None:
        """Let the work go on, or die where it is; returns when it sleeps again or has ended."""
        self._greenlet.switch(kill)

    def sleep(self, seconds: float) -> None:
        """Called by the work itself: let the world go on for so long."""
        self.asleep_for = seconds
        self._lived += seconds
        is_killed = self._greenlet.parent.switch()
        if is_killed or self._lived > LIMIT:
            raise Killed if is_killed else Crash

    def _run(self, _: bool) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whoever resumed the call looks at it
            self.error = error


class Functions:
    """Delivers events to the service, again and again until the call succeeds, like Eventarc."""

    def __init__(self, timeline: Timeline, faults: Faults, trace: Callable[..., None]) -> None:
        self.world: World  # set once the ports are wrapped
        self.on_worst_moment: Callable[[str], None]  # called with the run's id
        self.on_killed: Callable[[], None]
        self.in_flight = 0
        self._timeline = timeline
        self._faults = faults
        self._trace = trace
        self._current: Call | None = None
        self._asleep: dict[Call, Callable[[], None]] = {}
        self._windows: dict[str, tuple[float, type[EpydropError]]] = {}

    @property
    def skew(self) -> float:
        """By how many seconds the clock of the running call is ahead."""
        return self._current.skew if self._current else 0.0

    def deliver(self, envelope: Envelope, tries: int = 0) -> None:
        """Call the function for an event."""
        event = parse(envelope)
        if tries == 0:
            self.in_flight += 1
        skew = self._faults.amount("clock skew", -3, 3) if self._faults.strikes("clock skew") else 0.0
        call = Call(lambda: reconcile(event, self.world), getattr(event, "run_id", ""), skew)
        self._trace("event %s%s", event, f" again ({tries})" if tries else "")

        def again() -> None:
            self._timeline.after(min(600, 10 * 2**tries), lambda: self.deliver(envelope, tries + 1))

        # A person gives a command again, and the sweep finds a dropped file; notifications are gone.
        is_notification = isinstance(event, JobChanged | CheckRequested | SweepRequested)
        self._go_on(call, lambda: self._end() if is_notification and isinstance(call.error, Killed) else again())

    def _end(self) -> None:
        self.in_flight -= 1

    def sleep(self, seconds: float) -> None:
        """The running call waits."""
        assert self._current is not None
        self._current.sleep(seconds)

    def kill_all(self) -> None:
        """All calls in flight die, as when one machine that does everything is switched off."""
        for call, again in list(self._asleep.items()):
            self._go_on(call, again, kill=True)

    def _go_on(self, call: Call, again: Callable[[], None], *, kill: bool = False) -> None:
        if not kill and self._asleep.pop(call, None) is None and call.asleep_for:
            return  # killed meanwhile
        self._asleep.pop(call, None)
        self._current = call
        call.resume(kill=kill)
        self._current = None
        if not call.has_ended:
            self._asleep[call] = again
            self._timeline.after(call.asleep_for, lambda: self._go_on(call, again))
        elif call.error is None:
            self._end()
        elif isinstance(call.error, Crash | EpydropError):
            self._trace("  ended by %r", call.error)
            again()
        else:
            raise call.error

    # -- faults of ports -------------------------------------------------------------------------

    def faulty(self, port: object, label: str) -> Any:
        """The port as the functions reach it."""
        return Around(port, CALLS, lambda name, call: self._around(label, name, call))

    def _around(self, port: str, name: str, call: Callable[[], Any]) -> Any:
        """One call of a port, with what goes wrong before or after it."""
        fault = self._faults.of_next_call()
        if fault:
            self._trace("  %s at %s.%s", fault, port, name)
            self._before(fault, port)
        if port in self._windows:
            self._refuse_in_window(port)
        if name in WRITES:
            self._strike_before_write(f"{port}.{name}")
        if name == "save" and self._faults.strikes("contention"):
            raise PreconditionFailed("somebody saved just before")
        result = call()
        if isinstance(result, Iterator):
            result = iter(list(result))
        if name in WRITES:
            self._trace("  %s.%s", port, name)
        if fault == "crash after":
            raise Crash
        if fault == "error after":
            raise RetryableError(f"{port} did not answer in time")
        return result

    def _strike_before_write(self, what: str) -> None:
        assert self._current is not None
        if self._faults.strikes("kick at the worst moment"):
            self._trace("  just before %s", what)
            self.on_worst_moment(self._current.run_id)
            self.sleep(self._faults.amount("kick at the worst moment", 3, 60))
        if self._faults.strikes("killed"):
            self._trace("  everything is killed at %s", what)
            self.on_killed()
            raise Killed

    def _before(self, fault: str, port: str) -> None:
        match fault:
            case "stall":
                self.sleep(self._faults.amount("stall", 0.5, 400))
            case "crash before":
                raise Crash
            case "error before":
                raise RetryableError(f"{port} did not answer")
            case "window 403":
                self._refuse(port, ConfigurationError, self._faults.amount(fault, 30, 2400))
            case "window 429":
                self._refuse(port, RetryableError, self._faults.amount(fault, 30, 1800))

    def _refuse(self, port: str, kind: type[EpydropError], seconds: float) -> None:
        self._windows[port] = (self._timeline.now + seconds, kind)

    def _refuse_in_window(self, port: str) -> None:
        until, kind = self._windows[port]
        if self._timeline.now < until and not self._faults.have_ceased:
            raise kind(f"{port} refuses just now")
