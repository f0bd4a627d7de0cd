"""Operation queries: lists, counts, results, and the progress that is polled."""
