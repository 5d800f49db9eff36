"""Tables and figures for the documentation."""
