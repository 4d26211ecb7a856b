"""What a command line asks for, resolved and checked before anything starts."""
