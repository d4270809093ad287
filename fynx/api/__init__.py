"""The library: clients, servers and sessions in one's own event loop, over the same parts as the daemon."""
