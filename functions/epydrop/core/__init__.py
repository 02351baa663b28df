"""What follows from the facts: pure values and functions; no I/O, clock, logging or pydantic."""
