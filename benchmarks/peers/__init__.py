"""PEERS: the same job on other software, each in an environment of its own. Of ours, a peer may import `job` alone."""
