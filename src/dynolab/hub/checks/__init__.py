"""What must hold of a hub's database and blobs, and of the machines that they are on; nothing here changes anything."""
