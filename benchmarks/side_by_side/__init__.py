"""Workloads that this package and its peers run side by side: see `run.py`."""
