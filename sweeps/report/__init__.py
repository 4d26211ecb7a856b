"""The last stage: summary, report, pictures."""
