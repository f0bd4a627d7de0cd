"""Records: create, update and delete one record at once, with its version and its audit."""
