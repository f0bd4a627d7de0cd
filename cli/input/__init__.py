"""Input of the command line: options, ids, times and confirmations, and what TAB completes."""
