"""Networks, each built by a frozen configuration."""
