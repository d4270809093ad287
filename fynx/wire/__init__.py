"""The codec for RFC 7296 section 3: bytes to frozen dataclasses and back; no state, no crypto, no policy."""
