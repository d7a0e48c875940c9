"""One module per format; each renders a profile document and nothing else."""
