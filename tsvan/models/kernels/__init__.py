"""What is written for speed, each kernel beside its plain form."""
