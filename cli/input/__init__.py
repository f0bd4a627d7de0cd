"""Input of the command line: options, ids, times, confirmations and TAB completion."""
