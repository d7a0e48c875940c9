"""Toolchains: one file per target, behind :mod:`dynolab.toolchains.base`. Each runs in a process of its own."""
