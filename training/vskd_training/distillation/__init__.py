"""What a student is taught: the teachers' targets and the losses."""
