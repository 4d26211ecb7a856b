"""The final stage: candidates, reruns with fresh seeds, and what their differences prove."""
