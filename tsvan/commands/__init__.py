"""`python -m tsvan`: train, sample, score, data."""
