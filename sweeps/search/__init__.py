"""Optuna: which trial runs next, and which is stopped early."""
