"""How a study stands, and how it is mended."""
