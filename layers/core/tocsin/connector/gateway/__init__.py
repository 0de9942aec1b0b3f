"""The connector's HTTPS endpoint: what the Lambdas may ask of an account and its socket."""
