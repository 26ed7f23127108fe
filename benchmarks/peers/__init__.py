"""PEERS: the same job on other software, each in its own environment. Of our code, a peer may import only `job`."""
