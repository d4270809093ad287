"""The built-in plugins, one package each; found through the entry-point group ``fynx`` like any other."""
