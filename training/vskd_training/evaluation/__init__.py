"""How good a finished run is: metrics, calibration, unknown activities, plots and tables."""
