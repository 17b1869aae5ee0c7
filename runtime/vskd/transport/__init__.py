"""How a bundle travels: as one file (``archive``), and with its maker's signature (``signature``)."""
