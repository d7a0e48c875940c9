"""What works on the device: carries out the orders of :mod:`dynolab.measure.orders`, and decides nothing."""
