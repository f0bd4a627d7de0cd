"""What is true: machines, rules and counts as pure functions, without I/O and without a clock."""
