"""How long tests wait for what will surely come: a busy machine must not fail them.

What is measured is the product; a deadline only ends a test that would hang.
"""

PATIENCE_S = 300.0
