"""Time stamps (RFC 3161): that a signature was there at a moment, on an authority's word."""
