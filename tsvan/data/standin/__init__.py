"""Drawn videos that stand in for a dataset's."""
