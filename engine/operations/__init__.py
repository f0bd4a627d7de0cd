"""Operations: store, chunk, dispatch, run, steer and finish submitted work exactly once."""
