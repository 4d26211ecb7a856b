"""Notebooks, and the functions that they share."""

import warnings

# tqdm, behind Optuna, asks for ipywidgets in every notebook; no progress bar is shown here.
warnings.filterwarnings("ignore", message="IProgress not found")
