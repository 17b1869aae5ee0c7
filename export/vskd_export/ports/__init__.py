"""The bundle's whole path, from a sensor's sample to an event, in the languages of devices."""
