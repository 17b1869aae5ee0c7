"""``vskd study-int8``: what the students of a finished study keep as int8 models, and what they cost on a device."""
