"""The metrics frame: its columns, how logs become one, its summary."""
