"""Ray: the only package that knows it. It runs jobs and decides nothing."""
