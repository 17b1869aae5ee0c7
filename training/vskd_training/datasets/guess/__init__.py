"""What a folder of foreign files may be: their layout, and who did what in them. Guesses, to be looked over."""
