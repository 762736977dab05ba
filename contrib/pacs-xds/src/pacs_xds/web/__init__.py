"""Web: the Imaging Document Source, and the API of registrations."""
