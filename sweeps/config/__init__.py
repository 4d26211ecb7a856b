"""The way from a YAML to a sweep config, to Optuna's space, to training settings."""
