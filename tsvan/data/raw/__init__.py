"""From files on a disk to clips."""
