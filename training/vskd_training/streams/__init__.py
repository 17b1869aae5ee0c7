"""Continuous streams with a truth: joined out of test recordings, decided on by the runtime, judged by events."""
