"""What every event queue promises: each envelope is delivered at least once, until somebody is done with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class EventQueueContract:
    """Subclasses give the fixtures ``queue`` and ``clock``, a list whose one number is the time in seconds."""

    def test_an_empty_queue_has_nothing(self, queue):
        """Neither now nor later."""
        assert queue.take() is None
        assert queue.next_due() is None

    def test_an_envelope_is_delivered_as_it_was_put(self, queue):
        """With the number of its delivery."""
        queue.put({"id": "1", "data": {"text": "é", "list": [1, None]}})

        delivery = queue.take()

        assert delivery.envelope == {"id": "1", "data": {"text": "é", "list": [1, None]}}
        assert delivery.delivery_count == 1

    def test_envelopes_come_in_the_order_in_which_they_are_due(self, queue, clock):
        """Without faults."""
        queue.put({"id": "later"}, delay=5)
        queue.put({"id": "a"})
        queue.put({"id": "b"})
        clock[0] += 10

        assert [queue.take().envelope["id"] for _ in range(3)] == ["a", "b", "later"]

    def test_an_envelope_is_not_delivered_before_its_time(self, queue, clock):
        """``next_due`` says when that is."""
        queue.put({"id": "1"}, delay=5)

        assert queue.take() is None
        assert queue.next_due() == clock[0] + 5

        clock[0] += 5
        assert queue.take().envelope == {"id": "1"}

    def test_what_is_out_on_a_lease_is_not_delivered_to_a_second(self, queue, clock):
        """Until the lease runs out."""
        queue.put({"id": "1"})
        queue.take(lease=60)

        clock[0] += 59
        assert queue.take() is None

        clock[0] += 1
        assert queue.take().delivery_count == 2

    def test_what_is_done_never_comes_back(self, queue, clock):
        """The queue is empty then."""
        queue.put({"id": "1"})

        queue.done(queue.take(lease=1))
        clock[0] += 100

        assert queue.take() is None
        assert queue.next_due() is None

    def test_done_twice_or_late_is_harmless(self, queue, clock):
        """A lease that ran out while the work went on."""
        queue.put({"id": "1"})
        first = queue.take(lease=1)
        clock[0] += 2
        second = queue.take(lease=60)

        queue.done(first)
        queue.done(second)

        assert queue.next_due() is None

    def test_again_delivers_after_the_delay(self, queue, clock):
        """Counting on."""
        queue.put({"id": "1"})

        queue.again(queue.take(), 3)

        assert queue.take() is None
        clock[0] += 3
        assert queue.take().delivery_count == 2

    def test_again_by_itself_waits_longer_each_time_up_to_ten_seconds(self, queue, clock):
        """0.1 s, doubled."""
        queue.put({"id": "1"})
        waits = []
        for _ in range(9):
            queue.again(queue.take())
            waits.append(round(queue.next_due() - clock[0], 3))
            clock[0] += waits[-1] + 0.001

        assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]

    def test_again_from_a_lease_that_ran_out_changes_nothing(self, queue, clock):
        """Somebody else has it now."""
        queue.put({"id": "1"})
        first = queue.take(lease=1)
        clock[0] += 2
        queue.take(lease=60)

        queue.again(first, 0)

        assert queue.take() is None

    def test_of_many_takers_each_envelope_goes_to_one(self, queue):
        """Nothing twice while its lease lasts, nothing left over."""
        for number in range(60):
            queue.put({"id": number})

        def take_all(_):
            return [delivery.envelope["id"] for delivery in iter(queue.take, None)]

        with ThreadPoolExecutor(4) as pool:
            taken = [number for numbers in pool.map(take_all, range(4)) for number in numbers]

        assert sorted(taken) == list(range(60))
