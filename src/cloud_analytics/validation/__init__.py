"""Check assumptions A1-A5 and milestones M1-M4 on a lake and its landing files."""
