"""A user study of two generators: people say which of two clips looks better, without knowing whose they are.

Source: section B.3 of the paper's supplement. `python -m analysis.user_study` has `make`, `serve` and `score`.
"""
