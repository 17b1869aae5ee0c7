"""The page: a bundle in a browser, on the phone's own sensor, and the server that shows it."""
