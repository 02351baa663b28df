"""The modelling code behind experiments, one folder per suite; ``registry`` finds them."""
