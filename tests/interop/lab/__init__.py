"""The interoperability laboratory: namespaces, strongSwan, Fynx, captures and traffic."""
