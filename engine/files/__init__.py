"""Files: read CSV and NDJSON into batches of parsed columns; nothing here writes."""
