"""Processes: how many to use, how to start light ones, and what they may print."""
