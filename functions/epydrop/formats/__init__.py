"""Every format that two programs share: names of objects, orders, the records of the stages."""
