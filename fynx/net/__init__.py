"""TCP and UDP inside a tunnel, without root: lwIP above the in-process plane, and what stands on it."""
