"""Videos: all that they say beside their pictures is overwritten as they are copied."""
