"""The names of the devices that the official client lists, once there are any; run in an environment of its own."""

import json
import time

import qai_hub as hub

for _ in range(100):
    if devices := hub.get_devices():
        break
    time.sleep(0.2)
print(json.dumps([one.name for one in devices]))
