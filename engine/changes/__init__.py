"""Changes: what a chunk does to its rows; lock, judge, write and record them as a set."""
