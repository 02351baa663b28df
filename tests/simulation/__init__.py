"""A whole deployment under one seed: the real service code, everything around it simulated, with a virtual clock.

``world.py`` puts it together. ``python -m simulation SEED`` replays one seed, ``make soak N=...`` runs many.
"""
