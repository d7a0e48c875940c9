"""The client: a hub's models, datasets, devices and jobs from Python, under the names of AI Hub's own client."""
