"""``vskd pi-kit``: a bundle and all that it needs, in one archive for a Raspberry Pi without a network."""
