"""One witness per module: what the system says about a window of time, without root."""
