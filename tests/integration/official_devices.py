"""The names of the devices that the official client lists; run in an environment of its own."""

import json

import qai_hub as hub

print(json.dumps([one.name for one in hub.get_devices()]))
