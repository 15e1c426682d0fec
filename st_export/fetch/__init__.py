"""HTTP in, pages of bytes out: token, limiter, client, and one walker a kind of source."""
