"""Signed files: written, verified, metered."""
