"""Drop an experiment file into a bucket; get calibrated epidemic forecasts, plots and a report back."""
