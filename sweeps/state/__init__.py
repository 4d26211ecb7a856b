"""What lies on the disk of a study: the ground floor."""
