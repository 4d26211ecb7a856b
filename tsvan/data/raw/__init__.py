"""The way from files on a disk to clips."""
