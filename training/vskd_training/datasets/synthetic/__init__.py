"""The embedded default data set: a body, a camera and a wrist sensor, generated."""
