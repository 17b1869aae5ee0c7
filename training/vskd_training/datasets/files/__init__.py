"""The file formats that several data sets share: sensor CSV, video, images, PGM."""
