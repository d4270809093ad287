"""What is compared: each module brings one tunnel up between two hosts."""
