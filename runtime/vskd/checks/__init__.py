"""Checks of a bundle and a machine: golden vectors, the golden stream, the self-test, the doctor."""
