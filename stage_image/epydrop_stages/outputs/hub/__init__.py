"""The file for a forecast hub. What differs from hub to hub is data: ``epydrop.experiment.hub_formats``."""
