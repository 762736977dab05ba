"""Videos: what their streams say beside pictures and sound is overwritten as they are copied."""
