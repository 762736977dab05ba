"""The viewer that comes with the pages: images of a study in a browser, nothing to be built."""
