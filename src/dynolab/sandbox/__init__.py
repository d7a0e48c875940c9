"""How a model's process is confined: one file per means, behind one interface (``base``)."""
