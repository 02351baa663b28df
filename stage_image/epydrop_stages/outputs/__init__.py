"""What a run publishes: tables, the hub file, quality checks and the report.

Nothing here knows a suite: what differs from model to model comes in a ``Description``. From a result to a file:
``point_digest`` (in a worker, one point at a time) -> ``tables``, ``hub``, ``quality``, ``report`` -> ``publish``.
"""
