"""Record queries: rows as they are now, why they are blocked, and their export."""
