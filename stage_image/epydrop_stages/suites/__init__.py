"""The modelling code behind an experiment, one folder each; ``registry`` finds them."""
