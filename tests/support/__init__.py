"""Doubles for what has no local twin: a scripted job service, a clock, and a world that can be interrupted."""
