"""What is shown: queries that change nothing."""
