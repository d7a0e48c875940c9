"""Quantizers: one file per format that is quantised, behind ``base``. Each runs in a process of its own, as toolchains do."""
