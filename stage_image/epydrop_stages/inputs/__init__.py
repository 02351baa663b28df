"""Inputs besides artifacts: data files, observations, repositories, and where a problem is in the experiment file."""
