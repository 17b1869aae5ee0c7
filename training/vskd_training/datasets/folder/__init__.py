"""A user's own recordings in a folder: the table that describes them and the reader."""
