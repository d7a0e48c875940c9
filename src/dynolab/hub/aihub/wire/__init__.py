"""What goes over the wire: the messages, made by ``script/protos``."""
