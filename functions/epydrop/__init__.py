"""Drop an experiment file into a bucket; get calibrated epidemic forecasts, plots and a report back."""

__version__ = "0.1.0"
