"""Signed files: written, verified, counted."""
