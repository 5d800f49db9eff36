"""Word by word translation between invented languages (Sinha 2024)."""
