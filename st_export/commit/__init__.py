"""What is done, durably: store interface, versions, manifests, checkpoint, lock, protocol."""
