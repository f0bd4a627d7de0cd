"""Business time: working hours, holidays and time zones, and spans counted by them."""
