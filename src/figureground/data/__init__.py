"""Datasets on disk: what `prepare` writes and `train` and `evaluate` read."""
