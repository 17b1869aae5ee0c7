"""The core in C99: rooms of source, put together for one bundle."""
