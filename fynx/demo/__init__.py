"""`fynx demo`: an encrypted tunnel between two programs on this machine, with evidence."""
