"""The wire protocol of the official ``qai_hub`` client: protobuf over HTTP below ``/api/v1/``."""
